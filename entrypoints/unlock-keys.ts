/** Unlocks the results keys that a person names, with the passphrases that they give. */
import { Effect, Option, Redacted } from "effect"
import { Refused } from "../application/refused.ts"
import { type ResultsKeyRefused, unlockResultsKey } from "../infrastructure/results-keys.ts"
import type { UnlockedKey } from "../infrastructure/results-opener.ts"
import { askPassword } from "./terminal-prompt.ts"

export interface Passphrases {
  /** Files whose first line is the passphrase: one for all keys, or one for each. */
  readonly files: ReadonlyArray<string>
  /** An open descriptor to read it from. */
  readonly descriptor: number | undefined
}

/** Unlocks them one after the other: each derivation takes 256 MiB. Refuses what is no results key. */
export const unlockKeys = Effect.fn("unlockKeys")(function* (
  files: ReadonlyArray<string>,
  given: Passphrases
) {
  const keys: Array<UnlockedKey> = []
  const common = yield* commonPassphrase(given)
  for (const [at, file] of files.entries()) {
    const own = Option.fromUndefinedOr(given.files[at] ?? given.files.at(-1))
    const passphrase =
      common ?? Redacted.value(yield* askPassword({ message: `Passphrase of ${file}`, file: own }))
    keys.push(yield* Effect.mapError(unlockResultsKey(file, passphrase), fromResultsKey))
  }
  return keys
})

/** A descriptor can be read once, whatever number of keys it is for. */
const commonPassphrase = Effect.fnUntraced(function* ({ descriptor }: Passphrases) {
  if (descriptor === undefined) return undefined
  const file = Option.some(`/dev/fd/${descriptor}`)
  return Redacted.value(yield* askPassword({ message: "", file }))
})

export const fromResultsKey = ({ path, reason }: ResultsKeyRefused): Refused =>
  new Refused({ what: "Nothing was done.", ...WORDS[reason], why: WORDS[reason].why(path) })

const WORDS = {
  exists: {
    code: "E_KEY_EXISTS",
    why: (path: string) => `${path} is there already, or the folder can't be written to.`,
    todo: "Name another --id or folder: a results key is never overwritten."
  },
  unreadable: {
    code: "E_FILE",
    why: (path: string) => `${path} can't be read.`,
    todo: "Check the name of the file, and who may read it."
  },
  "wrong-passphrase": {
    code: "E_KEY_LOCKED",
    why: (path: string) => `${path} does not open: the passphrase is wrong, or it was damaged.`,
    todo: "Type the passphrase again. If it is right, use the other copy, or the recovery key."
  },
  "not-locked": {
    code: "E_KEY_UNPROTECTED",
    why: (path: string) => `${path} holds a private key that no passphrase protects.`,
    todo: 'Lock it with "age -p" and delete the open file; think who may have read it.'
  },
  "other-role": {
    code: "E_KEY_ROLE",
    why: (path: string) => `${path} holds a key, but not one that opens results.`,
    todo: 'Give the file that "testferry keys generate-results" made: NAME.age.'
  },
  "no-recipient": {
    code: "E_KEY_RECIPIENT",
    why: (path: string) => `${path} is not the public half of a results key.`,
    todo: 'Give the file that "testferry keys generate-results" made: NAME.recipient.'
  }
} as const

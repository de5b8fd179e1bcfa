/** The command tree for results keys: made here, by the officer; central hears of the public half. */
import { Effect, Option, Redacted } from "effect"
import { Command, Flag } from "effect/cli"
import { Refused } from "../application/refused.ts"
import { KeyId } from "../domain/opening.ts"
import { CHOSEN_CHARACTERS_MIN } from "../domain/password.ts"
import { answer } from "./cli-run.ts"
import { askPassword } from "./terminal-prompt.ts"

const generate = Command.make(
  "generate-results",
  {
    out: Flag.Directory("out").pipe(
      Flag.withDescription("Where to write the active key: a medium that is kept off central")
    ),
    recoveryOut: Flag.Directory("recovery-out").pipe(
      Flag.optional,
      Flag.withDescription("Where to write the recovery key: another medium, for another place")
    ),
    id: Flag.String("id").pipe(
      Flag.withSchema(KeyId),
      Flag.optional,
      Flag.withDescription("Names the key, as r2026")
    ),
    passphraseFile: Flag.File("passphrase-file", { mustExist: true }).pipe(Flag.optional),
    recoveryPassphraseFile: Flag.File("recovery-passphrase-file", { mustExist: true }).pipe(
      Flag.optional,
      Flag.withDescription("Another passphrase for the recovery key")
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { makeResultsKey } = yield* Effect.promise(
      () => import("../infrastructure/results-keys.ts")
    )
    const { fromResultsKey } = yield* Effect.promise(() => import("./unlock-keys.ts"))
    const id = Option.getOrElse(flags.id, () => KeyId.make(`r${new Date().getUTCFullYear()}`))
    const recoveryId = yield* recoveryOf(id)
    const passphrase = yield* chosen(id, flags.passphraseFile)
    const recoveryPassphrase = Option.isSome(flags.recoveryPassphraseFile)
      ? yield* chosen(recoveryId, flags.recoveryPassphraseFile)
      : passphrase
    const recoveryOut = Option.getOrElse(flags.recoveryOut, () => flags.out)
    const make = Effect.gen(function* () {
      const active = yield* makeResultsKey({ id, role: "active", directory: flags.out, passphrase })
      const recovery = yield* makeResultsKey({
        id: recoveryId,
        role: "recovery",
        directory: recoveryOut,
        passphrase: recoveryPassphrase
      })
      return { active, recovery, sameFolder: recoveryOut === flags.out }
    })
    yield* answer({
      run: Effect.mapError(make, fromResultsKey),
      encode: ({ active, recovery }) =>
        Effect.succeed({ active: { ...active }, recovery: { ...recovery } }),
      show: instructions
    })
  })
).pipe(Command.withDescription("Make the key that opens results, and one for emergencies"))

/** The name of a recovery key says whose it is; both must fit. */
const recoveryOf = (id: KeyId) =>
  Effect.suspend(() =>
    id.length > KEY_ID_MAX
      ? Effect.fail(refused(`The name "${id}" is too long.`, `Use at most ${KEY_ID_MAX} letters.`))
      : Effect.succeed(KeyId.make(`${id}-recovery`))
  )
const KEY_ID_MAX = 31

/** A passphrase that is asked for is asked twice: a typing error would lock the key for good. */
const chosen = Effect.fnUntraced(function* (id: KeyId, file: Option.Option<string>) {
  const message = `New passphrase of ${id}`
  const passphrase = Redacted.value(yield* askPassword({ message, file }))
  if (Option.isNone(file) && process.stdin.isTTY) {
    const again = Redacted.value(yield* askPassword({ message: `${message}, again`, file }))
    if (again !== passphrase) return yield* refused("The two passphrases differ.", "Type it again.")
  }
  if (passphrase.length < CHOSEN_CHARACTERS_MIN) {
    return yield* refused(
      `The passphrase has fewer than ${CHOSEN_CHARACTERS_MIN} characters: a copied key could be guessed.`,
      "Use a sentence, or six random words."
    )
  }
  return passphrase
})

const refused = (why: string, todo: string) =>
  new Refused({ code: "E_PASSPHRASE", what: "No key was made.", why, todo })

type Made = {
  readonly id: string
  readonly recipient: string
  readonly files: { readonly identity: string; readonly recipient: string }
}

const instructions = (made: {
  readonly active: Made
  readonly recovery: Made
  readonly sameFolder: boolean
}): string => {
  const { active, recovery } = made
  return [
    "Two results keys were made. Whoever has one of them and its passphrase can read all results.",
    "",
    `  active    ${active.files.identity}`,
    `  recovery  ${recovery.files.identity}`,
    "",
    "What to do now:",
    "1. Keep the active key off central and off every device: on a stick in a locked drawer, or on",
    "   the machine where results are opened. Copy it once more, to another stick.",
    ...(made.sameFolder
      ? [
          "2. Move the recovery key to another medium now, and delete it here: they must not burn together."
        ]
      : [
          "2. Bring the recovery key to another place: a safe, a second site. It is for emergencies only."
        ]),
    "3. Write the passphrase down, seal it, and keep it apart from both keys. Nobody can reset it:",
    "   without passphrase or without key, the results of the exams are lost.",
    `4. Give central the two public files (they open nothing):`,
    `   testferry central keys use-results --active ${active.files.recipient} \\`,
    `     --recovery ${recovery.files.recipient}`,
    "5. Test the recovery key every quarter: open one result with it, with",
    `   testferry results decrypt --identity ${recovery.files.identity} --delivery ID`,
    "6. Make a new key every year, and keep the old ones until everything sealed to them is open."
  ].join("\n")
}

export const keysTree = Command.make("keys").pipe(
  Command.withDescription("Keys that open results; they never come near central"),
  Command.withSubcommands([generate])
)

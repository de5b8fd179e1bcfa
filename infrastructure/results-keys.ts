/**
 * Makes the keys that open results, and unlocks them again (format §3.1, §3.7). A private key exists
 * only in a file that a passphrase locks, which age itself can open (`age -d`), and in the memory of
 * the process that opens results. The public half lies beside it, for central.
 */
import { constants } from "node:fs"
import { link, mkdir, open, rename, stat, unlink } from "node:fs/promises"
import path from "node:path"
import { Clock, Effect, Schema } from "effect"
import { Recipient } from "../domain/id.ts"
import { KeyId } from "../domain/opening.ts"
import { newIdentity, recipientOf } from "./age-file.ts"
import { lock, unlock } from "./age-passphrase.ts"
import type { UnlockedKey } from "./results-opener.ts"

/** A locked identity has some 600 bytes, a recipient 2,100. */
const KEY_FILE_BYTES_MAX = 65_536

/**
 * A file is not what was asked for. "exists": a key is never overwritten. "unreadable": not there,
 * or not for this user. "wrong-passphrase": or it was damaged. "not-locked": a private key that no
 * passphrase protects. "other-role": a key, but not one for results. "no-recipient": not the public
 * half of a results key.
 */
export class ResultsKeyRefused extends Schema.TaggedError<ResultsKeyRefused>()(
  "ResultsKeyRefused",
  {
    path: Schema.String,
    reason: Schema.Literals([
      "exists",
      "unreadable",
      "wrong-passphrase",
      "not-locked",
      "other-role",
      "no-recipient"
    ])
  }
) {}

export interface NewResultsKey {
  readonly id: KeyId
  readonly role: "active" | "recovery"
  readonly directory: string
  readonly passphrase: string
  readonly workFactor?: number
}

/** Where the halves of a key lie. */
export const keyFiles = (directory: string, id: KeyId) => ({
  identity: path.join(directory, `${id}.age`),
  recipient: path.join(directory, `${id}.recipient`)
})

/**
 * Makes a hybrid key pair and writes both halves: the locked identity (mode 0600), then the
 * recipient. Fails with ResultsKeyRefused "exists", and has written nothing then.
 */
export const makeResultsKey = Effect.fn("makeResultsKey")(function* (wanted: NewResultsKey) {
  const files = keyFiles(wanted.directory, wanted.id)
  for (const file of Object.values(files)) {
    if (yield* Effect.promise(() => exists(file))) return yield* refuse(file, "exists")
  }
  const { identity, recipient } = yield* newIdentity("hybrid")
  const made = new Date(yield* Clock.currentTimeMillis).toISOString()
  const title = `# testferry results key ${wanted.id}\n# ${wanted.role}, made ${made}\n`
  const text = `${title}# public key: ${recipient}\n${identity}\n`
  const locked = yield* lock(wanted.passphrase, Buffer.from(text), wanted.workFactor)
  yield* Effect.promise(() => mkdir(wanted.directory, { recursive: true, mode: 0o700 }))
  yield* writeOnce(files.identity, locked, 0o600)
  yield* writeOnce(files.recipient, Buffer.from(`${title}${recipient}\n`), 0o644)
  return { id: wanted.id, recipient, files }
})

/** Unlocks an identity file. Fails with ResultsKeyRefused. */
export const unlockResultsKey = Effect.fn("unlockResultsKey")(function* (
  file: string,
  passphrase: string
) {
  const bytes = yield* readSmall(file)
  const raw = Buffer.from(bytes).toString("latin1")
  if (/^AGE-SECRET-KEY-PQ-1/m.test(raw)) return yield* refuse(file, "not-locked")
  if (/^AGE-SECRET-KEY-1/m.test(raw)) return yield* refuse(file, "other-role")
  const plain = yield* Effect.mapError(unlock(passphrase, bytes), () =>
    refusal(file, "wrong-passphrase")
  )
  const text = Buffer.from(plain).toString("utf8")
  const identity = /^AGE-SECRET-KEY-PQ-1[0-9A-Z]+$/m.exec(text)?.[0]
  if (identity === undefined) return yield* refuse(file, "other-role")
  const recipient = yield* Effect.mapError(recipientOf(identity), () => refusal(file, "other-role"))
  const key: UnlockedKey = { id: idIn(text) ?? path.parse(file).name, identity, recipient }
  return key
})

/** Reads the public half of a key. Fails with ResultsKeyRefused. */
export const readRecipient = Effect.fn("readRecipient")(function* (file: string) {
  const text = Buffer.from(yield* readSmall(file)).toString("utf8")
  const recipient = /^age1pq1[02-9ac-hj-np-z]{1900,2100}$/m.exec(text)?.[0]
  const id = idIn(text)
  return recipient === undefined || id === undefined
    ? yield* refuse(file, "no-recipient")
    : { id, recipient: Recipient.make(recipient) }
})

const isKeyId = Schema.is(KeyId)

const idIn = (text: string): KeyId | undefined => {
  const id = /^# testferry results key (\S+)$/m.exec(text)?.[1]
  return isKeyId(id) ? id : undefined
}

const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false
  )

const readSmall = (file: string) =>
  Effect.tryPromise({
    try: async () => {
      await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
      const bytes = Buffer.alloc(KEY_FILE_BYTES_MAX)
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0)
      return bytes.subarray(0, bytesRead)
    },
    catch: () => refusal(file, "unreadable")
  })

/** Writes aside, syncs, and links to the name: whole or not at all, and never over another. */
const writeOnce = (file: string, bytes: Uint8Array, mode: number) =>
  Effect.tryPromise({
    try: async () => {
      const aside = `${file}.partial`
      try {
        await using handle = await open(aside, "wx", mode)
        await handle.writeFile(bytes)
        await handle.sync()
        await putInPlace(aside, file)
      } finally {
        await unlink(aside).catch(() => undefined)
      }
    },
    catch: () => refusal(file, "exists")
  })

/** A stick with FAT knows no links: there the name was looked for before. */
const putInPlace = async (aside: string, file: string): Promise<void> => {
  try {
    await link(aside, file)
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : ""
    if (code !== "EPERM" && code !== "ENOTSUP") throw error
    await rename(aside, file)
  }
}

const refusal = (file: string, reason: ResultsKeyRefused["reason"]) =>
  new ResultsKeyRefused({ path: file, reason })

const refuse = (file: string, reason: ResultsKeyRefused["reason"]) =>
  Effect.fail(refusal(file, reason))

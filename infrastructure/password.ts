/**
 * Wraps a user's key by a password and unwraps it at login (format §3.5).
 *
 * ```
 * S      = Argon2id(NFKC(password), salt, cost, p=1, associatedData="testferry/pw/1|"+userId)
 * commit = HKDF-Expand(S, "testferry/pw/commit/1", 32)
 * KEK    = HKDF-Expand(S, "testferry/pw/kek/1", 32)
 * box    = commit ‖ nonce ‖ AES-256-GCM(KEK, nonce, identity, aad = JCS{recipient,user,ver})
 * ```
 * The commitment ties the box to one password, so no box can be built that opens under many
 * (Len, Grubbs, Ristenpart). Derivations run on other threads, at most one per core.
 */

import {
  argon2,
  createCipheriv,
  createDecipheriv,
  createHmac,
  randomBytes,
  timingSafeEqual
} from "node:crypto"
import { availableParallelism } from "node:os"
import { Effect, Schema, Semaphore } from "effect"
import { type Cost, isOverLimit } from "../domain/cost.ts"
import {
  generatedPassword,
  isTooLong,
  PASSWORD_RANDOM_BYTES,
  spelledPassword
} from "../domain/password.ts"

const SALT_BYTES = 16
const COMMIT_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY_BYTES = 32

/** A wrapped key as rows and bundles carry it; `salt` and `box` are standard base64. */
export interface Wrap {
  readonly cost: Cost
  readonly salt: string
  readonly ver: number
  /** Whose key is inside: what central seals to without knowing the password. */
  readonly recipient: string
  readonly box: string
}

/** The password does not open the wrap, or the wrap was altered; nobody can tell which. */
export class WrongPassword extends Schema.TaggedError<WrongPassword>()("WrongPassword", {}) {}

/** A wrap asks for more work than any of ours: opening it is how a device is brought down. */
export class CostOverLimit extends Schema.TaggedError<CostOverLimit>()("CostOverLimit", {
  reason: Schema.Literal("E_KDF_LIMIT"),
  memoryKiB: Schema.Number,
  passes: Schema.Number
}) {}

/**
 * Wraps an identity by a password. Whether the password is acceptable and the cost high enough is
 * for the caller (`acceptablePassword`, `costRefused`); fails with CostOverLimit above the ceiling.
 * A password of more than PASSWORD_CHARACTERS_MAX is a defect.
 */
export const wrap = Effect.fnUntraced(function* (options: {
  readonly userId: string
  readonly ver: number
  readonly recipient: string
  readonly identity: string
  readonly password: string
  readonly cost: Cost
}) {
  const { cost, identity, password, recipient, userId, ver } = options
  if (isTooLong(password)) return yield* Effect.die(new RangeError("the password is too long"))
  const salt = randomBytes(SALT_BYTES)
  const { commit, kek } = yield* derive({ userId, password, salt, cost })
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv("aes-256-gcm", kek, nonce)
  cipher.setAAD(context({ recipient, user: userId, ver }))
  const sealed = [cipher.update(identity, "utf8"), cipher.final(), cipher.getAuthTag()]
  const box = Buffer.concat([commit, nonce, ...sealed]).toString("base64")
  const wrapped: Wrap = { cost, salt: salt.toString("base64"), ver, recipient, box }
  return wrapped
})

/**
 * Gives back the identity. Fails with WrongPassword for another password, another user's wrap or
 * an altered wrap, always after the whole derivation; with CostOverLimit before it.
 */
export const unwrap = Effect.fnUntraced(function* (options: {
  readonly userId: string
  readonly wrap: Wrap
  readonly password: string
}) {
  const { password, userId } = options
  const { box, cost, recipient, salt, ver } = options.wrap
  if (isTooLong(password)) {
    // Not even tried; but an answer at once would tell that somebody has this login.
    yield* dummy(cost)
    return yield* new WrongPassword()
  }
  const saltBytes = Buffer.from(salt, "base64")
  const boxBytes = Buffer.from(box, "base64")
  if (saltBytes.length !== SALT_BYTES || boxBytes.length < BOX_BYTES_MIN) {
    return yield* new WrongPassword()
  }
  const { commit, kek } = yield* derive({ userId, password, salt: saltBytes, cost })
  if (!timingSafeEqual(commit, boxBytes.subarray(0, COMMIT_BYTES))) {
    return yield* new WrongPassword()
  }
  return yield* Effect.try({
    try: () => openBox(kek, boxBytes, context({ recipient, user: userId, ver })),
    catch: () => new WrongPassword()
  })
})

/** Does the work of `unwrap` for a login that does not exist, so that the time tells nothing. */
export const dummy = (cost: Cost): Effect.Effect<void, CostOverLimit> =>
  Effect.asVoid(
    derive({ userId: "", password: "nobody's password", salt: Buffer.alloc(SALT_BYTES), cost })
  )

/** Makes a password of 50 random bits, for a person to type. */
export const generatePassword: Effect.Effect<string> = Effect.sync(() =>
  generatedPassword(randomBytes(PASSWORD_RANDOM_BYTES))
)

/** HKDF-Expand with SHA-256 (RFC 5869 §2.3). node:crypto has it only together with Extract. */
export const hkdfExpand = (key: Uint8Array, info: string | Uint8Array, length: number): Buffer => {
  const blocks: Array<Buffer> = []
  for (let n = 1; blocks.length * 32 < length; n++) {
    const block = createHmac("sha256", key)
      .update(blocks.at(-1) ?? "")
      .update(info)
      .update(Buffer.from([n]))
    blocks.push(block.digest())
  }
  return Buffer.concat(blocks).subarray(0, length)
}

const BOX_BYTES_MIN = COMMIT_BYTES + NONCE_BYTES + TAG_BYTES

// More at a time than there are cores only makes each slower and holds more memory (format §3.5).
const lanes = Semaphore.makeUnsafe(availableParallelism())

/** Runs Argon2id on a thread of its own. It cannot be stopped, so its lane stays taken to the end. */
const derive = Effect.fnUntraced(function* (options: {
  readonly userId: string
  readonly password: string
  readonly salt: Uint8Array
  readonly cost: Cost
}) {
  const { cost, password, salt, userId } = options
  if (isOverLimit(cost)) return yield* new CostOverLimit({ reason: "E_KDF_LIMIT", ...cost })
  const parameters = {
    message: spelledPassword(password),
    nonce: salt,
    parallelism: 1,
    tagLength: KEY_BYTES,
    memory: cost.memoryKiB,
    passes: cost.passes,
    associatedData: `testferry/pw/1|${userId}`
  }
  const derivation = Effect.callback<Buffer>((resume) =>
    argon2("argon2id", parameters, (error, key) =>
      resume(error ? Effect.die(error) : Effect.succeed(key))
    )
  )
  const secret = yield* lanes.withPermits(1)(Effect.uninterruptible(derivation))
  return {
    commit: hkdfExpand(secret, "testferry/pw/commit/1", COMMIT_BYTES),
    kek: hkdfExpand(secret, "testferry/pw/kek/1", KEY_BYTES)
  }
})

/** Throws unless the box is authentic. */
const openBox = (kek: Uint8Array, box: Buffer, aad: Uint8Array): string => {
  const nonce = box.subarray(COMMIT_BYTES, COMMIT_BYTES + NONCE_BYTES)
  const decipher = createDecipheriv("aes-256-gcm", kek, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(aad)
  decipher.setAuthTag(box.subarray(-TAG_BYTES))
  const sealed = box.subarray(COMMIT_BYTES + NONCE_BYTES, -TAG_BYTES)
  return decipher.update(sealed, undefined, "utf8") + decipher.final("utf8")
}

/** Written with its keys in order, which makes it canonical JSON (RFC 8785). */
const context = (bound: {
  readonly recipient: string
  readonly user: string
  readonly ver: number
}): Uint8Array => {
  const { recipient, user, ver } = bound
  return Buffer.from(JSON.stringify({ recipient, user, ver }))
}

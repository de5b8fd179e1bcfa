/**
 * Says whom everybody trusts (format §3.2): the root document names the keys of every role, and
 * only its own root keys can replace it. Documents form a chain that is walked one by one.
 *
 * Pure: whether a signature holds is found out elsewhere; here it is judged whose signatures count.
 */
import { Result, Schema } from "effect"
import type { BundleCode, Refusal } from "./bundle-refusal.ts"
import { canonical, parseCanonical } from "./canonical.ts"
import { PublicKey } from "./enrolment.ts"
import { Millis, Recipient, Text } from "./id.ts"

/** A root document is good for five years. */
export const ROOT_MILLIS = 5 * 366 * 24 * 3_600_000
/** Keys of one role: each holder has one, and nobody gathers more holders than this. */
const ROLE_KEYS_MAX = 9
/** A document carries nine signatures at most: enough for an old and a new threshold together. */
export const THRESHOLD_MAX = 4
/** The file names of roots on media have six digits (format §2.2). */
const ROOT_VERSION_MAX = 999_999
/** Root documents taken at once: a device that missed ten years of rotations needs fewer. */
export const ROOTS_MAX = 1_000

const Role = Schema.Struct({
  threshold: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: THRESHOLD_MAX })),
  keys: Schema.Array(Schema.String.check(Schema.isMaxLength(60))).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(ROLE_KEYS_MAX)
  )
})

export const RootDocument = Schema.Struct({
  schema: Schema.Literal("testferry/root/1"),
  version: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: ROOT_VERSION_MAX })),
  /** A new one begins every stream anew (format §2.6); only the root keys can say so. */
  epoch: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: ROOT_VERSION_MAX })),
  expires: Millis,
  /** Raw keys by their fingerprints. */
  keys: Schema.Record(Schema.String, PublicKey),
  roles: Schema.Struct({ root: Role, c2d: Role, deviceCa: Role, revocation: Role }),
  results: Schema.NullOr(
    Schema.Struct({
      active: Schema.Struct({ id: Text(40), recipient: Recipient }),
      recovery: Schema.Struct({ id: Text(40), recipient: Recipient })
    })
  ),
  ingest: Schema.Struct({ id: Text(40), recipient: Recipient })
})
export type RootDocument = typeof RootDocument.Type
export type RootRole = keyof RootDocument["roles"]

/** Who holds root keys, and how many of them must sign: raw keys with their fingerprints. */
export interface RootHolders {
  readonly keys: ReadonlyArray<{ readonly id: string; readonly raw: string }>
  readonly threshold: number
}

/** The one byte form of a root document: what is signed. */
export const rootText = (root: RootDocument): string => canonical({ ...root })

/** Reads a root document from its exact bytes; whose word it is, is another question. */
export const readRoot = (text: string): Result.Result<RootDocument, Refusal> => {
  const parsed = parseCanonical(text)
  if (Result.isFailure(parsed)) {
    return refuse("E_ROOT_SIG", "a root document is not written in the one allowed way")
  }
  const decoded = decode(parsed.success)
  if (Result.isFailure(decoded)) {
    return isOfAnotherFormat(parsed.success)
      ? refuse(
          "E_SCHEMA_UNSUPPORTED",
          "a root document has a format that is newer than this program"
        )
      : refuse("E_ROOT_SIG", "a root document lacks or adds fields")
  }
  const fault = faultIn(decoded.success)
  return fault === undefined ? Result.succeed(decoded.success) : refuse("E_ROOT_SIG", fault)
}

const decode = Schema.decodeUnknownResult(RootDocument, { onExcessProperty: "error" })
const isOfAnotherFormat = Schema.is(
  Schema.Struct({ schema: Schema.String.check(Schema.isPattern(/^testferry\/root\/(?!1$)/u)) })
)

/** A role that could never sign would lock everybody out: such a document is not taken. */
const faultIn = ({ keys, roles, version }: RootDocument): string | undefined => {
  for (const [name, role] of Object.entries(roles)) {
    const distinct = new Set(role.keys)
    if (distinct.size !== role.keys.length) return `root ${version} names a key of ${name} twice`
    if (role.threshold > distinct.size)
      return `root ${version} asks for more keys of ${name} than it names`
    if (role.keys.some((id) => !Object.hasOwn(keys, id)))
      return `root ${version} lacks a key of ${name}`
  }
  return undefined
}

/** The raw keys of a role, by their fingerprints, and how many of them must have signed. */
export const trustOf = (root: RootDocument, role: RootRole) => ({
  keys: new Map(
    root.roles[role].keys.flatMap((id) => {
      const raw = root.keys[id]
      return raw === undefined ? [] : [[id, raw] as const]
    })
  ),
  threshold: root.roles[role].threshold
})

/**
 * Judges whether `next` replaces `current`: it is the very next version, and both the root keys
 * that are trusted now and its own have signed it, each to their threshold. `signers` are the
 * fingerprints whose signatures over it hold; one that is named twice counts once.
 */
export const succeeds = (
  current: RootDocument,
  next: RootDocument,
  signers: Iterable<string>
): Result.Result<RootDocument, Refusal> => {
  if (next.version !== current.version + 1) {
    return refuse(
      "E_ROOT_VERSION",
      `root ${current.version + 1} must come first, and this is root ${next.version}`
    )
  }
  if (next.epoch !== current.epoch && next.epoch !== current.epoch + 1) {
    return refuse("E_ROOT_VERSION", `root ${next.version} jumps to epoch ${next.epoch}`)
  }
  const signed = new Set(signers)
  const lacking = [
    lack(current, signed, `those of root ${current.version}`),
    lack(next, signed, "its own")
  ].filter((each) => each !== undefined)
  return lacking.length === 0
    ? Result.succeed(next)
    : refuse(
        "E_ROOT_SIG",
        `root ${next.version} is not signed by enough keys: ${lacking.join("; ")}`
      )
}

/** Judges a first root: nobody vouches for it but its own keys, and a person who compares it. */
export const isFirst = (
  root: RootDocument,
  signers: Iterable<string>
): Result.Result<RootDocument, Refusal> => {
  if (root.version !== 1) return refuse("E_ROOT_VERSION", "the chain does not begin with root 1")
  const lacking = lack(root, new Set(signers), "its own")
  return lacking === undefined
    ? Result.succeed(root)
    : refuse("E_ROOT_SIG", `root 1 is not signed by enough keys: ${lacking}`)
}

/** An expired root is not trusted, and nobody can say otherwise. */
export const inForce = (root: RootDocument, now: number): Result.Result<RootDocument, Refusal> =>
  now > root.expires
    ? refuse("E_ROOT_EXPIRED", `root ${root.version} has expired`)
    : Result.succeed(root)

const lack = (
  { roles: { root } }: RootDocument,
  signed: ReadonlySet<string>,
  whose: string
): string | undefined => {
  const found = new Set(root.keys.filter((id) => signed.has(id))).size
  return found < root.threshold ? `${found} of ${root.threshold} of ${whose}` : undefined
}

const refuse = (code: BundleCode, detail: string) => Result.fail({ code, detail })

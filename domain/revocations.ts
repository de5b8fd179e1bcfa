/**
 * The list of what central takes back (format §3.4): devices, single bundles, signing keys. It is
 * short, always whole, signed by the role `revocation`, and its version only ever grows.
 */
import { Result, Schema } from "effect"
import type { Refusal } from "./bundle-refusal.ts"
import { canonical, parseCanonical } from "./canonical.ts"
import { Millis, Text } from "./id.ts"

const REVOKED_MAX = 20_000
/** The id of a bundle, of a device, or the fingerprint of a key. */
export const REVOKED_ID_MAX = 120

/** What can be taken back. A signing key is one of central's, but for root keys: these need a root. */
export const REVOCABLE = ["device", "bundle", "signing-key"] as const

export const Revoked = Schema.Struct({
  type: Schema.Literals(REVOCABLE),
  id: Schema.String.check(Schema.isMaxLength(REVOKED_ID_MAX)),
  /** What the revoked device signed from this moment on does not count. */
  from: Millis,
  reason: Text(200)
})
export type Revoked = typeof Revoked.Type

export const Revocations = Schema.Struct({
  schema: Schema.Literal("testferry/revocations/1"),
  version: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
  revoked: Schema.Array(Revoked).check(Schema.isMaxLength(REVOKED_MAX))
})
export type Revocations = typeof Revocations.Type

/** Nothing was ever taken back. There is no document of version 0. */
export const NONE_REVOKED: Revocations = {
  schema: "testferry/revocations/1",
  version: 0,
  revoked: []
}

/** From when on something is revoked; undefined when it is not. */
export const revokedFrom = (
  { revoked }: Revocations,
  type: Revoked["type"],
  id: string
): number | undefined =>
  revoked
    .filter((one) => one.type === type && one.id === id)
    .map(({ from }) => from)
    .sort((a, b) => a - b)[0]

/** The one byte form of a list: what is signed. */
export const revocationsText = (list: Revocations): string => canonical({ ...list })

/** Reads a list from its exact bytes; whose word it is, is another question. */
export const readRevocations = (text: string): Result.Result<Revocations, Refusal> => {
  const parsed = parseCanonical(text)
  if (Result.isFailure(parsed)) return unreadable("is not written in the one allowed way")
  const decoded = decode(parsed.success)
  return Result.isFailure(decoded)
    ? unreadable("lacks or adds fields")
    : Result.succeed(decoded.success)
}

const decode = Schema.decodeUnknownResult(Revocations, { onExcessProperty: "error" })

const unreadable = (why: string) =>
  Result.fail({ code: "E_MANIFEST_SCHEMA" as const, detail: `the list of revocations ${why}` })

/**
 * The next list with one more entry; the same list when nothing would change. An earlier `from`
 * counts, a later one does not: nothing becomes trusted again.
 */
export const revokedAlso = (list: Revocations, item: Revoked): Revocations => {
  const from = revokedFrom(list, item.type, item.id)
  if (from !== undefined && from <= item.from) return list
  const others = list.revoked.filter(({ id, type }) => id !== item.id || type !== item.type)
  return { ...list, version: list.version + 1, revoked: [...others, item] }
}

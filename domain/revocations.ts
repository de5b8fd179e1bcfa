/**
 * The list of what central takes back (format §3.4): devices, single bundles, signing keys. It is
 * short, always whole, signed by the role `revocation`, and its version only ever grows.
 */
import { Schema } from "effect"
import { Millis, Text } from "./id.ts"

const REVOKED_MAX = 20_000

export const Revoked = Schema.Struct({
  type: Schema.Literals(["device", "bundle", "signing-key"]),
  id: Schema.String.check(Schema.isMaxLength(120)),
  /** What the revoked device signed from this moment on does not count. */
  from: Millis,
  reason: Text(200)
})
export type Revoked = typeof Revoked.Type

export const Revocations = Schema.Struct({
  schema: Schema.Literal("testferry/revocations/1"),
  version: Schema.Int,
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

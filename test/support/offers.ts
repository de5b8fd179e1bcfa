/** Makes offers by hand, for tests of what carries them. */
import { createHash } from "node:crypto"
import type { Offer } from "../../application/ports.ts"
import { Digest } from "../../domain/id.ts"

export const sha256 = (bytes: Uint8Array | string): Digest =>
  Digest.make(createHash("sha256").update(bytes).digest("hex"))

/** An offer of an entity with this body; without one, of its end. */
export const offer = (key: Offer["key"], body: string | null): Offer => ({
  key,
  stamp: body === null ? "gone" : sha256(body),
  digest: body === null ? null : sha256(body),
  body
})

/**
 * Summarises a set of entities so that two sides can compare what they hold in a few bytes.
 *
 * Each entity contributes two numbers of 32 bits cut from its digest; a set is the count and the two
 * sums. Sums are exact in a JavaScript number for up to two million entities, a database can make
 * them, and the order of the entities does not matter. They guard against accidents, not attackers:
 * authenticity comes from the transport and from signatures.
 *
 * Where two sets differ, 256 buckets by id tell where to look; a bucket then lists its entities.
 */
import { Schema } from "effect"
import type { Digest } from "./id.ts"

export const BUCKETS = 256

export const SetDigest = Schema.Struct({
  count: Schema.Int,
  a: Schema.Int,
  b: Schema.Int
})
export type SetDigest = typeof SetDigest.Type

export const EMPTY: SetDigest = { count: 0, a: 0, b: 0 }

/** The two numbers of one entity, from the first sixteen hex digits of its digest. */
export const marks = (digest: Digest | string): { readonly a: number; readonly b: number } => ({
  a: Number.parseInt(digest.slice(0, 8), 16),
  b: Number.parseInt(digest.slice(8, 16), 16)
})

/** FNV-1a over the id's UTF-16 units, folded to a byte: spreads ids that differ in their last digits. */
export const bucketOf = (id: string): number => {
  let hash = 0x811c9dc5
  for (let at = 0; at < id.length; at++) {
    hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193) >>> 0
  }
  return (hash ^ (hash >>> 8) ^ (hash >>> 16) ^ (hash >>> 24)) & (BUCKETS - 1)
}

export const sameSet = (x: SetDigest, y: SetDigest): boolean =>
  x.count === y.count && x.a === y.a && x.b === y.b

/** The digest of a set after some digests left it and others came. */
export const changed = (
  set: SetDigest,
  left: ReadonlyArray<string>,
  came: ReadonlyArray<string>
): SetDigest => {
  let { count, a, b } = set
  for (const digest of came) {
    const mark = marks(digest)
    count += 1
    a += mark.a
    b += mark.b
  }
  for (const digest of left) {
    const mark = marks(digest)
    count -= 1
    a -= mark.a
    b -= mark.b
  }
  return { count, a, b }
}

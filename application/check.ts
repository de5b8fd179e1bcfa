/** Checks one change of a feed before it is kept: its digest, its schema, its identity. */
import { Effect, Result, Schema } from "effect"
import { Entity } from "../domain/entity.ts"
import type { Change } from "../domain/feed.ts"
import { wrapId } from "../domain/offer.ts"
import type { Checked } from "./ports.ts"
import { CentralInconsistent, Hashing } from "./ports.ts"

/** Fails with CentralInconsistent when the change is not what it says it is. */
export const checkChange = Effect.fnUntraced(function* (change: Change) {
  const hashing = yield* Hashing
  const { body, digest, id, kind } = change
  if (digest === null || body === null) {
    if (digest !== null || body !== null) return yield* inconsistent(id, "is half a change")
    return { change, entity: null } satisfies Checked
  }
  if (hashing.sha256(body) !== digest) return yield* inconsistent(id, "is not what its digest says")
  const decoded = decode(body)
  if (Result.isFailure(decoded))
    return yield* inconsistent(id, "does not have the form of its kind")
  const entity = decoded.success
  if (entity.kind !== kind || entity.id !== id || !namesItself(entity)) {
    return yield* inconsistent(id, "is another entity than announced")
  }
  return { change, entity } satisfies Checked
})

/** The id of a key wrap is made of what it wraps and for whom. */
const namesItself = (entity: Entity): boolean =>
  entity.kind !== "key-wrap" || entity.id === wrapId(entity.subject, entity.version, entity.reader)

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Entity))

const inconsistent = (id: string, what: string) =>
  Effect.fail(new CentralInconsistent({ what: `${id} ${what}` }))

/** Checks changes of a feed before they are kept: digest, schema, identity. */
import { Effect, Result, Schema } from "effect"
import { Entity } from "../domain/entity.ts"
import type { Change } from "../domain/feed.ts"
import { wrapId } from "../domain/offer.ts"
import type { Checked } from "./ports.ts"
import { CentralInconsistent, Hashing } from "./ports.ts"

/**
 * Checks a page of changes in one go: it is the device's hottest path, and a page takes some tens of
 * milliseconds. Fails with CentralInconsistent when a change is not what it says it is.
 */
export const checkChanges = Effect.fnUntraced(function* (changes: ReadonlyArray<Change>) {
  const { sha256 } = yield* Hashing
  const checked: Array<Checked> = []
  for (const change of changes) {
    const result = checkChange(change, sha256)
    if (typeof result === "string") {
      return yield* new CentralInconsistent({ what: `${change.id} ${result}` })
    }
    checked.push(result)
  }
  return checked
})

/** The checked change, or what is wrong with it. */
export const checkChange = (
  change: Change,
  sha256: Hashing["Service"]["sha256"]
): Checked | string => {
  const { body, digest, id, kind } = change
  if (digest === null || body === null) {
    return digest === null && body === null ? { change, entity: null } : "is half a change"
  }
  if (sha256(body) !== digest) return "is not what its digest says"
  const decoded = readEntity(body)
  if (Result.isFailure(decoded)) return "does not have the form of its kind"
  const entity = decoded.success
  if (entity.kind !== kind || entity.id !== id || !namesItself(entity)) {
    return "is another entity than announced"
  }
  return { change, entity }
}

/** The entity that a body says; what fails has no form of any kind. */
export const readEntity = (body: string) => Result.flatMap(parse(body), decode)

/** The id of a key wrap is made of what it wraps and for whom. */
const namesItself = (entity: Entity): boolean =>
  entity.kind !== "key-wrap" || entity.id === wrapId(entity.subject, entity.version, entity.reader)

/** Not a part of the schema: parsing there cost more than all the rest of decoding. */
const parse = (body: string): Result.Result<unknown, "not JSON"> => {
  try {
    return Result.succeed(JSON.parse(body))
  } catch {
    return Result.fail("not JSON")
  }
}
const decode = Schema.decodeUnknownResult(Entity)

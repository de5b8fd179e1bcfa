/**
 * Takes over a newer list of what central takes back (format §3.4). The list is whole each time and
 * its version only grows: an older one is somebody's trick.
 */
import { Effect } from "effect"
import type { Signed } from "../domain/enrolment.ts"
import { Standing } from "./bundle-ports.ts"
import { readRevocations } from "./bundle-trust.ts"

/**
 * Judges a list by the newest root, keeps it when it is newer, and answers the newest. Fails with
 * BundleRefused (E_SIG_*, E_REV_ROLLBACK, E_MANIFEST_SCHEMA) and keeps what it had.
 */
export const acceptRevocations = Effect.fn("acceptRevocations")(function* (signed: Signed) {
  const standing = yield* Standing
  const { document } = yield* standing.root
  const { list: known } = yield* standing.revocations
  const list = yield* readRevocations(signed, document, known)
  if (list.version === known.version) return known
  yield* standing.putRevocations(signed)
  return list
})

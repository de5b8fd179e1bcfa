/**
 * Takes over a newer list of what central takes back, wherever it comes from (format §3.4). The
 * list is whole each time and its version only grows: an older one is somebody's trick.
 */
import { Effect, Result } from "effect"
import type { BundleCode } from "../domain/bundle-refusal.ts"
import type { Signed } from "../domain/enrolment.ts"
import { readRevocations } from "../domain/revocations.ts"
import { trustOf } from "../domain/root.ts"
import { BundleRefused, Signatures, Standing } from "./bundle-ports.ts"

/**
 * Judges a list by the newest root and answers it; keeps it when it is newer. Fails with
 * BundleRefused (E_SIG_*, E_REV_ROLLBACK) and keeps what it had.
 */
export const acceptRevocations = Effect.fn("acceptRevocations")(function* (signed: Signed) {
  const signatures = yield* Signatures
  const standing = yield* Standing
  const { document } = yield* standing.root
  const { list: known } = yield* standing.revocations
  const checked = signatures.check("revocations", signed, trustOf(document, "revocation"))
  if (Result.isFailure(checked)) return yield* refuse(checked.failure.code, checked.failure.detail)
  const read = readRevocations(signed.text)
  if (Result.isFailure(read)) return yield* refuse(read.failure.code, read.failure.detail)
  const list = read.success
  if (list.version < known.version) {
    const detail = `revocation list ${known.version} is known, and this is list ${list.version}`
    return yield* refuse("E_REV_ROLLBACK", detail)
  }
  if (list.version === known.version) return known
  yield* standing.putRevocations(signed)
  return list
})

const refuse = (code: BundleCode, detail: string) =>
  Effect.fail(new BundleRefused({ code, detail, damages: [], missing: [] }))

/**
 * Takes back at central what it once allowed: a device, a bundle, a signing key. The signed list
 * grows by one entry, and reaches devices by whichever carrier comes first (format §3.4).
 */
import { Clock, Effect, Schema } from "effect"
import {
  type Revocations,
  type Revoked,
  revocationsText,
  revokedAlso
} from "../domain/revocations.ts"
import { trustOf } from "../domain/root.ts"
import { BundleKeys, Standing } from "./bundle-ports.ts"
import { rootInForce } from "./change-root.ts"
import { happened } from "./happened.ts"
import { Atomic } from "./ports.ts"

/** The key signs for central now: it must be replaced first, or no device could trust central. */
export class KeyInUse extends Schema.TaggedError<KeyInUse>()("KeyInUse", { id: Schema.String }) {}

/** Adds to the list what is not on it yet, and answers the list. Fails with NoRootInForce, KeyInUse. */
export const revoke = Effect.fn("revoke")(function* (
  item: Omit<Revoked, "from"> & { readonly from: number | undefined }
) {
  const atomic = yield* Atomic
  const root = yield* rootInForce
  const isSigning =
    item.type === "signing-key" &&
    (["c2d", "deviceCa", "revocation"] as const).some((role) =>
      trustOf(root, role).keys.has(item.id)
    )
  if (isSigning) return yield* new KeyInUse({ id: item.id })
  const now = yield* Clock.currentTimeMillis
  return yield* atomic.run(
    Effect.gen(function* () {
      const keys = yield* BundleKeys
      const standing = yield* Standing
      const { list } = yield* standing.revocations
      const next: Revocations = revokedAlso(list, { ...item, from: item.from ?? now })
      if (next === list) return list
      yield* standing.putRevocations(yield* keys.sign("revocations", revocationsText(next)))
      yield* happened({
        verb: "revocation",
        who: "operator",
        reason: `${item.type} ${item.id}: ${item.reason}`
      })
      return next
    })
  )
})

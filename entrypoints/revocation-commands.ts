/** What an operator can take back: devices, bundles, signing keys. The list is signed and only grows. */
import { Clock, Effect, Schema } from "effect"
import { Standing } from "../application/bundle-ports.ts"
import type { NoRootInForce } from "../application/change-root.ts"
import { Refused } from "../application/refused.ts"
import { type KeyInUse, revoke } from "../application/revoke.ts"
import { REVOCABLE, Revocations } from "../domain/revocations.ts"
import { defineCommand, type ServedCommand } from "./command.ts"
import { fromNoRoot } from "./root-commands.ts"
import type { CentralPorts } from "./wiring.ts"

export const revocationsList = defineCommand({
  name: "central revocations list",
  side: "central",
  args: Schema.Struct({}),
  report: Schema.Struct({ list: Revocations, now: Schema.Int }),
  run: Effect.fn("revocationsList")(function* () {
    const standing = yield* Standing
    const { list } = yield* standing.revocations
    return { list, now: yield* Clock.currentTimeMillis }
  })
})

export const revocationsAdd = defineCommand({
  name: "central revocations add",
  side: "central",
  args: Schema.Struct({
    type: Schema.Literals(REVOCABLE),
    id: Schema.String,
    from: Schema.NullOr(Schema.Int),
    reason: Schema.String
  }),
  report: Schema.Struct({ version: Schema.Int, revoked: Schema.Int }),
  run: ({ from, ...item }) =>
    revoke({ ...item, from: from ?? undefined }).pipe(
      Effect.map(({ revoked, version }) => ({ version, revoked: revoked.length })),
      Effect.mapError(fromRevoke)
    )
})

export const fromRevoke = (error: NoRootInForce | KeyInUse): Refused =>
  error._tag === "NoRootInForce"
    ? fromNoRoot(error)
    : new Refused({
        code: "E_KEY_IN_USE",
        what: "Nothing was revoked.",
        why: `Central signs with ${error.id} now: without it no device could trust central.`,
        todo: 'Replace it first: "testferry central root rotate --role …". Then revoke the old one.'
      })

/** All of them, as the control socket serves them. */
export const revocationCommands: ReadonlyArray<ServedCommand<CentralPorts>> = [
  revocationsList,
  revocationsAdd
]

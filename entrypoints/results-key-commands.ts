/** What central is told and asked about results keys: their public halves, never the keys. */
import { Effect, Schema } from "effect"
import { changeRoot } from "../application/change-root.ts"
import { Refused } from "../application/refused.ts"
import { resultsKeys } from "../application/results-keys.ts"
import { Recipient } from "../domain/id.ts"
import { KeyId } from "../domain/opening.ts"
import { readRecipient } from "../infrastructure/results-keys.ts"
import { defineCommand, type ServedCommand } from "./command.ts"
import { refusedRoot } from "./root-commands.ts"
import { fromResultsKey } from "./unlock-keys.ts"
import type { CentralPorts } from "./wiring.ts"

const Use = Schema.Struct({
  id: Schema.String,
  recipient: Schema.String,
  role: Schema.Literals(["active", "recovery"]),
  from: Schema.Int,
  to: Schema.Int,
  retired: Schema.Boolean
})

export const keysList = defineCommand({
  name: "central keys list",
  side: "central",
  args: Schema.Struct({}),
  report: Schema.Struct({ keys: Schema.Array(Use) }),
  run: () => Effect.map(resultsKeys, (keys) => ({ keys }))
})

const Half = Schema.Struct({ id: KeyId, recipient: Recipient })

export const useResults = defineCommand({
  name: "central keys use-results",
  side: "central",
  args: Schema.Struct({ active: Half, recovery: Half, directory: Schema.String }),
  report: Schema.Struct({ version: Schema.Int, active: KeyId, recovery: KeyId }),
  run: Effect.fn("useResults")(function* ({ active, directory, recovery }) {
    const known = yield* resultsKeys
    const taken = [active, recovery].find(({ id, recipient }) =>
      known.some((use) => use.id === id && use.recipient !== recipient)
    )
    if (taken !== undefined) return yield* nameTaken(taken.id)
    const results = { active, recovery }
    return yield* changeRoot({ rotate: [], newEpoch: false, holders: undefined, results }).pipe(
      Effect.map(({ document }) => ({
        version: document.version,
        active: active.id,
        recovery: recovery.id
      })),
      Effect.catch((error) => refusedRoot(error, directory))
    )
  })
})

/** Reads both halves; one key for both would leave nothing for the emergency. */
export const readHalves = Effect.fnUntraced(function* (active: string, recovery: string) {
  const halves = {
    active: yield* Effect.mapError(readRecipient(active), fromResultsKey),
    recovery: yield* Effect.mapError(readRecipient(recovery), fromResultsKey)
  }
  return halves.active.recipient === halves.recovery.recipient ? yield* sameKey : halves
})

const sameKey = Effect.fail(
  new Refused({
    code: "E_KEY_SAME",
    what: "Nothing was changed.",
    why: "The active key and the recovery key are the same: losing it would lose every result.",
    todo: "Give the .recipient file of each."
  })
)

const nameTaken = (id: string) =>
  Effect.fail(
    new Refused({
      code: "E_KEY_ID",
      what: "Nothing was changed.",
      why: `Another key was named ${id} before: nobody could tell later which of them opens what.`,
      todo: 'Make the new key under another name: "testferry keys generate-results --id NAME".'
    })
  )

/** All of them, as the control socket serves them. */
export const resultsKeyCommands: ReadonlyArray<ServedCommand<CentralPorts>> = [keysList, useResults]

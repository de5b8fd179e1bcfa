/**
 * Prepares a package for devices: makes the form that they play, and opens every item once as it will
 * be opened on exam day.
 */
import { Effect, Result } from "effect"
import { FINDINGS_MAX } from "../domain/package-refusal.ts"
import { Scorer } from "./play-ports.ts"
import { PackageFaulty } from "./ports.ts"
import { type Prepared, Preparing } from "./prepare-ports.ts"

/**
 * Gives the form that devices play; its file goes with the scope. Fails with PackageFaulty and all
 * reasons, with ConverterMissing when it is QTI 2.x and can't be converted here, with NoSpace.
 */
export const preparePackage = Effect.fn("preparePackage")(function* (file: string) {
  const preparing = yield* Preparing
  const prepared = yield* preparing.prepare(file)
  const tried = yield* Effect.forEach(prepared.itemFiles, (item) => tryItem(prepared, item))
  const reasons = tried.flatMap(({ reason }) => reason ?? [])
  if (reasons.length > 0)
    return yield* new PackageFaulty({ reasons: reasons.slice(0, FINDINGS_MAX) })
  const warnings = [...prepared.warnings, ...tried.flatMap(({ warning }) => warning ?? [])]
  return { ...prepared, warnings: warnings.slice(0, FINDINGS_MAX) } satisfies Prepared
})

interface Tried {
  readonly reason?: PackageFaulty["reasons"][number]
  readonly warning?: string
}

/**
 * Opens an item and scores it without answers. One that can't be opened can't be played; scoring may
 * fail because nothing was answered, so that is told and no reason to refuse.
 */
const tryItem = Effect.fnUntraced(function* (prepared: Prepared, file: string) {
  const scorer = yield* Scorer
  const xml = yield* prepared.item(file)
  const drawn = yield* Effect.result(scorer.prepare({ xml }))
  if (Result.isFailure(drawn)) {
    const detail = `the item can't be opened: ${drawn.failure.why} Correct it in the program that made it.`
    return { reason: { code: "item-fails", file, detail } } satisfies Tried
  }
  const scored = yield* Effect.result(scorer.score({ xml, responses: [], outcomes: [] }))
  const none: Tried = {}
  if (Result.isSuccess(scored)) return none
  const warning = `${file}: a trial without answers could not be scored: ${scored.failure.why} Answers are kept in any case; try the item before exam day.`
  return { warning } satisfies Tried
})

/** Wires what playing a test asks of a QTI library, on a device. */
import { Effect, Layer } from "effect"
import { ItemForPage, Scorer, Unprocessed } from "../application/play-ports.ts"
import * as PackageTests from "../infrastructure/package-tests.ts"

/** Nothing is scored here: every answer is kept, and waits for who can score it. */
const unprocessed = Effect.fail(new Unprocessed({ why: "This device has no scorer." }))

const layerNoScorer = Layer.succeed(Scorer, {
  score: () => unprocessed,
  prepare: () => unprocessed,
  decide: () => unprocessed,
  conclude: () => unprocessed
})

/** An item with its answer keys must not reach a page: without who strips them, none does. */
const layerNoItems = Layer.succeed(ItemForPage, {
  prepare: () => {
    throw new Error("This device can't prepare items for a page.")
  }
})

export const layerPlaying = Layer.mergeAll(PackageTests.layer, layerNoScorer, layerNoItems)

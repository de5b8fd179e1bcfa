/**
 * Prepares a package for devices: makes the form that they play, and opens every item once as it will
 * be opened on exam day.
 */
import { Effect } from "effect"
import { Preparing } from "./prepare-ports.ts"

/**
 * Gives the form that devices play; its file goes with the scope. Fails with PackageFaulty and all
 * reasons, with ConverterMissing when it is QTI 2.x and can't be converted here, with NoSpace.
 */
export const preparePackage = Effect.fn("preparePackage")(function* (file: string) {
  const preparing = yield* Preparing
  return yield* preparing.prepare(file)
})

/** Reads the records of a bundle that lies aside, opened with central's key. */
import { Effect, Layer } from "effect"
import { BundleKeys, Incoming } from "../application/bundle-ports.ts"
import { RecordLines } from "../application/carried-ports.ts"
import { RECORDS, readLines } from "./bundle-lines.ts"

export const layer = Layer.effect(
  RecordLines,
  Effect.gen(function* () {
    const incoming = yield* Incoming
    const keys = yield* BundleKeys
    return RecordLines.of({
      read: (bundle, lines) =>
        readLines(RECORDS, keys.open(incoming.read(bundle, lines.file)), lines)
    })
  })
)

/**
 * Gives devices what central signs beside the feed: root documents, the list of revocations, and
 * each its own certificate (format §3.2 to §3.4). And hears what devices say of themselves.
 */
import { Effect } from "effect"
import type { DeviceReport } from "../domain/device-report.ts"
import { NotFound } from "./answer.ts"
import { Standing } from "./bundle-ports.ts"
import { certificateOf } from "./certify.ts"
import { hearReport } from "./hear-report.ts"
import { Authority, type Client } from "./ports.ts"

/** Roots of one answer; whoever lacks more asks again. */
export const ROOTS_AT_ONCE = 100

/** The root documents after version `after`, oldest first. */
export const rootsAfter = Effect.fn("rootsAfter")(function* (after: number) {
  const standing = yield* Standing
  return (yield* standing.chain).slice(after, after + ROOTS_AT_ONCE)
})

/** The newest list. Fails with NotFound when nothing was ever revoked. */
export const newestRevocations = Effect.gen(function* () {
  const standing = yield* Standing
  const { signed } = yield* standing.revocations
  return signed ?? (yield* new NotFound())
})

/** A certificate that says what the device is now. Credentials have none. */
export const ownCertificate = Effect.fn("ownCertificate")(function* (client: Client) {
  const authority = yield* Authority
  if (client.kind !== "device") return yield* new NotFound()
  return yield* authority.certify(yield* certificateOf(client))
})

/** Keeps what a device says of itself, and of nobody else: any other id is not found. */
export const takeReport = Effect.fn("takeReport")(function* (client: Client, said: DeviceReport) {
  if (client.kind !== "device" || said.device !== client.id) return yield* new NotFound()
  const mine = new Set<string>(client.organisations)
  const cursors = said.cursors.filter(({ organisation }) => mine.has(organisation))
  return { kept: yield* hearReport({ ...said, cursors }) }
})

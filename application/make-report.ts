/** Says where a device stands, for central: over HTTPS and in its bundles (format §2.5). */
import { Clock, Effect, Option } from "effect"
import type { DeviceReport, HeldCursor } from "../domain/device-report.ts"
import type { Digest } from "../domain/id.ts"
import { judge } from "../domain/readiness.ts"
import { PROGRAM_VERSION } from "../domain/release.ts"
import { DeviceFacts, Standing } from "./bundle-ports.ts"
import { wantedContents } from "./fetch-contents.ts"
import { Blobs, Holdings, type Membership } from "./ports.ts"
import { deviceFacts } from "./readiness.ts"
import { recheckingAlways } from "./recheck.ts"
import { Outbox } from "./record-ports.ts"

/** Only what is applied and durable counts: central builds on it. */
export const makeReport = Effect.fn("makeReport")(function* ({
  device,
  organisations
}: Membership) {
  const blobs = yield* Blobs
  const facts = yield* DeviceFacts
  const holdings = yield* Holdings
  const standing = yield* Standing
  const now = yield* Clock.currentTimeMillis
  const cursors: Array<HeldCursor> = []
  for (const organisation of organisations) {
    cursors.push({ organisation, ...(yield* holdings.cursor(organisation)) })
  }
  const here: Array<Digest> = []
  const wanted = yield* recheckingAlways(organisations)(wantedContents(organisations))
  for (const { blob, size } of wanted.values()) {
    const found = yield* blobs.size(blob)
    if (Option.isSome(found) && found.value === size) here.push(blob)
  }
  const { document } = yield* standing.root
  const { list } = yield* standing.revocations
  return {
    schema: "testferry/report/1",
    device,
    serial: yield* facts.nextSerial(now),
    at: now,
    program: PROGRAM_VERSION,
    cursors,
    blobs: here,
    root: document.version,
    revocations: list.version,
    disk: yield* facts.disk,
    own: yield* ownWord(now)
  } satisfies DeviceReport
})

/** What this device would say of itself to somebody who stands before it. */
const ownWord = Effect.fnUntraced(function* (now: number) {
  const outbox = yield* Outbox
  const known = yield* deviceFacts
  const { device } = judge(known, [], now)
  return {
    ledger: (yield* outbox.head).count,
    open: known.inProgress,
    alarms: device.flatMap(({ check, level }) => (level === "blocked" ? [check] : []))
  }
})

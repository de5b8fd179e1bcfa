/**
 * Looks at every device from central: what it holds by its own word, what has come home from it, when
 * and by which carrier it was last heard of, and what is the matter with it.
 */
import { Clock, Effect, Option } from "effect"
import type { DeviceCompleteness } from "../domain/completeness.ts"
import type { DeviceReport } from "../domain/device-report.ts"
import { type DeviceKnown, judgeDevice, worstFirst } from "../domain/fleet.ts"
import { DeviceId, type OrganisationId } from "../domain/id.ts"
import { Devices } from "./bundle-ports.ts"
import { devicesComplete } from "./completeness.ts"
import { type Client, Clients, Feeds, History } from "./ports.ts"

/** Enough to find the last bundle of each of some thousand devices, and read in a second. */
export const HISTORY_LOOKED_AT = 10_000

/** All devices, each with what is known of it and what is the matter. */
export const fleet = Effect.fn("fleet")(function* () {
  const clients = yield* Clients
  const now = yield* Clock.currentTimeMillis
  const complete = new Map((yield* devicesComplete(undefined)).map((one) => [one.device, one]))
  const bundles = yield* lastBundles
  const ground = yield* groundOf
  const devices = []
  for (const client of yield* clients.list("device")) {
    const device = DeviceId.make(client.id)
    const { known, report } = yield* knownOf(client, {
      ground,
      home: complete.get(device),
      bundleAt: bundles.get(client.id)
    })
    const { findings, level } = judgeDevice(known, now)
    devices.push({
      device,
      name: client.name,
      organisations: client.organisations,
      state: client.state,
      program: (report?.program ?? "") === "" ? client.program : (report?.program ?? null),
      lastContact: known.lastContact,
      reportedAt: known.report?.at ?? null,
      disk: report === undefined || report.disk.total === 0 ? null : report.disk,
      changes: known.changes,
      contents: known.contents,
      received: complete.get(device)?.received ?? 0,
      missing: known.missing,
      pending: report?.own === undefined ? null : known.missing + known.pending,
      sitting: report?.own?.open ?? null,
      quarantined: known.quarantined,
      level,
      findings
    })
  }
  return { now, devices: devices.sort(worstFirst) }
})

/** When the last bundle of each device came that was taken in. */
const lastBundles = Effect.gen(function* () {
  const history = yield* History
  const found = new Map<string, number>()
  for (const { at, device, outcome, verb } of yield* history.recent(HISTORY_LOOKED_AT)) {
    // Records that came over HTTPS are remembered by the same word where they were trouble.
    if (verb !== "receive" || outcome !== "done" || device === null) continue
    if ((found.get(device) ?? 0) < at) found.set(device, at)
  }
  return found
})

type Ground = Effect.Success<typeof groundOf>

const knownOf = Effect.fnUntraced(function* (
  client: Client,
  facts: {
    readonly ground: Ground
    readonly home: DeviceCompleteness | undefined
    readonly bundleAt: number | undefined
  }
) {
  const devices = yield* Devices
  const { bundleAt, ground, home } = facts
  const report = Option.getOrUndefined(yield* devices.report(DeviceId.make(client.id)))
  const isHeard = report !== undefined && report.at > 0
  const known: DeviceKnown = {
    state: client.state,
    program: client.program,
    enrolledAt: client.createdAt,
    lastContact: laterOf(client.lastSeenAt, bundleAt ?? null),
    report: isHeard ? { at: report.at, disk: report.disk, alarms: report.own?.alarms ?? [] } : null,
    // Beyond what is known to be missing: its ledger has grown since it last sent anything.
    pending: Math.max(0, (report?.own?.ledger ?? 0) - (home?.count ?? 0)),
    changes: isHeard ? yield* ground.behind(client.organisations, report) : 0,
    contents: isHeard ? yield* ground.contents(client.organisations, report) : 0,
    missing: (home?.missing ?? []).reduce((sum, { from, to }) => sum + to - from + 1, 0),
    quarantined: home?.quarantined ?? 0,
    conflicts: home?.conflicts ?? 0,
    forked: home?.forked ?? false
  }
  return { known, report }
})

const laterOf = (https: number | null, bundle: number | null): DeviceKnown["lastContact"] => {
  if (bundle !== null && bundle > (https ?? 0)) return { at: bundle, carrier: "bundle" }
  return https === null ? null : { at: https, carrier: "https" }
}

/** What is offered, asked once for all devices that stand at the same place. */
const groundOf = Effect.gen(function* () {
  const feeds = yield* Feeds
  const counts = new Map<string, number | null>()
  const offered = new Map<string, ReadonlyArray<string>>()
  const countAfter = Effect.fnUntraced(function* (
    organisation: OrganisationId,
    { epoch, version }: { readonly epoch: string; readonly version: number }
  ) {
    const key = JSON.stringify([organisation, epoch, version])
    const before = counts.get(key)
    if (before !== undefined) return before
    const count = yield* feeds
      .countAfter(organisation, { epoch, version })
      .pipe(Effect.catch(() => Effect.succeed(null)))
    counts.set(key, count)
    return count
  })
  return {
    /** Null when the device must begin anew with one of its organisations. */
    behind: Effect.fnUntraced(function* (
      organisations: ReadonlyArray<OrganisationId>,
      report: DeviceReport
    ) {
      const all = yield* Effect.forEach(organisations, (organisation) => {
        const cursor = report.cursors.find((one) => one.organisation === organisation)
        return countAfter(organisation, cursor ?? { epoch: "", version: 0 })
      })
      return all.reduce((sum, one) => (sum === null || one === null ? null : sum + one), 0)
    }),
    contents: Effect.fnUntraced(function* (
      organisations: ReadonlyArray<OrganisationId>,
      report: DeviceReport
    ) {
      const key = JSON.stringify(organisations)
      const wanted = offered.get(key) ?? (yield* feeds.blobs(organisations))
      offered.set(key, wanted)
      const here = new Set<string>(report.blobs)
      return wanted.filter((blob) => !here.has(blob)).length
    })
  }
})

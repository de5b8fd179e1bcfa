/**
 * Publishes a content package as a delivery, or as the next content version of one.
 *
 * The package is sealed once, to a key of this content version; the same sealed bytes go to every
 * device. That key is wrapped for each eligible test-taker when the feeds are refreshed. The same
 * package again changes what is said about the delivery, but makes no new version.
 */
import { Clock, Effect } from "effect"
import type { Content, Period } from "../domain/entity.ts"
import { NO_COUNTS } from "../domain/history.ts"
import { EntityId } from "../domain/id.ts"
import { DeliveryRecord } from "../domain/record.ts"
import { Atomic, Blobs, Catalogue, History, Packages, Secrets } from "./ports.ts"
import { report } from "./progress.ts"
import { refreshConcerned } from "./refresh.ts"

export interface Publication {
  readonly file: string
  /** Names the delivery; without it a new one is made. */
  readonly id: EntityId | undefined
  readonly label: string | undefined
  readonly period: Period
  readonly maxExecutions: number | undefined
  readonly proctored: boolean
  readonly dryRun: boolean
}

export interface Published {
  readonly id: EntityId
  readonly label: string
  readonly version: number
  readonly qti: string
  readonly items: number
  readonly warnings: ReadonlyArray<string>
  readonly content: "new" | "next" | "same"
  readonly applied: boolean
  readonly offered: number
}

/** Fails with PackageFaulty, having changed nothing, when the package can't be played. */
export const publish = Effect.fn("publish")(function* (publication: Publication) {
  const began = yield* Clock.currentTimeMillis
  const packages = yield* Packages
  const catalogue = yield* Catalogue
  const secrets = yield* Secrets
  const inspected = yield* packages.inspect(publication.file)
  const measured = yield* packages.measure(publication.file)
  const id = publication.id ?? (yield* secrets.newId("dlv"))
  const known = (yield* catalogue.byIds([id])).get(id)
  const before = known?.kind === "delivery" ? known : undefined
  const same = before?.content.plainSha256 === measured.sha256
  const label = publication.label ?? before?.label ?? inspected.title
  // An id that was removed goes on counting: devices and sessions tell contents apart by version.
  const last = before?.content.version ?? (yield* catalogue.retiredVersion(id))
  const version = last + (same ? 0 : 1)
  const said = {
    id,
    label,
    version,
    qti: inspected.qti,
    items: inspected.items,
    warnings: inspected.warnings,
    content: before === undefined ? "new" : same ? "same" : "next"
  } as const
  if (publication.dryRun) return { ...said, applied: false, offered: 0 } satisfies Published

  const sealed =
    before !== undefined && same
      ? { content: before.content, sealedIdentity: before.sealedIdentity }
      : yield* seal(publication.file, version, inspected.qti, measured)
  const { maxExecutions, period, proctored } = publication
  const record = DeliveryRecord.make({
    kind: "delivery",
    id,
    label,
    period,
    proctored,
    ...sealed,
    ...(maxExecutions === undefined ? {} : { maxExecutions })
  })
  const offered = yield* keep(record, before === undefined, began)
  return { ...said, applied: true, offered } satisfies Published
})

const seal = Effect.fnUntraced(function* (
  file: string,
  version: number,
  qti: string,
  measured: { readonly size: number; readonly sha256: Content["plainSha256"] }
) {
  const packages = yield* Packages
  const secrets = yield* Secrets
  const blobs = yield* Blobs
  const { identity, recipient } = yield* secrets.newIdentity
  yield* report({
    kind: "sealing",
    label: "Sealing the package",
    phase: "running",
    done: 0,
    total: 1,
    totalBytes: measured.size
  })
  const { blob, size } = yield* blobs.add(secrets.sealStream(recipient, packages.bytes(file)))
  yield* report({
    kind: "sealing",
    label: "Sealing the package",
    phase: "finished",
    done: 1,
    total: 1,
    bytes: measured.size,
    totalBytes: measured.size
  })
  const content: Content = {
    version,
    blob,
    size,
    plainSize: measured.size,
    plainSha256: measured.sha256,
    recipient,
    qti
  }
  return { content, sealedIdentity: yield* secrets.toVault(identity) }
})

/** The sealed bytes are durable by now: a row never names a blob that is not there. */
const keep = Effect.fnUntraced(function* (record: DeliveryRecord, created: boolean, began: number) {
  const atomic = yield* Atomic
  const catalogue = yield* Catalogue
  const history = yield* History
  return yield* atomic.run(
    Effect.gen(function* () {
      const concerned = yield* catalogue.concerned([record.id])
      yield* catalogue.put([record])
      const offered = yield* refreshConcerned(concerned, [record.id])
      const now = yield* Clock.currentTimeMillis
      yield* history.append({
        at: now,
        verb: "publish",
        who: "operator",
        device: null,
        organisation: null,
        outcome: "done",
        counts: { delivery: { ...NO_COUNTS, ...(created ? { created: 1 } : { updated: 1 }) } },
        bytes: record.content.size,
        millis: Math.max(0, now - began),
        reason: `${record.id} content version ${record.content.version}`
      })
      return offered
    })
  )
})

/** The id of a delivery by its name (`DeliveryName`), which may lack the prefix. */
export const deliveryId = (text: string): EntityId =>
  EntityId.make(text.startsWith("dlv_") ? text : `dlv_${text}`)

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
import { happened } from "./happened.ts"
import { Atomic, Blobs, Catalogue, type Inspected, Packages, Secrets } from "./ports.ts"
import { type Origin, Origins } from "./prepare-ports.ts"
import { report } from "./progress.ts"
import { refreshConcerned } from "./refresh.ts"

export interface Publication {
  readonly file: string
  /** What is known of `file`, when somebody has looked into it already. */
  readonly inspected?: Inspected
  /** What `file` was made from, when its author made something else. */
  readonly original?: { readonly file: string; readonly qti: string }
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
  const inspected = publication.inspected ?? (yield* packages.inspect(publication.file))
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
  const origin = same ? undefined : yield* originOf(publication, record)
  const offered = yield* keep(record, origin, before === undefined, began)
  return { ...said, applied: true, offered } satisfies Published
})

const seal = Effect.fnUntraced(function* (
  file: string,
  version: number,
  qti: string,
  measured: { readonly size: number; readonly sha256: Content["plainSha256"] }
) {
  const secrets = yield* Secrets
  const { identity, recipient } = yield* secrets.newIdentity
  yield* report({
    kind: "sealing",
    label: "Sealing the package",
    phase: "running",
    done: 0,
    total: 1,
    totalBytes: measured.size
  })
  const { blob, size } = yield* sealedBlob(file, recipient)
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

const sealedBlob = Effect.fnUntraced(function* (file: string, recipient: Content["recipient"]) {
  const packages = yield* Packages
  const secrets = yield* Secrets
  const blobs = yield* Blobs
  return yield* blobs.add(secrets.sealStream(recipient, packages.bytes(file)))
})

/** Seals the original to the key of the content that was made from it; it stays at central. */
const originOf = Effect.fnUntraced(function* (
  { original }: Publication,
  { content, id }: DeliveryRecord
) {
  if (original === undefined) return undefined
  const packages = yield* Packages
  const measured = yield* packages.measure(original.file)
  const { blob } = yield* sealedBlob(original.file, content.recipient)
  const origin: Origin = {
    delivery: id,
    version: content.version,
    plainSha256: content.plainSha256,
    originalSha256: measured.sha256,
    originalSize: measured.size,
    blob,
    qti: original.qti,
    at: yield* Clock.currentTimeMillis
  }
  return origin
})

/** The sealed bytes are durable by now: a row never names a blob that is not there. */
const keep = Effect.fnUntraced(function* (
  record: DeliveryRecord,
  origin: Origin | undefined,
  created: boolean,
  began: number
) {
  const origins = yield* Origins
  const atomic = yield* Atomic
  const catalogue = yield* Catalogue
  return yield* atomic.run(
    Effect.gen(function* () {
      const concerned = yield* catalogue.concerned([record.id])
      yield* catalogue.put([record])
      if (origin !== undefined) yield* origins.put(origin)
      const offered = yield* refreshConcerned(concerned, [record.id])
      const now = yield* Clock.currentTimeMillis
      yield* happened({
        at: now,
        verb: "publish",
        who: "operator",
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

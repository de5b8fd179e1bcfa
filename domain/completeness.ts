/**
 * Says what has come home and what has not (format §3.7), from the ledger's numbers, the sessions
 * and the eligibilities, without any key: "device 3: received 57, missing 12 and 13".
 */
import { Schema } from "effect"
import { DeviceId, type Digest, EntityId } from "./id.ts"
import { missingNumbers } from "./ledger.ts"
import type { SessionBody } from "./result.ts"

export const NumberRange = Schema.Struct({ from: Schema.Int, to: Schema.Int })
export type NumberRange = typeof NumberRange.Type

/** How far the ledger of a device has come home. */
export const DeviceCompleteness = Schema.Struct({
  device: DeviceId,
  name: Schema.String,
  received: Schema.Int,
  /** How long the device last said that its ledger is. */
  count: Schema.Int,
  missing: Schema.Array(NumberRange),
  quarantined: Schema.Int,
  /** Records that came with other bytes under the same name, or under the same number. */
  conflicts: Schema.Int,
  /** Its ledger contradicts what it said before: it was restored from a copy. */
  forked: Schema.Boolean
})
export type DeviceCompleteness = typeof DeviceCompleteness.Type

/** Who of those who may sit a delivery has sat it, and whose result is here. */
export const DeliveryCompleteness = Schema.Struct({
  delivery: EntityId,
  label: Schema.String,
  eligible: Schema.Int,
  /** People with a session, eligible still or no longer. */
  sat: Schema.Int,
  notSat: Schema.Array(EntityId),
  /** Sessions whose result is kept here; put aside here; named, but not here. */
  here: Schema.Int,
  quarantined: Schema.Int,
  missing: Schema.Array(Schema.Struct({ testTaker: EntityId, device: DeviceId })),
  /** Sessions that ended without a result to send. */
  without: Schema.Int
})
export type DeliveryCompleteness = typeof DeliveryCompleteness.Type

export const deviceCompleteness = (device: {
  readonly device: DeviceId
  readonly name: string
  readonly numbers: Iterable<number>
  readonly count: number
  readonly quarantined: number
  readonly conflicts: number
  readonly forked: boolean
}): DeviceCompleteness => {
  const { numbers, ...rest } = device
  const received = new Set(numbers)
  return { ...rest, received: received.size, missing: missingNumbers(received, device.count) }
}

/** A result that its session names is here, put aside, or not here. */
export type Whereabouts = "here" | "quarantined" | undefined

export const deliveryCompleteness = (given: {
  readonly delivery: EntityId
  readonly label: string
  readonly eligible: ReadonlySet<EntityId>
  readonly sessions: ReadonlyArray<SessionBody>
  readonly whereIs: (device: DeviceId, result: Digest) => Whereabouts
}): DeliveryCompleteness => {
  const { delivery, eligible, label, sessions, whereIs } = given
  const sat = new Set(sessions.map(({ testTaker }) => testTaker))
  const counts = { here: 0, quarantined: 0, without: 0 }
  const missing: Array<{ testTaker: EntityId; device: DeviceId }> = []
  for (const { device, result, testTaker } of sessions) {
    const where = result === null ? undefined : whereIs(device, result)
    if (result === null) counts.without += 1
    else if (where === undefined) missing.push({ testTaker, device })
    else counts[where] += 1
  }
  const notSat = [...eligible].filter((id) => !sat.has(id)).sort()
  return { delivery, label, eligible: eligible.size, sat: sat.size, notSat, ...counts, missing }
}

/** The same of one test center, for those who may sit the delivery there. */
export const CenterCompleteness = Schema.Struct({
  center: EntityId,
  label: Schema.String,
  eligible: Schema.Int,
  sat: Schema.Int,
  /** Sessions of theirs whose result is named, but not here. */
  missing: Schema.Int
})
export type CenterCompleteness = typeof CenterCompleteness.Type

export const centerCompleteness = (
  center: { readonly id: EntityId; readonly label: string; readonly eligible: Iterable<EntityId> },
  delivery: Pick<DeliveryCompleteness, "notSat" | "missing">
): CenterCompleteness => {
  const eligible = new Set(center.eligible)
  const notSat = delivery.notSat.filter((id) => eligible.has(id)).length
  return {
    center: center.id,
    label: center.label,
    eligible: eligible.size,
    sat: eligible.size - notSat,
    missing: delivery.missing.filter(({ testTaker }) => eligible.has(testTaker)).length
  }
}

/** "12 and 13", "4", "12 to 15, 20 and 31". */
export const rangesInWords = (ranges: ReadonlyArray<NumberRange>): string => {
  const words = ranges.flatMap(({ from, to }) =>
    to - from === 1 ? [`${from}`, `${to}`] : [from === to ? `${from}` : `${from} to ${to}`]
  )
  const last = words.at(-1) ?? ""
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} and ${last}`
}

/** One line for a person. */
export const deviceInWords = (one: DeviceCompleteness): string =>
  [
    `${one.name} (${one.device}): received ${one.received}`,
    one.missing.length === 0 ? "nothing missing" : `missing ${rangesInWords(one.missing)}`,
    ...(one.quarantined === 0 ? [] : [`${one.quarantined} in quarantine`]),
    ...(one.conflicts === 0 ? [] : [`${one.conflicts} in conflict: look at them`]),
    ...(one.forked ? ["its ledger forked: it was restored from a copy"] : [])
  ].join(", ")

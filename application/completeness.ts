/**
 * Tells the office what has come home and what has not, per device and per delivery, without any
 * key: from the numbers of the ledgers, the sessions and the eligibilities.
 */
import { Effect, Stream } from "effect"
import {
  type DeliveryCompleteness,
  type DeviceCompleteness,
  deliveryCompleteness,
  deviceCompleteness,
  type Whereabouts
} from "../domain/completeness.ts"
import { DeviceId, type EntityId } from "../domain/id.ts"
import type { SessionBody } from "../domain/result.ts"
import { Catalogue, Clients } from "./ports.ts"
import { Records } from "./record-ports.ts"

/** Every device that is not blocked for good, or the one that is asked for. */
export const devicesComplete = Effect.fn("devicesComplete")(function* (only: DeviceId | undefined) {
  const clients = yield* Clients
  const records = yield* Records
  const found: Array<DeviceCompleteness> = []
  for (const { id, name } of yield* clients.list("device")) {
    if (only !== undefined && id !== only) continue
    const device = DeviceId.make(id)
    const { count, forked, received } = yield* records.numbers(device)
    let quarantined = 0
    let conflicts = 0
    yield* Stream.runForEach(records.list({ ...ALL, device }), (one) =>
      Effect.sync(() => {
        // Bytes that were changed on the way nobody can release: the right ones came, or are missing.
        if (one.stage === "quarantined" && !one.altered) quarantined += 1
        if (one.conflict) conflicts += 1
      })
    )
    found.push(
      deviceCompleteness({ device, name, numbers: received, count, quarantined, conflicts, forked })
    )
  }
  return found
})

/** Every delivery of which there is an eligibility or a session, or the one that is asked for. */
export const deliveriesComplete = Effect.fn("deliveriesComplete")(function* (
  only: EntityId | undefined
) {
  const catalogue = yield* Catalogue
  const eligible = yield* eligibleByDelivery
  const sessions = yield* sessionsByDelivery(only)
  const ids = [...new Set([...eligible.keys(), ...sessions.keys()])].sort()
  const asked = only === undefined ? ids : [only]
  const known = yield* catalogue.byIds(asked)
  const found: Array<DeliveryCompleteness> = []
  for (const delivery of asked) {
    const where = yield* whereResultsAre(delivery)
    const record = known.get(delivery)
    found.push(
      deliveryCompleteness({
        delivery,
        label: record?.kind === "delivery" ? record.label : "(removed)",
        eligible: eligible.get(delivery) ?? new Set(),
        sessions: sessions.get(delivery) ?? [],
        whereIs: (device, result) => where.get(`${device} ${result}`)
      })
    )
  }
  return found
})

const ALL = {
  kind: undefined,
  stages: undefined,
  delivery: undefined,
  organisation: undefined,
  device: undefined
} as const

const eligibleByDelivery = Effect.gen(function* () {
  const catalogue = yield* Catalogue
  const found = new Map<EntityId, Set<EntityId>>()
  yield* Stream.runForEach(catalogue.list("eligibility"), (record) =>
    Effect.sync(() => {
      if (record.kind !== "eligibility") return
      const people = found.get(record.delivery) ?? new Set()
      for (const id of record.testTakers) people.add(id)
      found.set(record.delivery, people)
    })
  )
  return found
})

/** Of a session that was opened again the latest word counts. */
const sessionsByDelivery = Effect.fnUntraced(function* (delivery: EntityId | undefined) {
  const records = yield* Records
  const latest = new Map<string, SessionBody>()
  const filter = { ...ALL, kind: "test-session", stages: ["stored"], delivery } as const
  yield* Stream.runForEach(records.list(filter), ({ session }) =>
    Effect.sync(() => {
      if (session === null) return
      const before = latest.get(session.execution)
      if (before === undefined || before.revision < session.revision)
        latest.set(session.execution, session)
    })
  )
  const found = new Map<EntityId, Array<SessionBody>>()
  for (const session of latest.values()) {
    const sessions = found.get(session.delivery) ?? []
    sessions.push(session)
    found.set(session.delivery, sessions)
  }
  return found
})

const whereResultsAre = Effect.fnUntraced(function* (delivery: EntityId) {
  const records = yield* Records
  const found = new Map<string, Whereabouts>()
  yield* Stream.runForEach(records.list({ ...ALL, kind: "result", delivery }), (one) =>
    Effect.sync(() => {
      const where = one.stage === "quarantined" ? "quarantined" : "here"
      if (!one.altered) found.set(`${one.device} ${one.entry.sha256}`, where)
    })
  )
  return found
})

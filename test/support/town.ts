/**
 * The smallest world with something of everything: a central, the organisation "0123" with one
 * center, an administrator, a proctor, three test-takers and a delivery, and an enrolled device.
 */
import { tmpdir } from "node:os"
import path from "node:path"
import { Effect } from "effect"
import { Central, Executions, Holdings } from "../../application/ports.ts"
import { type PullOptions, pull } from "../../application/pull.ts"
import { sync } from "../../application/sync.ts"
import type { Execution } from "../../domain/execution.ts"
import { type EntityId, OrganisationId } from "../../domain/id.ts"
import { wrapId } from "../../domain/offer.ts"
import { carry, type Line, openLine } from "./carrier.ts"
import * as Observe from "./observe.ts"
import * as Office from "./office.ts"
import { openCentral, openDevice, scratch } from "./site.ts"

export const ORGANISATION = OrganisationId.make("0123")
export const HALL = "Main hall"
export const TAKERS = ["ada", "ben", "cem"] as const

export const EVERYTHING: PullOptions = { dryRun: false, confirmRemovals: false }

export const town = Effect.gen(function* () {
  const root = yield* scratch(tmpdir())
  const central = yield* openCentral(path.join(root, "central"))
  const office = central.run
  const published = (id: string, text: string) => Office.publishText(root, id, text)
  yield* office(Office.people("sync-manager", [{ login: "mia", organisation: ORGANISATION }]))
  yield* office(Office.people("administrator", [{ login: "adam" }]))
  yield* office(Office.people("proctor", [{ login: "pia" }]))
  yield* office(
    Office.people(
      "test-taker",
      TAKERS.map((login) => ({ login }))
    )
  )
  yield* office(Office.center(ORGANISATION, HALL, { administrators: ["adam"], proctors: ["pia"] }))
  yield* office(published("math", "one and one"))
  yield* office(Office.eligible(HALL, "math", TAKERS))

  const { device, line } = yield* anotherDevice(root, central, "device", "mia")
  return { root, central, office, published, device, line, on: device.run }
})

export type Town = Effect.Success<typeof town>

/** Opens one more device of central's, enrolled by a sync manager. */
export const anotherDevice = Effect.fnUntraced(function* (
  root: string,
  central: Parameters<typeof carry>[0],
  name: string,
  manager: string
) {
  const line: Line = openLine()
  const device = yield* openDevice(path.join(root, name), carry(central, line))
  yield* Office.enrolDevice(central, device, line, {
    login: manager,
    password: Office.passwordOf(manager)
  })
  return { device, line }
})

/** Pulls the organisation's data, with other options where they are given. */
export const pulled = (changes: Partial<PullOptions> = {}) =>
  pull(ORGANISATION, { ...EVERYTHING, ...changes })

/** Synchronises everything. */
export const synced = (changes: Partial<PullOptions> = {}) => sync({ ...EVERYTHING, ...changes })

/** Keys on the device: what is held, or what is merely kept back. */
export const keys = (held: 0 | 1 = 0) =>
  Effect.map(Observe.heldRows, (rows) => Observe.keysIn(rows, ORGANISATION, held))

/** Keys that central offers the organisation now. */
export const offered = Effect.map(Observe.offerRows, (rows) =>
  rows
    .filter((row) => row.organisation === ORGANISATION && row.digest !== null)
    .map((row) => `${row.kind}/${row.id}`)
    .sort()
)

/** An execution of a delivery by a test-taker at the hall, as the device's own rows describe it. */
export const execution = Effect.fnUntraced(function* (
  ids: {
    readonly delivery: EntityId
    readonly testTaker: EntityId
    readonly eligibility: EntityId
  },
  state: Execution["state"]
) {
  const holdings = yield* Holdings
  const [delivery, eligibility] = yield* Effect.forEach([ids.delivery, ids.eligibility], (id) =>
    Effect.map(holdings.byIds(ORGANISATION, [id]), ([entity]) => entity)
  )
  if (delivery?.kind !== "delivery" || eligibility?.kind !== "eligibility") {
    return yield* Effect.die(new Error("nothing to sit"))
  }
  const { blob, version } = delivery.content
  const sitting: Execution = {
    id: `exe_${ids.testTaker}`,
    organisation: ORGANISATION,
    delivery: delivery.id,
    contentVersion: version,
    blob,
    testTaker: ids.testTaker,
    testCenter: eligibility.testCenter,
    eligibility: eligibility.id,
    wrap: wrapId(delivery.id, version, ids.testTaker),
    state,
    startedAt: 0
  }
  const executions = yield* Executions
  yield* executions.put(sitting)
  return sitting
})

/** The same execution in another state. */
export const moved = (sitting: Execution, state: Execution["state"]) =>
  Effect.flatMap(Executions, (executions) => executions.put({ ...sitting, state }))

/** Runs a device's verb with another Central in the place of the carrier. */
export const instead =
  (change: (central: Central["Service"]) => Central["Service"]) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Central, (central) => Effect.provideService(effect, Central, change(central)))

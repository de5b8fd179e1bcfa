import { createHash } from "node:crypto"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Observe from "./support/observe.ts"
import { assertCentral } from "./support/observe-central.ts"
import * as Office from "./support/office.ts"
import * as Rosters from "./support/roster-files.ts"
import * as Town from "./support/town.ts"
import { HALL, ORGANISATION } from "./support/town.ts"

/** As many again have their keys offered: more than two pages of a feed. */
const PEOPLE = 300
const DEVICES = 10
/** Milliseconds between two synchronisations of a device: all of this is one thread. */
const PAUSE = 400

const logins = Array.from({ length: PEOPLE }, (_, at) => `taker${at}`)

/** Everything that an organisation is offered, or that a device of it holds, in one word. */
const stateOf = (
  rows: ReadonlyArray<{
    readonly kind: string
    readonly id: string
    readonly digest: string | null
  }>
) => {
  const lines = rows.flatMap(({ digest, id, kind }) =>
    digest === null ? [] : [`${kind}/${id} ${digest}`]
  )
  return createHash("sha256").update(lines.sort().join("\n")).digest("hex")
}

const offeredState = Effect.map(Observe.offerRows, stateOf)
const heldState = Effect.map(Observe.heldRows, stateOf)

describe("ten devices that synchronise while central imports", () => {
  for (const database of Rosters.DATABASES) {
    it.live(
      `have what central offered at one moment, and in the end the newest, on ${database}`,
      () =>
        Effect.gen(function* () {
          const { central, files, office, root } = yield* Rosters.emptyCentral(database)
          const roster = (name: string, label: string) =>
            Rosters.writeUsers(
              path.join(files, name),
              logins.map((login) => ({
                login,
                label: `${label} ${login}`,
                ...(label === "Old" ? { password: Office.passwordOf(login) } : {})
              }))
            )
          yield* office(
            Office.people("sync-manager", [{ login: "mia", organisation: ORGANISATION }])
          )
          yield* office(Office.center(ORGANISATION, HALL))
          yield* office(Office.publishText(root, "math", "one and one"))
          yield* office(Rosters.importUsers(roster("old.csv", "Old")))
          yield* office(Office.eligible(HALL, "math", logins))
          const devices = yield* Effect.forEach(Array.from({ length: DEVICES }).keys(), (at) =>
            Town.anotherDevice(root, central, `device${at}`, "mia")
          )

          const offered = new Set([stateOf([]), yield* office(offeredState)])
          const during: Array<string> = []
          let importing = true
          // Nobody else writes, so what is offered behind an import is what it left.
          const imports = yield* Effect.forkChild(
            Effect.forEach(["New", "Newest"], (label) =>
              Effect.gen(function* () {
                const { report } = yield* office(Rosters.importUsers(roster(`${label}.csv`, label)))
                assert.strictEqual(report.updated, PEOPLE)
                offered.add(yield* office(offeredState))
              })
            ).pipe(Effect.ensuring(Effect.sync(() => (importing = false))))
          )
          yield* Effect.forEach(
            devices,
            ({ device }) =>
              Effect.gen(function* () {
                for (let times = 0; importing || times < 2; times++) {
                  const { outcome } = yield* device.run(Town.synced())
                  assert.include(["done", "unchanged"], outcome)
                  if (outcome === "done") during.push(yield* device.run(heldState))
                  else yield* Effect.sleep(PAUSE)
                }
              }),
            { concurrency: DEVICES }
          )
          yield* Fiber.join(imports)
          assert.isAtLeast(during.length, DEVICES)
          for (const state of during) assert.isTrue(offered.has(state), "a state in between")
          assert.strictEqual(offered.size, 4)

          const newest = yield* office(offeredState)
          for (const { device } of devices) {
            yield* device.run(Town.synced())
            assert.strictEqual(yield* device.run(heldState), newest)
          }
          yield* office(assertCentral([ORGANISATION]))
        }),
      240_000
    )
  }
})

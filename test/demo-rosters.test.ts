import { readdirSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { problemLine } from "../domain/import-report.ts"
import { eligibilities, type Roster, testCenters, type UserType, users } from "../domain/roster.ts"
import { readRoster } from "../infrastructure/csv-reader.ts"

describe("the demo's roster files", () => {
  const demo = join(import.meta.dirname, "../entrypoints/demo/csv")
  const rowsOf = <Row>(name: string, roster: Roster<Row>) =>
    readRoster(join(demo, name), roster).pipe(
      Stream.runCollect,
      Effect.map((batches) =>
        batches.flatMap((batch) =>
          batch.items.map((item) => {
            if (item._tag === "Row") return item.row
            throw new Error(item.problems.map(problemLine).join("\n"))
          })
        )
      )
    )
  const usersOf = (name: string, type: UserType) =>
    rowsOf(
      name,
      users(type, (password) => (password.length < 15 ? "is too short" : undefined))
    )

  it.effect("are free of problems and name only each other", () =>
    Effect.gen(function* () {
      const logins = {
        takers: (yield* usersOf("test-takers.csv", "test-taker")).map((row) => row.login),
        proctors: (yield* usersOf("proctors.csv", "proctor")).map((row) => row.login),
        administrators: (yield* usersOf("administrators.csv", "test-center-admin")).map(
          (row) => row.login
        )
      }
      const managers = yield* usersOf("sync-managers.csv", "sync-manager")
      const centers = yield* rowsOf("test-centers.csv", testCenters)
      assert.deepStrictEqual(
        new Set(centers.map((center) => center.organisation)),
        new Set(["0123", "123"])
      )
      assert.deepStrictEqual(
        new Set(managers.map((row) => row.organisation)),
        new Set(["0123", "123"])
      )
      const labels = centers.map((center) => center.label)
      for (const center of centers) {
        assert.includeMembers(logins.administrators, [...center.administrators])
        assert.includeMembers(logins.proctors, [...center.proctors])
        assert.includeMembers(labels, [...center.subCenters])
      }
      const eligible = yield* rowsOf("eligibilities.csv", eligibilities)
      for (const row of eligible) {
        assert.include([...labels, "0123", "123"], row.testCenter)
        assert.include(["rivers", "fractions", "soundscapes"], row.delivery)
        assert.includeMembers(logins.takers, [...row.testTakers])
      }
      assert.strictEqual(readdirSync(demo).length, 6)
    })
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { open } from "../application/open.ts"
import { Catalogue, Hashing, ImportWork, Opener, Passwords, Secrets } from "../application/ports.ts"
import { remove } from "../application/remove.ts"
import { OrganisationId } from "../domain/id.ts"
import { personName } from "../domain/record.ts"
import { entityOf, offerRows } from "./support/observe.ts"
import { assertCentral } from "./support/observe-central.ts"
import * as Office from "./support/office.ts"
import * as Town from "./support/town.ts"
import { HALL, ORGANISATION, TAKERS } from "./support/town.ts"

const OTHER = OrganisationId.make("other")

/** What somebody can open on the device with their password: content by delivery. */
const opens = (login: string, password = Office.passwordOf(login)) =>
  Effect.map(open(login, password), (opened) =>
    opened.flatMap(({ deliveries }) =>
      deliveries.map(({ content, delivery }) => [
        delivery.id,
        typeof content === "string" ? content : content.files
      ])
    )
  )

describe("what a login opens on a device", () => {
  it.live("is every delivery that the test-taker may sit, and its content", () =>
    Effect.gen(function* () {
      const { office, on, published } = yield* Town.town
      yield* office(published("art", "a picture"))
      yield* office(Office.eligible(HALL, "art", ["ada"]))
      yield* on(Town.synced())
      assert.deepStrictEqual((yield* on(opens("ada"))).sort(), [
        ["dlv_art", 3],
        ["dlv_math", 3]
      ])
      assert.deepStrictEqual(yield* on(opens("ben")), [["dlv_math", 3]])
    })
  )

  it.live("is the roster of their centers for administrators and proctors", () =>
    Effect.gen(function* () {
      const { on } = yield* Town.town
      yield* on(Town.synced())
      for (const login of ["adam", "pia"]) {
        const [opened] = yield* on(open(login, Office.passwordOf(login)))
        assert.deepStrictEqual(
          opened?.roster.map(({ center, people }) => [center, people.map((one) => one.login)]),
          [[HALL, [...TAKERS]]]
        )
      }
    })
  )

  it.live("is the next content version, with the key of that version", () =>
    Effect.gen(function* () {
      const { on, office, published } = yield* Town.town
      yield* on(Town.synced())
      yield* office(published("math", "two and two"))
      yield* on(Town.synced())
      assert.deepStrictEqual(yield* on(opens("ada")), [["dlv_math", 3]])
    })
  )

  it.live("is the content of a delivery that was removed and published again under its id", () =>
    Effect.gen(function* () {
      const { office, on, published } = yield* Town.town
      yield* on(Town.synced())
      yield* office(remove(yield* office(mathAndItsEligibility)))
      yield* office(published("math", "two and two"))
      yield* office(Office.eligible(HALL, "math", TAKERS))
      yield* on(Town.synced({ confirmRemovals: true }))
      assert.deepStrictEqual(yield* on(opens("ada")), [["dlv_math", 3]])
    })
  )

  it.live("is the content of a delivery whose id has colons", () =>
    Effect.gen(function* () {
      const { office, on, published } = yield* Town.town
      yield* office(published("2027:math:a", "three and three"))
      yield* office(Office.eligible(HALL, "2027:math:a", ["ada"]))
      yield* on(Town.synced())
      assert.deepInclude(yield* on(opens("ada")), ["dlv_2027:math:a", 3])
    })
  )

  it.live("stays theirs under a new password, and closes to the old one", () =>
    Effect.gen(function* () {
      const { office, on } = yield* Town.town
      yield* on(Town.synced())
      yield* office(Office.people("test-taker", [{ login: "ada", password: "another password" }]))
      yield* on(Town.synced())
      assert.deepStrictEqual(yield* on(opens("ada", "another password")), [["dlv_math", 3]])
      assert.strictEqual((yield* on(Effect.flip(opens("ada"))))._tag, "WrongPassword")
    })
  )

  it.live("stays theirs when an import that broke off is finished after a later one", () =>
    Effect.gen(function* () {
      const { office, on } = yield* Town.town
      const roster = [{ login: "ada", password: "the first password" }]
      // The first import has paid for its wrap and was interrupted then.
      yield* office(
        Effect.gen(function* () {
          const catalogue = yield* Catalogue
          const hashing = yield* Hashing
          const secrets = yield* Secrets
          const work = yield* ImportWork
          const name = personName("ada")
          const ada = (yield* catalogue.byNames([name])).get(name)
          if (ada === undefined) return
          const { identity, recipient } = yield* secrets.newIdentity
          const password = "the first password"
          const wrap = yield* secrets.wrap({ user: ada.id, ver: 2, password, identity, recipient })
          const file = hashing.sha256(JSON.stringify(["test-taker", roster]))
          yield* work.keep(file, [{ user: ada.id, login: name, wrap }])
        })
      )
      yield* office(
        Office.people("test-taker", [{ login: "ada", password: "the second password" }])
      )
      yield* office(Office.people("test-taker", roster))
      yield* on(Town.synced())
      assert.deepStrictEqual(yield* on(opens("ada", "the first password")), [["dlv_math", 3]])
    })
  )
})

const mathAndItsEligibility = Effect.all([
  Office.idOfDelivery("math"),
  Office.idOfEligibility(ORGANISATION, HALL, "math")
])

describe("what central offers", () => {
  it.live("never names a sub-center whose row was refused", () =>
    Effect.gen(function* () {
      const { office } = yield* Town.town
      const row = { organisation: ORGANISATION, administrators: [], proctors: [], subCenters: [] }
      const { report } = yield* office(
        Office.centers(
          [
            { ...row, label: "Campus", subCenters: ["Annexe"] },
            { ...row, label: "Annexe", administrators: ["nobody"] },
            { ...row, label: "District", subCenters: ["Campus"] },
            { ...row, label: "Gym", subCenters: ["Gym hall"] },
            { ...row, label: "Gym hall" }
          ],
          true
        )
      )
      assert.deepStrictEqual([report.created, report.failed], [2, 3])
      yield* office(assertCentral([ORGANISATION]))
    })
  )

  it.live("is sealed anew for everybody who is shown, in every organisation that has them", () =>
    Effect.gen(function* () {
      const { office } = yield* Town.town
      yield* office(Office.center(OTHER, "Far hall", { proctors: ["pia"] }))
      yield* office(assertCentral([ORGANISATION, OTHER]))
      yield* office(Office.center(ORGANISATION, HALL, { administrators: ["adam"] }))
      yield* office(assertCentral([ORGANISATION, OTHER]))
      yield* office(Effect.flatMap(Office.idOfCenter(OTHER, "Far hall"), (id) => remove([id])))
      yield* office(assertCentral([ORGANISATION, OTHER]))
    })
  )

  it.live("has an organisation that only a roster of test-takers named", () =>
    Effect.gen(function* () {
      const { office } = yield* Town.town
      yield* office(Office.people("test-taker", [{ login: "dan", organisation: OTHER }]))
      yield* office(assertCentral([OTHER]))
    })
  )

  it.live("is not touched by an import that changes nothing", () =>
    Effect.gen(function* () {
      const { office, published } = yield* Town.town
      const said = Effect.map(offerRows, (rows) =>
        rows.map(({ digest, id, version }) => [id, version, digest])
      )
      const before = yield* office(said)
      yield* office(Office.people("administrator", [{ login: "adam" }]))
      yield* office(
        Office.center(ORGANISATION, HALL, { administrators: ["adam"], proctors: ["pia"] })
      )
      yield* office(Office.eligible(HALL, "math", TAKERS))
      yield* office(published("math", "one and one"))
      assert.deepStrictEqual(yield* office(said), before)
    })
  )

  it.live("takes the names of people out of reach of those who lost access to a center", () =>
    Effect.gen(function* () {
      const { office } = yield* Town.town
      const rosterKeyOf = (login: string) =>
        Effect.gen(function* () {
          const passwords = yield* Passwords
          const opener = yield* Opener
          const id = yield* Office.idOfPerson(login)
          const entities = (yield* offerRows).flatMap(({ body }) =>
            body === null ? [] : [entityOf({ body })]
          )
          const person = entities.find((entity) => entity.id === id)
          const wrap = entities.find((one) => one.kind === "key-wrap" && one.reader === id)
          if (person === undefined || !("wrap" in person) || wrap?.kind !== "key-wrap") return ""
          const own = yield* passwords.unwrap(id, person.wrap, Office.passwordOf(login))
          const said: { readonly identity: string } = JSON.parse(yield* opener.open(own, wrap.box))
          return said.identity
        })
      const profileOf = (login: string) =>
        Effect.gen(function* () {
          const id = yield* Office.idOfPerson(login)
          const body = (yield* offerRows).find((row) => row.id === id)?.body ?? ""
          const entity = entityOf({ body })
          return "profile" in entity ? entity.profile : ""
        })
      const piasKey = yield* office(rosterKeyOf("pia"))
      const openBy = (key: string, box: string) =>
        office(Effect.flatMap(Opener, (opener) => Effect.option(opener.open(key, box))))
      assert.strictEqual((yield* openBy(piasKey, yield* office(profileOf("ada"))))._tag, "Some")
      yield* office(Office.center(ORGANISATION, HALL, { administrators: ["adam"] }))
      assert.strictEqual((yield* openBy(piasKey, yield* office(profileOf("ada"))))._tag, "None")
      const adamsKey = yield* office(rosterKeyOf("adam"))
      assert.strictEqual((yield* openBy(adamsKey, yield* office(profileOf("ada"))))._tag, "Some")
    })
  )
})

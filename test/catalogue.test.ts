import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { open } from "../application/open.ts"
import { Catalogue, Hashing, ImportWork, Opener, Passwords, Secrets } from "../application/ports.ts"
import { remove } from "../application/remove.ts"
import { OrganisationId } from "../domain/id.ts"
import { personName } from "../domain/record.ts"
import { entityOf, heldRows, offerRows, tamper } from "./support/observe.ts"
import { assertCentral, sealedKeys } from "./support/observe-central.ts"
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

  it.live("has a content version of its own, whatever was removed and published again", () =>
    Effect.gen(function* () {
      const { office, published } = yield* Town.town
      const again = (text: string) =>
        Effect.gen(function* () {
          yield* remove(yield* mathAndItsEligibility)
          const { content, version } = yield* published("math", text)
          yield* Office.eligible(HALL, "math", TAKERS)
          return [content, version]
        })
      assert.deepStrictEqual(yield* office(again("two and two")), ["new", 2])
      assert.strictEqual((yield* office(published("math", "three and three"))).version, 3)
      assert.deepStrictEqual(yield* office(again("three and three")), ["new", 4])
      assert.deepStrictEqual(yield* office(again("four and four")), ["new", 5])
      assert.strictEqual((yield* office(published("art", "a picture"))).version, 1)
      yield* office(assertCentral([ORGANISATION]))
    })
  )

  it.live("is another than the one a session runs on, after removing and publishing again", () =>
    Effect.gen(function* () {
      const { office, on, published } = yield* Town.town
      yield* on(Town.synced())
      const [delivery, eligibility] = yield* office(mathAndItsEligibility)
      const testTaker = yield* office(Office.idOfPerson("ada"))
      const ids = { delivery, eligibility, testTaker }
      const { wrap } = yield* on(Town.execution(ids, "running"))
      const boxOf = Effect.map(heldRows, (rows) => rows.find(({ id }) => id === wrap)?.body)
      const before = yield* on(boxOf)
      yield* office(remove([delivery, eligibility]))
      yield* office(published("math", "two and two"))
      yield* office(Office.eligible(HALL, "math", TAKERS))
      yield* on(Town.synced({ confirmRemovals: true }))
      assert.strictEqual(yield* on(boxOf), before)
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
      yield* office(paidFor("ada", "the first password"))
      yield* office(
        Office.people("test-taker", [{ login: "ada", password: "the second password" }])
      )
      yield* office(Office.people("test-taker", roster))
      yield* on(Town.synced())
      assert.deepStrictEqual(yield* on(opens("ada", "the first password")), [["dlv_math", 3]])
    })
  )
})

/** An import of one test-taker has paid for the wrap, and was interrupted then. */
const paidFor = (login: string, password: string) =>
  Effect.gen(function* () {
    const catalogue = yield* Catalogue
    const hashing = yield* Hashing
    const secrets = yield* Secrets
    const work = yield* ImportWork
    const name = personName(login)
    const user = (yield* catalogue.byNames([name])).get(name)?.id
    if (user === undefined) return yield* Effect.die(new Error(`no ${login}`))
    const { identity, recipient } = yield* secrets.newIdentity
    const wrap = yield* secrets.wrap({ user, ver: 2, password, identity, recipient })
    const file = hashing.sha256(JSON.stringify(["test-taker", [{ login, password }]]))
    yield* work.keep(file, [{ user, login: name, wrap }])
  })

const mathAndItsEligibility = Effect.all([
  Office.idOfDelivery("math"),
  Office.idOfEligibility(ORGANISATION, HALL, "math")
])

describe("what central keeps of people", () => {
  it.live("is gone when they are: sealed boxes, and work of imports that broke off", () =>
    Effect.gen(function* () {
      const { office } = yield* Town.town
      const ada = yield* office(Office.idOfPerson("ada"))
      yield* office(paidFor("ada", "the first password"))
      yield* office(paidFor("ben", "the first password"))
      assert.lengthOf(
        (yield* office(sealedKeys)).filter((key) => key.includes(ada)),
        2
      )
      const eligibility = yield* office(Office.idOfEligibility(ORGANISATION, HALL, "math"))
      yield* office(Office.eligible(HALL, "math", ["ben", "cem"]))
      assert.deepStrictEqual(
        (yield* office(sealedKeys)).filter((key) => key.includes(ada)),
        [],
        "ada is offered nowhere"
      )
      yield* office(remove([ada]))
      assert.deepStrictEqual(yield* office(workedFor), ["person ben"])
      yield* office(remove([eligibility, yield* office(Office.idOfPerson("ben"))]))
      assert.deepStrictEqual(yield* office(workedFor), [])
      const all = (yield* office(sealedKeys)).map((key) => key.split("/")[0])
      assert.deepStrictEqual(all, [
        "administrator",
        "key-wrap",
        "key-wrap",
        "proctor",
        "sync-manager"
      ])
    })
  )

  it.live("stays while another organisation is offered it", () =>
    Effect.gen(function* () {
      const { office } = yield* Town.town
      yield* office(Office.center(OTHER, "Far hall", { proctors: ["pia"] }))
      yield* office(Office.center(ORGANISATION, HALL, { administrators: ["adam"] }))
      const pia = yield* office(Office.idOfPerson("pia"))
      assert.include(yield* office(sealedKeys), `proctor/${pia}`)
      yield* office(Office.center(OTHER, "Far hall"))
      assert.notInclude((yield* office(sealedKeys)).join(), pia)
    })
  )

  it.live("is forgotten by the next import when an import broke off for good", () =>
    Effect.gen(function* () {
      const { office } = yield* Town.town
      const importing = Office.people("proctor", [{ login: "paul" }])
      yield* office(paidFor("ada", "the first password"))
      yield* office(importing)
      assert.deepStrictEqual(yield* office(workedFor), ["person ada"])
      yield* office(tamper("UPDATE import_work SET kept_ms = kept_ms - 2678400000"))
      yield* office(Office.people("proctor", [{ login: "petra" }]))
      assert.deepStrictEqual(yield* office(workedFor), [])
    })
  )
})

const workedFor = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.orDie(
    Effect.map(sql<{ login: string }>`SELECT login FROM import_work ORDER BY login`, (rows) =>
      rows.map(({ login }) => login)
    )
  )
)

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

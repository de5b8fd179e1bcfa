import crypto from "node:crypto"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Result } from "effect"
import { open } from "../application/open.ts"
import { Contents, Holdings, Opener, Passwords, Secrets } from "../application/ports.ts"
import { remove } from "../application/remove.ts"
import { canonical } from "../domain/canonical.ts"
import { type Entity, WrappedKey } from "../domain/entity.ts"
import { type EntityId, OrganisationId } from "../domain/id.ts"
import { WAIT_MAX_MILLIS } from "../domain/tries.ts"
import { handClock } from "./support/dice.ts"
import * as Observe from "./support/observe.ts"
import * as Office from "./support/office.ts"
import * as Rosters from "./support/roster-files.ts"
import { CHEAP } from "./support/site.ts"
import * as Town from "./support/town.ts"
import { HALL, ORGANISATION, TAKERS } from "./support/town.ts"

/** A town whose device has everything. */
const town = Effect.tap(Town.town, ({ on }) => on(Town.synced()))

const opened = (login: string) => open(login, Office.passwordOf(login))

/** What became of the one delivery that somebody may sit. */
const contentFor = (login: string) =>
  Effect.map(opened(login), ([one]) => {
    const content = one?.deliveries[0]?.content
    return typeof content === "object" ? content.name : content
  })

const rosterFor = (login: string) =>
  Effect.map(opened(login), ([one]) =>
    one?.roster.map(({ center, people }) => [center, people.map((each) => each.login)])
  )

/** Exchanges what a device holds, past all that checks it on its way in. */
const rewrite = Effect.fnUntraced(function* (id: EntityId, change: (entity: Entity) => unknown) {
  const row = (yield* Observe.heldRows).find((one) => one.id === id)
  if (row === undefined) return yield* Effect.die(new Error(`no ${id}`))
  const body = JSON.stringify(change(Observe.entityOf(row)))
  yield* Observe.tamper("UPDATE holdings SET body = ? WHERE id = ?", [body, id])
})

const heldOf = Effect.fnUntraced(function* (id: EntityId) {
  const holdings = yield* Holdings
  const [entity] = yield* holdings.byIds(ORGANISATION, [id])
  return entity ?? (yield* Effect.die(new Error(`no ${id}`)))
})

/** The one key wrap for a reader. */
const wrapFor = Effect.fnUntraced(function* (reader: EntityId) {
  const holdings = yield* Holdings
  const [wrap, ...more] = yield* holdings.wrapsFor(ORGANISATION, reader)
  assert.lengthOf(more, 0)
  return wrap ?? (yield* Effect.die(new Error(`no wrap for ${reader}`)))
})

/** Runs an effect and lists the cost of every Argon2 derivation on the way. */
const derivations = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const real = crypto.argon2
    const costs: Array<{ readonly memoryKiB: number; readonly passes: number }> = []
    crypto.argon2 = (algorithm, parameters, callback) => {
      costs.push({ memoryKiB: parameters.memory, passes: parameters.passes })
      return real(algorithm, parameters, callback)
    }
    syncBuiltinESMExports()
    const restore = Effect.sync(() => {
      crypto.argon2 = real
      syncBuiltinESMExports()
    })
    return Effect.map(Effect.ensuring(effect, restore), (value) => ({ value, costs }))
  })

describe("a key on a device", () => {
  it.live("opens for nobody but the reader that it was wrapped for", () =>
    Effect.gen(function* () {
      const { office, on } = yield* town
      const [ada, ben] = yield* office(
        Effect.all([Office.idOfPerson("ada"), Office.idOfPerson("ben")])
      )
      const adas = yield* on(wrapFor(ada))
      const bens = yield* on(wrapFor(ben))
      assert.strictEqual(yield* on(contentFor("ada")), "imsmanifest.xml")
      yield* on(rewrite(adas.id, (wrap) => ({ ...wrap, box: bens.box })))
      assert.strictEqual(yield* on(contentFor("ada")), "no key")
    })
  )

  it.live("is not taken for another key that its reader was given", () =>
    Effect.gen(function* () {
      const { office, on } = yield* town
      const ada = yield* office(Rosters.personCalled("ada"))
      const wrap = yield* on(wrapFor(ada.id))
      const ben = yield* office(Office.idOfPerson("ben"))
      const hall = yield* office(Office.idOfCenter(ORGANISATION, HALL))
      const { identity } = yield* on(
        Effect.gen(function* () {
          const passwords = yield* Passwords
          const opener = yield* Opener
          const own = yield* passwords.unwrap(ada.id, ada.wrap, Office.passwordOf("ada"))
          const said: WrappedKey = JSON.parse(yield* opener.open(own, wrap.box))
          return said
        })
      )
      const { reader, subject, version } = wrap
      const right = { t: "testferry/cek/1" as const, reader, subject, version, identity }
      for (const [said, content] of [
        [right, "imsmanifest.xml"],
        [{ ...right, reader: ben }, "no key"],
        [{ ...right, subject: hall }, "no key"],
        [{ ...right, version: version + 1 }, "no key"]
      ] as const) {
        const box = yield* office(
          Effect.flatMap(Secrets, (secrets) =>
            secrets.seal([ada.wrap.recipient], canonical(WrappedKey.make(said)))
          )
        )
        yield* on(rewrite(wrap.id, (entity) => ({ ...entity, box })))
        assert.strictEqual(yield* on(contentFor("ada")), content)
      }
    })
  )

  it.live("of somebody else lets nobody in as themselves, and damage is not a wrong password", () =>
    Effect.gen(function* () {
      const { office, on } = yield* town
      const [ada, ben] = yield* office(
        Effect.all([Rosters.personCalled("ada"), Office.idOfPerson("ben")])
      )
      const bens = yield* on(heldOf(ben))
      if (bens.kind !== "test-taker") return assert.fail()
      yield* on(rewrite(ada.id, (entity) => ({ ...entity, profile: bens.profile })))
      assert.strictEqual((yield* on(Effect.flip(opened("ada"))))._tag, "Unopenable")
      yield* on(rewrite(ada.id, (entity) => ({ ...entity, wrap: bens.wrap })))
      const refused = yield* on(Effect.flip(open("ada", Office.passwordOf("ben"))))
      assert.strictEqual(refused._tag, "WrongPassword")
    })
  )

  it.live("of the old content still opens it while a session holds it, beside the new", () =>
    Effect.gen(function* () {
      const { office, on, published } = yield* town
      const sitting = yield* sittingOf("ada", office, on)
      const ada = yield* office(Rosters.personCalled("ada"))
      const old = yield* on(heldOf(sitting.delivery))
      yield* office(published("math", "two and two"))
      yield* on(Town.synced())
      assert.strictEqual(yield* on(contentFor("ada")), "imsmanifest.xml")
      const proof = yield* on(
        Effect.gen(function* () {
          const contents = yield* Contents
          const opener = yield* Opener
          const passwords = yield* Passwords
          const own = yield* passwords.unwrap(ada.id, ada.wrap, Office.passwordOf("ada"))
          const wrap = yield* heldOf(sitting.wrap)
          if (wrap.kind !== "key-wrap" || old.kind !== "delivery") return undefined
          const said: WrappedKey = JSON.parse(yield* opener.open(own, wrap.box))
          return yield* contents.prove(old.content, said.identity)
        })
      )
      assert.strictEqual(proof?.files, 3)
    })
  )

  it.live("held for a delivery's earlier life does not hide the key of its new one", () =>
    Effect.gen(function* () {
      const { office, on, published } = yield* town
      yield* office(published("math", "two and two"))
      yield* on(Town.synced())
      const sitting = yield* sittingOf("ada", office, on)
      assert.strictEqual(sitting.contentVersion, 2)
      yield* office(remove([sitting.eligibility, sitting.delivery]))
      yield* office(published("math", "three and three"))
      yield* office(Office.eligible(HALL, "math", TAKERS))
      yield* on(Town.synced({ confirmRemovals: true }))
      assert.include(yield* on(Town.keys(1)), `key-wrap/${sitting.wrap}`)
      assert.strictEqual(yield* on(contentFor("ben")), "imsmanifest.xml")
      assert.strictEqual(yield* on(contentFor("ada")), "imsmanifest.xml")
    })
  )
})

/** A running session of a test-taker's. */
const sittingOf = Effect.fnUntraced(function* (
  login: string,
  office: Town.Town["office"],
  on: Town.Town["on"]
) {
  const ids = yield* office(
    Effect.all({
      delivery: Office.idOfDelivery("math"),
      testTaker: Office.idOfPerson(login),
      eligibility: Office.idOfEligibility(ORGANISATION, HALL, "math")
    })
  )
  return yield* on(Town.execution(ids, "running"))
})

describe("the roster", () => {
  it.live("is that of one's own centers, for those who run them, and no more can be opened", () =>
    Effect.gen(function* () {
      const { office, on } = yield* Town.town
      yield* office(Office.people("proctor", [{ login: "pol" }]))
      yield* office(Office.people("administrator", [{ login: "amy" }]))
      yield* office(Office.people("test-taker", [{ login: "dan" }]))
      yield* office(
        Office.center(ORGANISATION, "Annexe", { administrators: ["amy"], proctors: ["pol"] })
      )
      yield* office(Office.eligible("Annexe", "math", ["ada", "dan"]))
      yield* on(Town.synced())
      for (const login of ["pia", "adam"]) {
        assert.deepStrictEqual(yield* on(rosterFor(login)), [[HALL, [...TAKERS]]])
      }
      for (const login of ["pol", "amy"]) {
        assert.deepStrictEqual(yield* on(rosterFor(login)), [["Annexe", ["ada", "dan"]]])
      }
      for (const login of ["ada", "mia"]) assert.deepStrictEqual(yield* on(rosterFor(login)), [])

      const pia = yield* office(Rosters.personCalled("pia"))
      const dan = yield* office(Office.idOfPerson("dan"))
      const ada = yield* office(Office.idOfPerson("ada"))
      const tried = yield* on(
        Effect.gen(function* () {
          const opener = yield* Opener
          const passwords = yield* Passwords
          const own = yield* passwords.unwrap(pia.id, pia.wrap, Office.passwordOf("pia"))
          const wrap = yield* wrapFor(pia.id)
          const said: WrappedKey = JSON.parse(yield* opener.open(own, wrap.box))
          return yield* Effect.forEach([ada, dan], (id) =>
            Effect.flatMap(heldOf(id), (entity) =>
              "profile" in entity
                ? Effect.option(opener.open(said.identity, entity.profile))
                : Effect.die(new Error("nobody"))
            )
          )
        })
      )
      assert.deepStrictEqual(
        tried.map(({ _tag }) => _tag),
        ["Some", "None"]
      )
    })
  )
})

describe("a login that is refused", () => {
  it.live("costs one derivation and says the same, whether or not anybody has it", () =>
    Effect.gen(function* () {
      const { on } = yield* town
      const long = "x".repeat(257)
      for (const password of ["not the password", long]) {
        const [known, unknown] = yield* Effect.forEach(["ada", "nobody"], (login) =>
          on(derivations(Effect.flip(open(login, password))))
        )
        assert.strictEqual(known?.value._tag, "WrongPassword")
        assert.deepStrictEqual(known?.costs, [CHEAP])
        assert.deepStrictEqual(unknown, known)
        yield* on(Observe.tamper("DELETE FROM login_tries"))
      }
    })
  )

  it.live("opens what an organisation knows it by, while another still has the one before", () =>
    Effect.gen(function* () {
      const { central, device, line, office, on } = yield* town
      const other = OrganisationId.make("4711")
      yield* office(Office.people("sync-manager", [{ login: "noa", organisation: other }]))
      yield* office(Office.center(other, "Gym"))
      yield* office(Office.eligible("Gym", "math", ["ada"]))
      const proof = { login: "noa", password: Office.passwordOf("noa") }
      yield* Office.enrolDevice(central, device, line, proof)
      yield* on(Town.synced())
      yield* office(Office.people("test-taker", [{ login: "ada", password: "quite another one" }]))
      const opens = (password: string) =>
        Effect.map(on(Effect.result(open("ada", password))), (found) =>
          Result.isSuccess(found)
            ? found.success.map(({ organisation }) => organisation)
            : found.failure._tag
        )
      yield* on(Town.pulled())
      assert.deepStrictEqual(yield* opens("quite another one"), [ORGANISATION])
      assert.deepStrictEqual(yield* opens(Office.passwordOf("ada")), [other])
      yield* on(Town.synced())
      assert.deepStrictEqual(yield* opens("quite another one"), [ORGANISATION, other])
      assert.strictEqual(yield* opens("neither of them"), "WrongPassword")
    })
  )

  it.live("waits longer each time, alike for everybody, and the right password waits too", () =>
    Effect.gen(function* () {
      const { on } = yield* town
      const clock = handClock(1_800_000_000_000)
      const tried = (login: string, password: string) =>
        derivations(on(Effect.flip(open(login, password)))).pipe(
          Effect.provideService(Clock.Clock, clock),
          Effect.map(({ costs, value }) => [
            value._tag === "TooManyTries" ? value.waitMillis : value._tag,
            costs.length
          ])
        )
      for (let wait = 1_000; ; wait = Math.min(2 * wait, WAIT_MAX_MILLIS)) {
        for (const login of ["ada", "nobody"]) {
          assert.deepStrictEqual(yield* tried(login, "wrong"), ["WrongPassword", 1])
          assert.deepStrictEqual(yield* tried(` ${login.toUpperCase()}`, "wrong"), [wait, 0])
        }
        assert.deepStrictEqual(yield* tried("ada", Office.passwordOf("ada")), [wait, 0])
        clock.move(wait)
        if (wait === WAIT_MAX_MILLIS) break
      }
      yield* Effect.provideService(on(opened("ada")), Clock.Clock, clock)
      assert.deepStrictEqual(yield* tried("ada", "wrong"), ["WrongPassword", 1])
      assert.deepStrictEqual(yield* tried("ada", "wrong"), [1_000, 0])
    })
  )

  it.live("is forgotten after a day, when the device starts: nobody has most of such logins", () =>
    Effect.gen(function* () {
      const { device, on, root } = yield* town
      yield* on(Effect.flip(open("nobody", "guessed today")))
      yield* on(
        Observe.tamper("INSERT INTO login_tries VALUES (?, 9, ?)", ["old", Date.now() - 90_000_000])
      )
      const copy = path.join(root, "as it was")
      device.copyTo(copy)
      yield* device.reopen(device.restoreFrom(copy))
      const kept = yield* on(Observe.tamper("SELECT failures FROM login_tries"))
      assert.deepStrictEqual(kept, [{ failures: 1 }])
    })
  )

  it.live("is counted before it is worked on: of many at once one is tried", () =>
    Effect.gen(function* () {
      const { on } = yield* town
      const { costs, value } = yield* derivations(
        Effect.forEach(
          Array.from({ length: 10 }, (_, at) => `wrong ${at}`),
          (password) => on(Effect.flip(open("ada", password))),
          { concurrency: "unbounded" }
        )
      )
      assert.deepStrictEqual(value.filter(({ _tag }) => _tag === "WrongPassword").length, 1)
      assert.lengthOf(costs, 1)
    })
  )
})

describe("what was opened", () => {
  it.live("is nowhere on the device's disk: no file of the package, no name, no key", () =>
    Effect.gen(function* () {
      const { device, office, on, published, root } = yield* Town.town
      yield* office(published("math", "the secret of the package"))
      const secret = /the secret of the package|imsmanifest|Called (?:ada|pia)|password of/u
      assert.match(fs.readFileSync(path.join(root, "math.zip"), "latin1"), secret)
      yield* on(Town.synced())
      for (const login of ["ada", "pia", "adam"]) yield* on(opened(login))
      assert.strictEqual(yield* on(contentFor("ben")), "imsmanifest.xml")
      Observe.assertUnreadable(device.directory, secret)
      yield* device.reopen(Effect.void)
      Observe.assertUnreadable(device.directory, secret)
      Observe.assertUnreadable(device.directory, /AGE-SECRET-KEY-1/u)
    })
  )
})

/** The door of the office at central: who is let in, and what each role gets to see. */
import { assert, layer } from "@effect/vitest"
import { parse } from "csv-parse/sync"
import { Effect } from "effect"
import type { CentralPorts } from "../entrypoints/wiring.ts"
import { OFFICE_COOKIE, OFFICE_ROUTES } from "../infrastructure/office-api.ts"
import * as DoorSupport from "./support/door.ts"
import { type Answer, bearer, Door } from "./support/door.ts"
import { BEHIND, layerDesk, PASSWORD, SILENT, WELL } from "./support/office-desk.ts"
import { SECRET_ANSWER } from "./support/results.ts"

const PAGE = { "testferry-page": "1", "content-type": "application/json" }

const login = Effect.fnUntraced(function* (name: string, password = PASSWORD) {
  const door = yield* Door
  return yield* door.knock({
    method: "POST",
    path: "/office/v1/login",
    headers: PAGE,
    body: JSON.stringify({ login: name, password })
  })
})

const cookieOf = ({ headers }: Answer): string => headers["set-cookie"]?.[0]?.split(";")[0] ?? ""

const asked = Effect.fnUntraced(function* (cookie: string, path: string, headers = {}) {
  const door = yield* Door
  return yield* door.knock({ path: `/office/v1/${path}`, headers: { cookie, ...headers } })
})

const READS = OFFICE_ROUTES.filter(({ method }) => method === "GET").map(({ pattern }) =>
  pattern.replace("/office/v1/", "").replace(":id", "0".repeat(64))
)
/** What administrators do is theirs alone (office-devices.test.ts, office-imports.test.ts). */
const isTheirs = (path: string) => path.startsWith("waiting")

layer(DoorSupport.layer(layerDesk), { excludeTestServices: true })("the office's door", (it) => {
  const atDesk = (name: string, test: Effect.Effect<void, unknown, Door | CentralPorts>) =>
    it.effect(name, () => test)

  atDesk(
    "opens nothing to anybody who has not logged in, nor to a device's token",
    Effect.gen(function* () {
      const door = yield* Door
      const token = yield* bearer(WELL.id)
      const device = token.authorization.replace("Bearer ", "")
      assert.isAbove(READS.length, 6)
      for (const path of READS) {
        for (const headers of [
          {},
          token,
          { cookie: `${OFFICE_COOKIE}=${device}` },
          { cookie: `${OFFICE_COOKIE}=nothing` }
        ]) {
          const answer = yield* door.knock({ path: `/office/v1/${path}`, headers })
          assert.strictEqual(answer.status, 401, path)
          assert.strictEqual(answer.json?.code, "login-needed", path)
        }
      }
    })
  )

  atDesk(
    "lets in by the right password, for as long as one comes back, and this page only",
    Effect.gen(function* () {
      const door = yield* Door
      const wrong = yield* login("riva", "wrong, but just as long")
      const nobody = yield* login("nobody", PASSWORD)
      assert.deepStrictEqual([wrong.status, wrong.json?.code], [403, "wrong-login"])
      assert.deepStrictEqual(wrong.json, nobody.json)
      assert.isUndefined(wrong.headers["set-cookie"])
      const right = yield* login(" ROOT ")
      assert.deepStrictEqual(right.json, {
        login: "root",
        label: "Called root",
        role: "administrator"
      })
      assert.match(
        right.headers["set-cookie"]?.[0] ?? "",
        /; Path=\/office; HttpOnly; Secure; SameSite=Strict$/u
      )
      const cookie = cookieOf(right)
      const me = yield* asked(cookie, "me")
      assert.strictEqual(me.json?.login, "root")
      assert.include(cookieOf(me), `${OFFICE_COOKIE}=ey`)
      assert.strictEqual(me.headers["cache-control"], "no-store")
      const foreign = yield* asked(cookie, "me", { "sec-fetch-site": "cross-site" })
      assert.deepStrictEqual([foreign.status, foreign.json?.code], [403, "cross-site"])
      const token = cookie.slice(OFFICE_COOKIE.length + 1)
      const feeds = yield* door.knock({
        path: "/api/v1/certificate",
        headers: { authorization: `Bearer ${token}` }
      })
      assert.strictEqual(feeds.status, 401)
    })
  )

  atDesk(
    "shows every device with what is the matter, in words",
    Effect.gen(function* () {
      const cookie = cookieOf(yield* login("root"))
      const { json } = yield* asked(cookie, "fleet?language=en")
      const devices = new Map(rowsOf<Seen>(json?.devices).map((one) => [one.device, one]))
      assert.deepInclude(devices.get(WELL.id), { level: "ready", findings: [], name: "Room 1" })
      assert.deepInclude(devices.get(WELL.id)?.lastContact, { carrier: "https" })
      const behind = devices.get(BEHIND.id)
      assert.strictEqual(behind?.lastContact?.carrier, "bundle")
      assert.strictEqual(behind?.missing, 3)
      assert.deepInclude(behind, { pending: 6, sitting: 2 })
      assert.deepInclude(devices.get(WELL.id), { pending: null, sitting: null })
      const said = (behind?.findings ?? []).map(({ text }) => text).join("\n")
      assert.match(said, /^Its disk is nearly full/mu)
      assert.match(said, /^Behind by 2 changes since \w+day,? /mu)
      assert.match(said, /^1 test is not on it yet/mu)
      assert.match(said, /^1 in quarantine/mu)
      assert.match(said, /^3 records are missing/mu)
      assert.match(said, /^3 more records wait on it, as it said on \w+day/mu)
      assert.match(said, /^It said on .+ that it knows no results key/mu)
      const silent = devices.get(SILENT.id)?.findings.map(({ check }) => check)
      assert.deepStrictEqual(silent, ["never"])
      assert.deepStrictEqual([...devices.keys()], [BEHIND.id, SILENT.id, WELL.id])
      const french = yield* asked(cookie, "fleet?language=fr")
      assert.include(french.text, "En retard de 2 changements depuis le")
    })
  )

  atDesk(
    "shows what has come home, and why something was not accepted",
    Effect.gen(function* () {
      const cookie = cookieOf(yield* login("root"))
      const complete = yield* asked(cookie, "completeness")
      assert.deepNestedInclude(complete.json, {
        "deliveries[0].eligible": 3,
        "deliveries[0].sat": 2,
        "deliveries[0].notSat": 1,
        "deliveries[0].here": 2,
        "deliveries[0].centers[0].label": "Hall",
        "deliveries[0].centers[0].sat": 2
      })
      const results = yield* asked(cookie, "results")
      assert.deepInclude(results.json?.states, { state: "stored", count: 2 })
      assert.deepInclude(results.json?.states, { state: "quarantined", count: 1 })
      assert.deepNestedInclude(results.json, {
        "aside[0].why": "It is of an organisation that the device does not belong to.",
        "aside[0].kind": "result"
      })
      const managers = yield* asked(cookie, "managers")
      assert.deepStrictEqual(managers.json?.managers, [
        { login: "mia", label: "Called mia", organisation: "0123" }
      ])
    })
  )

  atDesk(
    "filters the history, and gives it out as a table that runs nothing",
    Effect.gen(function* () {
      const cookie = cookieOf(yield* login("root"))
      const of = (query: string) =>
        Effect.map(asked(cookie, `history?${query}`), ({ json }) =>
          rowsOf<{ verb: string; outcome: string }>(json?.entries).map(
            ({ outcome, verb }) => `${verb} ${outcome}`
          )
        )
      assert.deepStrictEqual(yield* of("verb=receive"), ["receive done"])
      assert.deepStrictEqual(yield* of("outcome=failed"), ["sync failed"])
      assert.deepStrictEqual(yield* of(`who=${WELL.id.toUpperCase()}`), ["sync failed"])
      assert.deepStrictEqual(yield* of("verb=receive&outcome=failed"), [])
      assert.strictEqual((yield* asked(cookie, "history?verb=drop")).status, 400)
      const table = yield* asked(cookie, "history.csv?verb=receive")
      assert.strictEqual(table.headers["content-type"], "text/csv; charset=utf-8")
      assert.include(table.headers["content-disposition"], 'filename="history.csv"')
      const [row] = parse<Record<string, string>>(table.text, { columns: true })
      assert.include(row, { device: BEHIND.id, reason: `'=1+1, "quoted"` })
    })
  )

  atDesk(
    "shows opened results to a results officer alone, and answers to nobody",
    Effect.gen(function* () {
      const root = cookieOf(yield* login("root"))
      const refused = yield* asked(root, "opened")
      assert.deepStrictEqual([refused.status, refused.json?.code], [403, "wrong-person"])
      const rosa = cookieOf(yield* login("rosa"))
      const opened = yield* asked(rosa, "opened")
      assert.deepNestedInclude(opened.json, {
        "results[0].name": "Called ada",
        "results[0].deliveryLabel": "Test maths",
        "results[0].state": "stored"
      })
      for (const path of READS) {
        const { status, text } = yield* asked(rosa, path)
        assert.strictEqual(status, isTheirs(path) ? 403 : 200, path)
        assert.notInclude(text, SECRET_ANSWER, path)
        if (path !== "opened") assert.notInclude(text, "Called ada", path)
      }
    })
  )

  atDesk(
    "slows down whoever tries too often",
    Effect.gen(function* () {
      const limited = yield* Effect.forEach([1, 2], () => login("somebody"))
      assert.deepStrictEqual(
        limited.map(({ status }) => status),
        [403, 429]
      )
      assert.isDefined(limited[1]?.headers["retry-after"])
    })
  )
})

interface Seen {
  readonly device: string
  readonly name: string
  readonly level: string
  readonly missing: number
  readonly pending: number | null
  readonly sitting: number | null
  readonly lastContact: { readonly carrier: string } | null
  readonly findings: ReadonlyArray<{ readonly check: string; readonly text: string }>
}

/** The form of these rows is what is tested. */
const rowsOf = <Row>(rows: unknown) => rows as ReadonlyArray<Row>

/** Rosters at the office's door: what is seen before, and that nothing else happens then. */
import { assert, layer } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import { importCenters } from "../application/import-centers.ts"
import { importEligibilities } from "../application/import-eligibilities.ts"
import { importPeople } from "../application/import-people.ts"
import { Catalogue, History } from "../application/ports.ts"
import { Digest, OrganisationId } from "../domain/id.ts"
import { centerName, personName } from "../domain/record.ts"
import { IMPORT_BYTES_MAX, PASSWORDS_AT_ONCE } from "../entrypoints/office-imports.ts"
import type { CentralPorts } from "../entrypoints/wiring.ts"
import * as DoorSupport from "./support/door.ts"
import { Door } from "./support/door.ts"
import { layerClerks } from "./support/office-desk.ts"
import { code, cookieOf, PAGE } from "./support/office-door.ts"
import * as Real from "./support/real-central.ts"

const CENTERS = "label,organisation id,proctors"
const USERS = "label,login,interface language,password,organisation id"
const SCHOOL = OrganisationId.make("0123")
const ZERO = { created: 0, updated: 0, unchanged: 0, failed: 0, removed: 0 }

interface Options {
  readonly login?: string
  readonly headers?: Record<string, string>
  readonly query?: Record<string, string>
}

const give = Effect.fnUntraced(function* (
  kind: string,
  lines: ReadonlyArray<string> | Uint8Array,
  { headers = {}, login = "root", query = {} }: Options = {}
) {
  const door = yield* Door
  const cookie = yield* cookieOf(login)
  const text = new URLSearchParams({ name: "roster.csv", ...query }).toString()
  return yield* door.knock({
    method: "POST",
    path: `/office/v1/imports/${kind}?${text}`,
    headers: { ...PAGE, "content-type": "text/csv", cookie, ...headers },
    body: lines instanceof Uint8Array ? lines : `${lines.join("\n")}\n`
  })
})

const seenOf = ({ json }: { readonly json: { readonly [member: string]: unknown } | undefined }) =>
  String(json?.seen)

const has = (name: string) =>
  Effect.gen(function* () {
    const catalogue = yield* Catalogue
    return (yield* catalogue.byNames([name])).has(name)
  })

layer(DoorSupport.layer(layerClerks), { excludeTestServices: true })(
  "imports at the office",
  (it) => {
    const atOffice = (name: string, test: Effect.Effect<void, unknown, Door | CentralPorts>) =>
      it.effect(name, () => test)

    atOffice(
      "shows what a file would do, and does that and only that once it is agreed to",
      Effect.gen(function* () {
        const file = [CENTERS, "North hall,0123,", "School,0123,"]
        const preview = yield* give("test-centers", file)
        assert.strictEqual(preview.status, 200, preview.text)
        assert.deepInclude(preview.json, { applied: false, offered: 0, passwords: null })
        assert.deepInclude(preview.json?.report, { ...ZERO, created: 1, unchanged: 1 })
        const north = centerName(SCHOOL, "North hall")
        assert.isFalse(yield* has(north), "a preview changes nothing")

        const query = { seen: seenOf(preview) }
        const other = yield* give("test-centers", [...file, "South hall,0123,"], { query })
        assert.deepStrictEqual(code(other), [409, "changed"])
        assert.deepStrictEqual(code(yield* give("proctor", file, { query })), [422, "file-refused"])
        assert.isFalse(yield* has(north))

        const done = yield* give("test-centers", file, { query, login: "riva" })
        assert.deepInclude(done.json, { applied: true })
        assert.isTrue(yield* has(north))
        const history = yield* History
        const [newest] = yield* history.recent(1)
        assert.deepInclude(newest, { verb: "import", who: "riva", reason: "roster.csv" })

        const replayed = yield* give("test-centers", file, { query })
        assert.deepStrictEqual(code(replayed), [409, "changed"], "it would be another outcome now")
        const again = yield* give("test-centers", file)
        assert.deepInclude(again.json?.report, { ...ZERO, unchanged: 2 })
      })
    )

    atOffice(
      "names every bad line, and leaves them out only where that is said",
      Effect.gen(function* () {
        const file = [CENTERS, "East hall,0123,", "West hall,0123,nobody", ",0123,"]
        const preview = yield* give("test-centers", file)
        assert.deepInclude(preview.json?.report, { ...ZERO, created: 1, failed: 2 })
        assert.deepNestedInclude(preview.json, {
          "report.problems[0].line": 3,
          "report.problems[0].column": "proctors",
          "report.problems[0].reason": "nobody has this login",
          "report.problems[0].value": "nobody",
          "report.problems[1].line": 4
        })
        const seen = seenOf(preview)
        const refused = yield* give("test-centers", file, { query: { seen } })
        assert.deepStrictEqual(code(refused), [409, "rows-refused"])
        assert.isFalse(yield* has(centerName(SCHOOL, "East hall")))
        const query = { seen, keepGoing: "yes" }
        const done = yield* give("test-centers", file, { query })
        assert.deepInclude(done.json, { applied: true })
        assert.isTrue(yield* has(centerName(SCHOOL, "East hall")))
        assert.isFalse(yield* has(centerName(SCHOOL, "West hall")))
      })
    )

    atOffice(
      "says how many lose what a line lists no more",
      Effect.gen(function* () {
        const users = ["P1,p1,en-US,", "P2,p2,en-US,"].map((row) => [...row.split(","), "0123"])
        yield* Real.importUsers(
          "proctor",
          users.map(([label = "", login = "", language = ""]) => [
            ...[login, label, language, "a password long enough", "0123"]
          ])
        )
        const full = [CENTERS, "Yard,0123,p1|p2"]
        yield* give("test-centers", full, {
          query: { seen: seenOf(yield* give("test-centers", full)) }
        })
        const less = yield* give("test-centers", [CENTERS, "Yard,0123,p1"])
        assert.deepInclude(less.json?.report, { ...ZERO, updated: 1, removed: 1 })
      })
    )

    atOffice(
      "makes no passwords, and takes only as many as a request has time for",
      Effect.gen(function* () {
        const none = [USERS, "Uma,uma,en-US,,0123"]
        const preview = yield* give("proctor", none)
        assert.deepInclude(preview.json?.passwords, { toMake: 1, toWrap: 1 })
        const refused = yield* give("proctor", none, { query: { seen: seenOf(preview) } })
        assert.deepStrictEqual(code(refused), [409, "passwords-out"])

        const one = [USERS, "Uma,uma,en-US,a password long enough,0123"]
        const query = { seen: seenOf(yield* give("proctor", one)) }
        assert.deepInclude((yield* give("proctor", one, { query })).json, { applied: true })
        assert.isTrue(yield* has(personName("uma")))
        const renamed = [USERS, "Uma Two,uma,en-US,,0123"]
        const second = yield* give("proctor", renamed)
        assert.deepInclude(second.json?.passwords, { toMake: 0, toWrap: 0 })
        assert.deepInclude(second.json?.report, { ...ZERO, updated: 1 })

        const weak = yield* give("proctor", [USERS, "Vi,vi,en-US,short,0123"])
        assert.deepInclude(weak.json?.report, { ...ZERO, failed: 1 })
        assert.notInclude(weak.text, "short,")
        const many = [
          USERS,
          ...Array.from({ length: PASSWORDS_AT_ONCE + 1 }, (_, at) =>
            ["W", `w${at}`, "en-US", "a password long enough", "0123"].join(",")
          )
        ]
        const all = yield* give("test-taker", many)
        const taken = yield* give("test-taker", many, { query: { seen: seenOf(all) } })
        assert.deepStrictEqual(code(taken), [409, "many-passwords"])
        assert.isFalse(yield* has(personName("w0")))
      })
    )

    atOffice(
      "does nothing where it comes to something else inside the transaction",
      Effect.gen(function* () {
        const other = { dryRun: false, keepGoing: false, name: "x", agreed: () => false }
        const rows = <Row>(row: Row) => ({
          ...other,
          read: () =>
            Stream.make({
              items: [{ _tag: "Row" as const, line: 2, row }],
              bytesRead: 1,
              bytesTotal: 1
            })
        })
        const center = { label: "Attic", organisation: "0123" }
        const lists = { administrators: [], proctors: [], subCenters: [] }
        const ends = [
          yield* importCenters(rows({ ...center, ...lists })),
          yield* importPeople({
            ...rows({ login: "zoe", label: "Zoe", interfaceLanguage: "en-US" }),
            kind: "proctor",
            file: Digest.make("a".repeat(64)),
            sheet: Option.none(),
            width: 1
          }),
          yield* importEligibilities(
            rows({ testCenter: "School", delivery: "none", testTakers: [], proctored: true })
          )
        ]
        assert.deepStrictEqual(
          ends.map(({ applied }) => applied),
          [false, false, false]
        )
        assert.isFalse(yield* has(centerName(SCHOOL, "Attic")))
        assert.isFalse(yield* has(personName("zoe")))
      }).pipe(Effect.orDie)
    )

    atOffice(
      "is for administrators on this very page alone, and for files of a size",
      Effect.gen(function* () {
        const door = yield* Door
        const file = [CENTERS, "Cellar,0123,"]
        const other = yield* give("test-centers", file, { login: "rosa" })
        assert.deepStrictEqual(code(other), [403, "wrong-person"])
        for (const headers of [
          { "sec-fetch-site": "cross-site" },
          { origin: "https://elsewhere.example" }
        ]) {
          const foreign = yield* give("test-centers", file, { headers })
          assert.deepStrictEqual(code(foreign), [403, "cross-site"])
        }
        const nobody = yield* door.knock({
          method: "POST",
          path: "/office/v1/imports/test-centers?name=x",
          headers: PAGE,
          body: "label\n"
        })
        assert.deepStrictEqual(code(nobody), [401, "login-needed"])
        assert.strictEqual((yield* give("deliveries", file)).status, 404)
        const large = yield* give("test-centers", new Uint8Array(IMPORT_BYTES_MAX + 1))
        assert.deepStrictEqual(code(large), [413, "file-large"])
        const unsaid = yield* give("test-centers", new Uint8Array(IMPORT_BYTES_MAX + 1), {
          headers: { "transfer-encoding": "chunked" }
        })
        assert.deepStrictEqual(code(unsaid), [413, "file-large"])
        const latin = yield* give(
          "test-centers",
          Buffer.from("label,organisation id\n\xe9,1\n", "latin1")
        )
        assert.deepStrictEqual(code(latin), [422, "file-refused"])
        assert.match(String(latin.json?.detail), /UTF-8/u)
        assert.deepStrictEqual(code(yield* give("test-centers", [])), [422, "file-refused"])
        assert.isFalse(yield* has(centerName(SCHOOL, "Cellar")))
      })
    )
  }
)

/** What is given at the doors is refused there when it can't be meant, in words, never by a crash. */
import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result, type Schema } from "effect"
import { Catalogue } from "../application/ports.ts"
import type { Refused } from "../application/refused.ts"
import { DELIVERY_NAME_MAX, EntityId } from "../domain/id.ts"
import { wrapId } from "../domain/offer.ts"
import { centralCommands, importEligibilityRows } from "../entrypoints/central-commands.ts"
import { readSetup } from "../entrypoints/setup-file.ts"
import { freshFolder } from "./support/database.ts"
import * as Office from "./support/office.ts"
import { item, minimal } from "./support/qti-files.ts"
import { rawZip } from "./support/raw-zip.ts"
import { filesOf, json, office } from "./support/testferry.ts"
import * as Town from "./support/town.ts"

const LONG = "x".repeat(1_000)
const LONE = "half a \ud83d"
const ROWS = "line one\nline two"

type Json = Schema.Json
type Arguments = Readonly<Record<string, Json>>

const publishing: Arguments = {
  file: "/nowhere.zip",
  id: null,
  label: null,
  from: null,
  to: null,
  maxExecutions: null,
  proctored: false,
  dryRun: false
}
const consumer: Arguments = { organisation: "0123", label: "Moodle", key: "moodle", secret: "s" }
const renaming: Arguments = { id: "dev_abcdef", change: "rename", name: "Annexe" }

/** By command: arguments that are right, and what must not be among them. */
const WRONG: ReadonlyArray<
  readonly [string, Arguments, Readonly<Record<string, ReadonlyArray<Json>>>]
> = [
  [
    "central publish",
    publishing,
    {
      id: ["", " ", "dlv_", " math", LONG, LONE, ROWS, `dlv_${"x".repeat(DELIVERY_NAME_MAX - 3)}`],
      label: ["", " padded ", LONG, LONE, ROWS],
      from: [-1, 253_402_300_800_000],
      to: [-1, 1e300],
      maxExecutions: [0, -1, 1.5, 2 ** 60]
    }
  ],
  [
    "central lti-consumers add",
    consumer,
    {
      organisation: ["", "0123 ", LONG, LONE],
      label: ["", LONG, ROWS],
      key: ["", LONG, LONE],
      secret: ["", "s".repeat(5_000), LONE]
    }
  ],
  [
    "central remove",
    { ids: ["dlv_math"] },
    { ids: [["math"], ["dlv_"], [LONG], [LONE], [ROWS], ["DLV_x"]] }
  ],
  ["central list", { kind: "delivery", limit: 5 }, { kind: ["deliveries"], limit: [0, -5, 1.5] }],
  ["central history", { limit: 5 }, { limit: [0, -1, 1.5] }],
  ["central devices change", renaming, { id: ["", LONG], name: ["", LONG, ROWS, LONE] }],
  [
    "central credentials generate",
    { organisations: ["0123"], name: "c" },
    { organisations: [[], [""], [LONG], [LONE]], name: ["", LONG, ROWS] }
  ],
  ["central credentials revoke", { key: "cred_x" }, { key: ["", LONG, LONE] }]
]

const called = (name: string) => {
  const command = centralCommands.find((one) => one.name === name)
  if (command === undefined) throw new Error(`there is no ${name}`)
  return command
}

const assertPlain = ({
  todo,
  what,
  why
}: Refused | { what: string; why: string; todo: string }) => {
  for (const text of [what, why, todo]) {
    assert.notMatch(text, /x{400}|\ud83d/u, "the refusal repeats what is too long or broken")
  }
}

describe("a command", () => {
  for (const [name, right, wrongs] of WRONG) {
    it.live(`${name} refuses each argument that can't be meant, and changes nothing`, () =>
      Effect.gen(function* () {
        const { office } = yield* Town.town
        const before = yield* office(Town.offered)
        for (const [argument, values] of Object.entries(wrongs)) {
          for (const value of values) {
            const told = yield* office(
              Effect.result(called(name).answer({ ...right, [argument]: value }))
            )
            const said = `${argument} = ${JSON.stringify(value).slice(0, 40)}`
            assert.isTrue(Result.isFailure(told), said)
            if (Result.isSuccess(told)) continue
            assert.deepStrictEqual([told.failure.code, told.failure.exit], ["E_ARGUMENTS", 2], said)
            assertPlain(told.failure)
          }
        }
        assert.deepStrictEqual(yield* office(Town.offered), before)
      })
    )
  }

  it.live("central publish takes the longest name there may be, and devices get it", () =>
    Effect.gen(function* () {
      const { office, on, root } = yield* Town.town
      const file = path.join(root, "longest.zip")
      const bytes = (text: string) =>
        rawZip(
          Object.entries({ ...minimal, "items/i1.xml": item(`<p>${text}</p>`) }).map(
            ([name, data]) => ({ name, data, method: 0 })
          )
        )
      fs.writeFileSync(file, bytes("long"))
      const id = "é".repeat(DELIVERY_NAME_MAX)
      yield* office(called("central publish").answer({ ...publishing, file, id }))
      yield* office(Office.eligible(Town.HALL, id, ["ada"]))
      const told = yield* on(Town.synced())
      assert.strictEqual(told.outcome, "done")
      const ada = yield* office(Office.idOfPerson("ada"))
      const wrap = `key-wrap/${wrapId(EntityId.make(`dlv_${id}`), 1, ada)}`
      assert.include(yield* on(Town.keys()), wrap)
    })
  )

  for (const [what, attributes] of [
    ["nothing but a long identifier", `title="" identifier="${LONG}"`],
    ["a title that is cut within a character", `identifier="T" title="${"a".repeat(199)}😀 b"`]
  ] as const) {
    it.live(`central publish finds a label for a package that has ${what}`, () =>
      Effect.gen(function* () {
        const { office, root } = yield* Town.town
        const file = path.join(root, "untitled.zip")
        const files = Object.entries(minimal).map(([name, data]) => ({
          name,
          data: String(data).replace('identifier="T" title="A test"', attributes),
          method: 0 as const
        }))
        fs.writeFileSync(file, rawZip(files))
        yield* office(called("central publish").answer({ ...publishing, file, id: "untitled" }))
        const id = EntityId.make("dlv_untitled")
        const records = yield* office(Effect.flatMap(Catalogue, (all) => all.byIds([id])))
        const record = records.get(id)
        assert.match(record?.kind === "delivery" ? record.label : "", /^(?:Untitled|a{199})$/u)
      })
    )
  }
})

describe("a roster of eligibilities", () => {
  const HEADER = "test center,delivery,test takers,from,to\n"
  for (const [row, column] of [
    ["ctr_,math,ada,,", "test center"],
    ["Main hall,dlv_,ada,,", "delivery"],
    ["Main hall,math,ada,1969-12-31T23:59Z,", "from"],
    ["Main hall,math,ada,,0001-01-01T00:00Z", "to"],
    ["Main hall,math,ada,,9999-12-31T23:59-14:00", "to"]
  ] as const) {
    it.live(`refuses the row ${row}`, () =>
      Effect.gen(function* () {
        const { office, root } = yield* Town.town
        const file = path.join(root, "eligibilities.csv")
        fs.writeFileSync(file, `${HEADER}${row}\n`)
        const told = yield* office(
          Effect.flip(importEligibilityRows.run({ file, dryRun: false, keepGoing: false }))
        )
        assert.strictEqual(told.code, "E_IMPORT_ROWS")
        assert.include(told.why, `line 2, column "${column}"`)
      })
    )
  }
})

describe("a setup file", () => {
  const admin = { login: "admin", password: "a long enough password" }
  const folders = (stickFolders: ReadonlyArray<string>) => ({
    configuration: { testferry: { stickFolders } }
  })
  const wrong: Readonly<Record<string, unknown>> = {
    "a login that is empty": { "super-user": { ...admin, login: "" } },
    "a login that is too long": { "super-user": { ...admin, login: LONG } },
    "a login of two lines": { "super-user": { ...admin, login: ROWS } },
    "a login with half a character": { "super-user": { ...admin, login: LONE } },
    "an empty password": { "super-user": { ...admin, password: "" } },
    "a password too long": { "super-user": { ...admin, password: LONG } },
    "a name too long": { "super-user": { ...admin, lastname: LONG } },
    "a mail address of two lines": { "super-user": { ...admin, email: ROWS } },
    "a folder for a stick that is not named from the root": folders(["STICK"]),
    "a folder for a stick of two lines": folders(["/media/a\n/etc"]),
    "a folder for a stick that no system could have": folders([`/${"a".repeat(4_096)}`]),
    "more folders for sticks than a list shows": folders(Array.from({ length: 17 }, () => "/a")),
    "an instance name too long": { configuration: { global: { instance_name: LONG } } },
    "an empty instance name": { configuration: { global: { instance_name: "" } } },
    "a language too long": { configuration: { global: { lang: LONG } } },
    "an address too long": { configuration: { global: { url: `https://${LONG.repeat(3)}` } } },
    "a port that is none": {
      configuration: {
        generis: { persistences: { default: { driver: "postgres", port: 99_999 } } }
      }
    },
    "a host that is none": {
      configuration: {
        generis: { persistences: { default: { driver: "postgres", host: "a b/c" } } }
      }
    }
  }
  for (const [what, content] of Object.entries(wrong)) {
    it.live(`is refused with ${what}`, () =>
      Effect.gen(function* () {
        const file = path.join(yield* freshFolder(), "setup.json")
        fs.writeFileSync(file, JSON.stringify(content))
        const told = yield* Effect.flip(readSetup(Option.some(file)))
        assert.deepStrictEqual([told.code, told.exit], ["E_SETUP", 2])
        assertPlain(told)
      })
    )
  }

  it.live("is taken with names that are empty", () =>
    Effect.gen(function* () {
      const file = path.join(yield* freshFolder(), "setup.json")
      fs.writeFileSync(
        file,
        JSON.stringify({ "super-user": { ...admin, firstname: "", email: "" } })
      )
      const { administrator } = yield* readSetup(Option.some(file))
      assert.strictEqual(administrator?.login, "admin")
    })
  )
})

describe("the command line", () => {
  it.live(
    "says what is wrong with an argument, and ends with status 2",
    () =>
      Effect.gen(function* () {
        const { data } = yield* office()
        const zip = path.join(import.meta.dirname, "../entrypoints/demo/packages/rivers-qti30.zip")
        const before = filesOf(path.join(data, "blobs"))
        for (const args of [
          ["publish", zip, "--id", "dlv_"],
          ["publish", zip, "--id", LONG],
          ["publish", zip, "--label", LONG],
          ["publish", zip, "--from", "1900-01-01T00:00:00Z"],
          ["publish", zip, "--max-executions", "99999999999999999999"],
          ["remove", "rivers"],
          ["devices", "block", LONG],
          ["credentials", "revoke", LONG],
          ["credentials", "generate", "--organisation", LONG]
        ]) {
          const told = yield* json(data, ["central", ...args])
          assert.deepStrictEqual(
            [told.json.refused?.code, told.status],
            ["E_USAGE", 2],
            told.stderr
          )
          assert.match(told.stderr, /^error: /u)
        }
        assert.deepStrictEqual(filesOf(path.join(data, "blobs")), before)
      }),
    240_000
  )
})

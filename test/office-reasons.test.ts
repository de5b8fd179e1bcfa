/** The office's page says in French whatever central finds wrong with a roster. */
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { problemLine } from "../domain/import-report.ts"
import { eligibilities, type Roster, testCenters, users } from "../domain/roster.ts"
import { whyNotAcceptable } from "../entrypoints/roster-jobs.ts"
import { readRoster } from "../infrastructure/csv-reader.ts"
import { freshFolder } from "./support/database.ts"

interface Reasons {
  readonly inFrench: (reason: string) => string
  readonly lineNow: (line: string) => string
}
const page = Effect.promise(async () => {
  const found: unknown = await import(
    new URL("../entrypoints/pages/office-reasons.mjs", import.meta.url).href
  )
  // A module for browsers, which has no types.
  return found as Reasons
})

const takers = users("test-taker", whyNotAcceptable)
const USERS = "label,login,mail,password,interface language,organisation id"
const LONG = "x".repeat(300)

/** Everything that is wrong with a file, as central says it. */
const wrongWith = <Row>(roster: Roster<Row>, text: string | Uint8Array) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = join(yield* freshFolder(), "roster.csv")
      fs.writeFileSync(file, text)
      const pieces = yield* Effect.catchTag(
        Stream.runCollect(readRoster(file, roster)),
        "CsvRefused",
        ({ problems }) => Effect.succeed([{ items: [{ _tag: "Refused" as const, problems }] }])
      )
      return pieces.flatMap(({ items }) =>
        items.flatMap((item) => (item._tag === "Refused" ? item.problems : []))
      )
    })
  )

describe("the reasons for refused lines", () => {
  it.live("are all there in French", () =>
    Effect.gen(function* () {
      const { inFrench } = yield* page
      const found = yield* Effect.all([
        wrongWith(
          takers,
          [
            USERS,
            `,a,nowhere,short,xx-!,1`,
            `${LONG},b,,,en-US,1`,
            `C,c,,,en-US,1`,
            `D,C,,,en-US,1`,
            `only`,
            `E,e`,
            `"F\nf",f,,,en-US,1`,
            `G,g"g,,,en-US,1`,
            `"H"h,h,,,en-US,1`,
            `"I,i`
          ].join("\n")
        ),
        wrongWith(takers, "label,logn,login,login,,label\n"),
        wrongWith(takers, "label,something else\n"),
        wrongWith(takers, "who,knows\n"),
        wrongWith(takers, ""),
        wrongWith(takers, `${USERS}\n`),
        wrongWith(takers, Buffer.from([0x50, 0x4b, 3, 4, 5])),
        wrongWith(takers, Buffer.from("\ufefflabel", "utf16le")),
        wrongWith(takers, Buffer.from(`${USERS}\n\u00e9,a`, "latin1")),
        wrongWith(testCenters, `label,organisation id,proctors\nA,1,${LONG}\nB,1,\nB,1,\n`),
        wrongWith(
          eligibilities,
          [
            "test center,delivery,test takers,is proctored,from,to,max executions",
            "A,b,,perhaps,yesterday,1800-01-01T00:00Z,0",
            "A,b,c,yes,2027-01-02T00:00Z,2027-01-01T00:00Z,1"
          ].join("\n")
        )
      ])
      const reasons = [...new Set(found.flat().map(({ reason }) => reason))]
      assert.isAtLeast(reasons.length, 25)
      assert.deepStrictEqual(
        reasons.filter((reason) => inFrench(reason) === reason),
        []
      )
    })
  )

  it.live("are left as they are where nobody has put them into French", () =>
    Effect.gen(function* () {
      const { inFrench, lineNow } = yield* page
      assert.strictEqual(inFrench("is something new"), "is something new")
      const line = problemLine({ line: 3, column: "login", reason: "nobody has this login" })
      assert.strictEqual(lineNow(line), line, "in English")
    })
  )
})

import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { Outbox } from "../application/record-ports.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { numbered } from "../domain/test-plan.ts"
import { openFile } from "../infrastructure/file-source.ts"
import { readQuestions } from "../infrastructure/qti-questions.ts"
import { readPlan } from "../infrastructure/qti-test-files.ts"
import { openPackage } from "../infrastructure/zip-package.ts"
import {
  browser,
  complaintsOf,
  flaws,
  HAS_BROWSER,
  logInAt,
  shoot,
  smallPrint
} from "./support/browser.ts"
import { PACKAGES } from "./support/build-packages.ts"
import { exam, openResult, publishFile } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { byKeys, byMouse, type Hand, tabTo } from "./support/page-hands.ts"
import { openDoor } from "./support/runner-client.ts"
import { HALL, synced } from "./support/town.ts"

/** What each of the demonstration's tests comes to when all is right, but for an essay. */
const TOTALS = { "rivers-qti30": "5", "fractions-qti30": "4", "soundscapes-qti30": "6" }
const NAMES = Object.keys(TOTALS)

/** The questions of a package's items, in the order in which they are asked. */
const questionsOf = Effect.fnUntraced(function* (name: string) {
  const file = path.join(PACKAGES, `${name}.zip`)
  const { entries, read } = yield* Effect.flatMap(openFile(file), openPackage)
  const { places } = numbered(yield* readPlan({ names: entries.keys(), read }))
  return yield* Effect.forEach(places, ({ item }) =>
    Effect.map(read(item.path), (bytes) => readQuestions(bytes, item.path).questions)
  )
})
type Asked = Effect.Success<ReturnType<typeof questionsOf>>

const room = Effect.gen(function* () {
  const world = yield* exam
  const { office, on } = world
  for (const name of NAMES) {
    yield* office(publishFile(path.join(PACKAGES, `${name}.zip`), name))
    yield* office(Office.eligible(HALL, name, ["ada", "ben"]))
  }
  yield* on(synced())
  const asked = new Map<string, Asked>()
  for (const name of NAMES) asked.set(name, yield* questionsOf(name))
  return { ...world, asked, base: yield* on(openDoor()), chromium: yield* browser }
})

/** Looks at a view as those who need it otherwise do. */
const look = async (page: Page, where: string) =>
  assert.deepStrictEqual([await flaws(page), await smallPrint(page)], [[], []], where)

/** Sits a test to its end; `go` presses what leads on. */
const sit = async (
  page: Page,
  [name, items]: readonly [string, Asked],
  hand: Hand,
  go: (act: string) => Promise<void>
) => {
  for (const [at, questions] of items.entries()) {
    await page.getByText(new RegExp(`^Question ${at + 1} of ${items.length}$`, "u")).waitFor()
    await page.locator("qti-assessment-item").waitFor()
    for (const question of questions) await hand(page, question)
    if (name === "fractions-qti30" && at === 2) {
      // A fraction is a fraction, and not two numbers.
      const fraction = page.locator("mfrac").first()
      const [above, below] = await Promise.all(
        [0, 1].map((n) => fraction.locator("mn").nth(n).boundingBox())
      )
      assert.isBelow(above?.y ?? Number.NaN, (below?.y ?? Number.NaN) - 4)
    }
    await page.locator(".saved.done").waitFor()
    await look(page, `question ${at + 1}`)
    await shoot(page, `${name}-${hand.name}-${at + 1}`)
    await go(at + 1 < items.length ? "next" : "finish")
  }
}

describe.runIf(HAS_BROWSER)("each package of our own", () => {
  it.live(
    "is sat with a mouse, and by keys alone, for all the points there are",
    () =>
      Effect.gen(function* () {
        const { asked, base, chromium, keys, on } = yield* room
        yield* Effect.promise(async () => {
          const heard: Array<ReadonlyArray<string>> = []
          const open = async (login: string) => {
            const context = await chromium.newContext({ locale: "en-GB" })
            const page = await context.newPage()
            page.setDefaultTimeout(10_000)
            heard.push(complaintsOf(page))
            await logInAt(page, base, login)
            return page
          }
          const ada = await open("ada")
          await look(ada, "tests")
          const ben = await open("ben")
          for (const test of asked) {
            const [name] = test
            await ada.getByRole("button", { name: `Start: Test ${name}` }).click()
            await sit(ada, test, byMouse, (act) => ada.locator(`[data-act="${act}"]`).click())
            const yes = ada.getByRole("button", { name: "Yes, finish" })
            await yes.waitFor()
            await look(ada, "finish")
            await yes.click()
            await ada.getByText("You have finished").waitFor()
            await look(ada, "finished")
            await shoot(ada, `mouse-${name}`)
            await ada.getByRole("button", { name: "Back to your tests" }).click()

            const press = async (label: string) => {
              await tabTo(ben, label)
              await ben.keyboard.press("Enter")
            }
            await press(`Start: Test ${name}`)
            await sit(ben, test, byKeys, press)
            await press("Yes, finish")
            await ben.getByText("You have finished").waitFor()
            await press("Back to your tests")
          }
          const cem = await open("cem")
          await cem.getByRole("button", { name: "Start: Test essay" }).click()
          await cem.getByText("Please wait").waitFor()
          await look(cem, "wait")
          await cem.getByRole("button", { name: "Back to your tests" }).click()
          await cem.getByRole("button", { name: "Log out" }).click()
          await cem.locator("#login").waitFor()
          await look(cem, "login")
          // The language is chosen before anybody says who they are.
          await cem.getByRole("button", { name: "Français" }).click()
          await cem.getByRole("button", { name: "Se connecter" }).waitFor()
          assert.deepStrictEqual(heard.flat(), [])
        })
        const results = yield* on(
          Effect.flatMap(Outbox, (outbox) =>
            outbox.owed({ after: 0, limit: 9, kinds: ["result"], ends: SENT_BY_DEFAULT })
          )
        )
        const totals = yield* Effect.forEach(results, ({ body }) =>
          Effect.map(openResult(keys.active, body ?? ""), ({ document }) => {
            const whole = document.variables.find(({ item }) => item === null)
            const total = whole?.variables.find(({ identifier }) => identifier === "TOTAL_SCORE")
            return `${document.delivery} ${total?.values?.[0]?.value}`
          })
        )
        assert.deepStrictEqual(
          totals.sort(),
          Object.entries(TOTALS)
            .flatMap(([name, total]) => [`dlv_${name} ${total}`, `dlv_${name} ${total}`])
            .sort()
        )
      }),
    120_000
  )
})

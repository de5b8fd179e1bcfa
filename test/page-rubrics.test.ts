import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { browser, complaintsOf, flaws, HAS_BROWSER, logInAt, shoot } from "./support/browser.ts"
import { exam } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { type Files, QTI_30 } from "./support/qti-files.ts"
import { openDoor } from "./support/runner-client.ts"
import { choice, publishSmall, smallTest } from "./support/small-tests.ts"
import { HALL, synced } from "./support/town.ts"

const PICTURE = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" width="90" height="90"><circle cx="4" cy="4" r="4"/></svg>`
const block = (view: string, inner: string) =>
  `<qti-rubric-block use="instructions" view="${view}">${inner}</qti-rubric-block>`

/** Its section is a file of its own, in another folder than the test. */
const files = (): Files => {
  const whole = smallTest(
    { fruit: choice({ body: block("candidate", "<p>Eat neither.</p>") }) },
    {
      section:
        block(
          "candidate",
          `<qti-content-body><h2>Part A</h2><p>Look: <img src="media/dot.svg" alt="a dot"/></p></qti-content-body>`
        ) +
        block("scorer proctor", "<p>B is right</p>") +
        block("candidate", "<p>Take your time.</p>"),
      before: block("candidate", "<p>Work alone.</p>")
    }
  )
  const test = String(whole["test.xml"])
  const [section = ""] = /<qti-assessment-section .*<\/qti-assessment-section>/su.exec(test) ?? []
  const own = section
    .replace("<qti-assessment-section ", `<qti-assessment-section xmlns="${QTI_30}" `)
    .replace(`href="items/`, `href="../items/`)
  return {
    ...whole,
    "test.xml": test.replace(
      section,
      `<qti-assessment-section-ref identifier="S" href="parts/a.xml"/>`
    ),
    "parts/a.xml": own,
    "parts/media/dot.svg": PICTURE
  }
}

describe.runIf(HAS_BROWSER)("what a test says above its questions", () => {
  it.live(
    "is shown to test-takers, with its pictures, and only what is meant for them",
    () =>
      Effect.gen(function* () {
        const { office, on, root } = yield* exam
        yield* office(publishSmall(root, "said", files()))
        yield* office(Office.eligible(HALL, "said", ["ada"]))
        yield* on(synced())
        const base = yield* on(openDoor())
        const chromium = yield* browser
        yield* Effect.promise(async () => {
          const page = await chromium.newPage({ locale: "en-GB" })
          const heard = complaintsOf(page)
          const loaded = page.waitForResponse((response) => response.url().endsWith("dot.svg"))
          const told = page.waitForResponse((response) => response.url().includes("/play/items/"))
          await logInAt(page, base, "ada")
          await page.getByRole("button", { name: "Start: Test said" }).click()
          await page.locator("qti-simple-choice").nth(1).waitFor()
          assert.strictEqual((await loaded).status(), 200)
          assert.notMatch(await (await told).text(), /B is right/u)
          const shown = await page.locator("qti-item-body").textContent()
          assert.match(shown ?? "", /Work alone.*Part A.*Look:.*Take your time.*Which one/su)
          assert.deepStrictEqual(await flaws(page), [])
          await shoot(page, "rubrics")
          assert.deepStrictEqual(heard, [])
        })
      }),
    60_000
  )
})

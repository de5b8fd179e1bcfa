import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { browser, complaintsOf, flaws, HAS_BROWSER, logInAt, shoot } from "./support/browser.ts"
import { exam } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { openDoor } from "./support/runner-client.ts"
import { choice, publishSmall, smallTest, text } from "./support/small-tests.ts"
import { HALL, synced } from "./support/town.ts"

const ARABIC = `xml:lang="ar"`
const LINE = `<p>أكمل الجملة: <qti-text-entry-interaction response-identifier="LINE" expected-length="12"/></p>`
const fruit = choice({
  attributes: ARABIC,
  asked: "أي فاكهة صفراء؟ اختر إجابة واحدة.",
  body: `${LINE}<p xml:lang="en">An English line.</p>`,
  declared: `<qti-response-declaration identifier="LINE" cardinality="single" base-type="string"/>`
})
const SLIDER = `<qti-slider-interaction response-identifier="HOW" lower-bound="1" upper-bound="10" step="1"><qti-prompt>How much?</qti-prompt></qti-slider-interaction>`
const plain = text({
  declared: `<qti-response-declaration identifier="HOW" cardinality="single" base-type="integer"/>`,
  body: SLIDER
})

const room = Effect.gen(function* () {
  const { office, on, root } = yield* exam
  const files = smallTest(
    { fruit, plain, essay: text({ attributes: ARABIC }) },
    {
      navigation: "nonlinear",
      control: `max-attempts="3"`,
      before: `<qti-time-limits max-time="3600"/>`
    }
  )
  yield* office(publishSmall(root, "right", files))
  yield* office(Office.eligible(HALL, "right", ["ada"]))
  yield* on(synced())
  return { base: yield* on(openDoor()), chromium: yield* browser }
})

/** Computed in the page: which way a part of the item is written. */
const direction = (page: Page, selector: string) =>
  page.evaluate(
    `getComputedStyle(document.querySelector("item-container").shadowRoot.querySelector("${selector}")).direction`
  )

/** What reaches over the edge of the window. */
const wide = (page: Page) =>
  page.evaluate(`[...document.querySelectorAll("body *, dialog *")].flatMap((each) => {
    const { left, right, width } = each.getBoundingClientRect()
    const isOut = width > 1 && (left < -1 || right > innerWidth + 1)
    return isOut && !each.closest(".unseen") ? [each.className + " " + each.localName] : []
  }).concat(document.documentElement.scrollWidth > innerWidth ? ["whole page"] : [])`)

describe.runIf(HAS_BROWSER)("a question that is read from right to left", () => {
  it.live(
    "is shown so in a page that is not, and the page itself has room both ways",
    () =>
      Effect.gen(function* () {
        const { base, chromium } = yield* room
        yield* Effect.promise(async () => {
          const page = await chromium.newPage({ locale: "en-GB" })
          const heard = complaintsOf(page)
          await logInAt(page, base, "ada")
          await page.getByRole("button", { name: "Start: Test right" }).click()
          await page.locator("qti-simple-choice").nth(1).click()
          await page.locator(".saved.done").waitFor()
          assert.deepStrictEqual(
            [
              await page.evaluate("document.documentElement.dir"),
              await page.locator("qti-item").getAttribute("lang"),
              await direction(page, "qti-simple-choice"),
              await direction(page, "qti-text-entry-interaction"),
              await direction(page, "p[lang=en]")
            ],
            ["ltr", "ar", "rtl", "rtl", "ltr"]
          )
          assert.deepStrictEqual(await flaws(page), [])
          await shoot(page, "rtl-item")
          // No catalogue is written so yet: what one would look like.
          await page.evaluate("document.documentElement.dir = 'rtl'")
          for (const [width, height] of [
            [1280, 800],
            [390, 844],
            // A usual screen, four times as large.
            [320, 256]
          ] as const) {
            await page.setViewportSize({ width, height })
            assert.deepStrictEqual(await wide(page), [], `${width}`)
            await shoot(page, `rtl-page-${width}`)
            await page.getByRole("button", { name: "Overview" }).click()
            assert.deepStrictEqual(await wide(page), [], `overview ${width}`)
            await shoot(page, `rtl-overview-${width}`)
            await page.getByRole("button", { name: "Close" }).click()
            await page.getByRole("button", { name: "Finish" }).click()
            await page.getByRole("button", { name: "No, go on" }).waitFor()
            assert.deepStrictEqual(await wide(page), [], `finish ${width}`)
            await shoot(page, `rtl-finish-${width}`)
            await page.getByRole("button", { name: "No, go on" }).click()
          }
          // An English question stays what it is only where it says so; a slider is moved by keys.
          await page.evaluate("document.documentElement.dir = 'ltr'")
          await page.getByRole("button", { name: "Next" }).click()
          await page.getByText("Question 2 of 3").waitFor()
          const slider = page.getByRole("slider", { name: "How much?" })
          // Nobody moved it yet: that it begins at 1 is no answer.
          await page.getByRole("button", { name: "Skip" }).waitFor()
          for (const key of ["End", "ArrowLeft", "ArrowLeft"]) await slider.press(key)
          assert.strictEqual(await slider.getAttribute("aria-valuenow"), "8")
          await page.locator(".saved.done").waitFor()
          assert.deepStrictEqual(await flaws(page), [])
          assert.deepStrictEqual(heard, [])
        })
      }),
    60_000
  )
})

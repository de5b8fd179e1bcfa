import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { browser, complaintsOf, HAS_BROWSER, logInAt, shoot } from "./support/browser.ts"
import { exam } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { openDoor } from "./support/runner-client.ts"
import { choice, publishSmall, smallTest, text } from "./support/small-tests.ts"
import { HALL, synced } from "./support/town.ts"

const room = Effect.gen(function* () {
  const { office, on, root } = yield* exam
  const files = smallTest(
    { essay: text(), fruit: choice(), last: choice() },
    { navigation: "nonlinear" }
  )
  yield* office(publishSmall(root, "small", files))
  yield* office(Office.eligible(HALL, "small", ["ada", "ben"]))
  yield* on(synced())
  return { base: yield* on(openDoor()), chromium: yield* browser }
})

const goOn = async (page: Page, what: "Start" | "Go on" = "Start") => {
  await page.getByRole("button", { name: `${what}: Test small` }).click()
  await page.locator("qti-assessment-item").waitFor()
}
const question = (page: Page, n: number) => page.getByText(`Question ${n} of 3`).waitFor()

describe.runIf(HAS_BROWSER)("an answer that the device refuses", () => {
  it.live(
    "is named, is not sent again, and the page goes where the other window is",
    () =>
      Effect.gen(function* () {
        const { base, chromium } = yield* room
        yield* Effect.promise(async () => {
          const context = await chromium.newContext({ locale: "en-GB" })
          const [one, two] = [await context.newPage(), await context.newPage()]
          const heard = complaintsOf(one)
          const sent: Array<string> = []
          one.on("request", (request) => {
            if (request.method() === "PUT") sent.push(new URL(request.url()).pathname)
          })
          const saved = (page: Page) => page.locator(".saved.done").waitFor()
          const alarm = one.getByRole("alertdialog")
          const understand = () => one.getByRole("button", { name: "I understand" }).press("Enter")
          await logInAt(one, base, "ada")
          await goOn(one)
          await one.locator("textarea").fill("first words")
          await saved(one)
          await two.goto(base)
          await goOn(two, "Go on")
          // The other window writes more, and is ahead by its numbers.
          for (const words of ["newer", "newest"]) {
            await two.locator("textarea").fill(words)
            await two.getByText("Saving…").waitFor({ state: "hidden" })
            await saved(two)
          }
          sent.length = 0
          await one.locator("textarea").fill("old words")
          await alarm.waitFor()
          assert.match(
            (await alarm.textContent()) ?? "",
            /not kept.*newer answer.*another window.*question 1.*old words/u
          )
          await shoot(one, "refused")
          await understand()
          await question(one, 1)
          assert.strictEqual(await one.locator("textarea").inputValue(), "newest")

          // The other window goes on: what is written here belongs nowhere now.
          await two.getByRole("button", { name: "Next" }).click()
          await question(two, 2)
          await one.locator("textarea").fill("too late")
          await alarm.waitFor()
          assert.match((await alarm.textContent()) ?? "", /another question.*too late/u)
          await understand()
          await question(one, 2)
          await one.locator("qti-simple-choice").nth(1).click()
          await saved(one)
          assert.deepStrictEqual(sent.length, 3)
          // A move from where one is no more leads to where one is.
          await two.getByRole("button", { name: "Overview" }).click()
          await two.locator("dialog button").nth(2).click()
          await question(two, 3)
          await one.getByRole("button", { name: "Previous" }).click()
          await question(one, 3)
          await one.getByRole("alert").getByText("at another question now").waitFor()
          assert.deepStrictEqual(heard, [])
        })
      }),
    60_000
  )

  it.live(
    "is sent again when the device only failed, and nobody goes on before it is kept",
    () =>
      Effect.gen(function* () {
        const { base, chromium } = yield* room
        yield* Effect.promise(async () => {
          const page = await chromium.newPage({ locale: "en-GB" })
          await logInAt(page, base, "ben")
          await goOn(page)
          const put = "**/responses"
          const code = "disk-full"
          await page.route(put, (route) => route.fulfill({ status: 507, json: { code } }))
          await page.locator("textarea").fill("precious")
          const alarm = page.getByRole("alertdialog")
          await alarm.getByText("The disk of this device is full").waitFor()
          await page.keyboard.press("Escape")
          assert.isTrue(await alarm.isVisible())
          await page.unroute(put)
          await alarm.getByRole("button", { name: "Try again" }).click()
          await page.locator(".saved.done").waitFor()
          assert.isFalse(await alarm.isVisible())

          // Too much is refused by rule: once, and with the answer that is kept.
          let refused = 0
          await page.route(put, (route) => {
            refused += 1
            return route.fulfill({ status: 413, json: { code: "too-large" } })
          })
          await page.locator("textarea").fill("far too much")
          await alarm.getByText("too long for this device").waitFor()
          await page.getByRole("button", { name: "I understand" }).click()
          assert.strictEqual(await page.locator("textarea").inputValue(), "precious")
          await page.unroute(put)
          await page.getByRole("button", { name: "Next" }).click()
          await question(page, 2)
          assert.strictEqual(refused, 1)

          // Nobody is logged in any more: what was typed last comes back with its person.
          await page.getByRole("button", { name: "Previous" }).click()
          await question(page, 1)
          const login = { status: 401, json: { code: "login-needed" } }
          await page.route(put, (route) => route.fulfill(login))
          await page.locator("textarea").fill("and the last words")
          await page.getByText("You were logged out").waitFor()
          await page.unroute(put)
          await page.locator("#login").fill("ben")
          await page.locator("#password").fill(Office.passwordOf("ben"))
          await page.keyboard.press("Enter")
          await goOn(page, "Go on")
          await page.locator(".saved.done").waitFor()
          await page.reload()
          await goOn(page, "Go on")
          assert.strictEqual(await page.locator("textarea").inputValue(), "and the last words")
        })
      }),
    60_000
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Outbox } from "../application/record-ports.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { browser, complaintsOf, HAS_BROWSER, logInAt } from "./support/browser.ts"
import { exam, openResult } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { openDoor } from "./support/runner-client.ts"
import { publishSmall, smallTest, text } from "./support/small-tests.ts"
import { HALL, synced } from "./support/town.ts"

const within = (seconds: number, more = "") =>
  text({ ref: `<qti-time-limits max-time="${seconds}" ${more}/>` })

describe.runIf(HAS_BROWSER)("a question whose time is over", () => {
  it.live(
    "is left with what was typed to its last moment, unless it may be answered late",
    () =>
      Effect.gen(function* () {
        const { keys, office, on, root } = yield* exam
        const files = smallTest({
          quick: within(5),
          late: within(1, `allow-late-submission="true"`),
          last: text()
        })
        yield* office(publishSmall(root, "timed", files))
        yield* office(Office.eligible(HALL, "timed", ["ada"]))
        yield* on(synced())
        const base = yield* on(openDoor())
        const chromium = yield* browser
        const typed = yield* Effect.promise(async () => {
          const page = await chromium.newPage({ locale: "en-GB" })
          const heard = complaintsOf(page)
          await logInAt(page, base, "ada")
          await page.getByRole("button", { name: "Start: Test timed" }).click()
          await page.locator("textarea").waitFor()
          const second = page.getByText("Question 2 of 3")
          const gone = page.waitForRequest((request) => request.url().endsWith("/play/move"))
          let leaves = false
          gone.then(() => {
            leaves = true
          })
          let words = ""
          while (!leaves) {
            await page
              .locator("textarea")
              .pressSequentially("a", { timeout: 1_000 })
              .catch(() => {})
            words = await page
              .locator("textarea")
              .inputValue({ timeout: 1_000 })
              .catch(() => words)
          }
          await second.waitFor()
          // This one goes on after its end.
          await page.getByText("Time left: 00:00").waitFor()
          await page.locator("textarea").fill("late words")
          await page.locator(".saved.done").waitFor()
          await second.waitFor()
          assert.strictEqual(await page.locator(".notice").textContent(), "")
          await page.getByRole("button", { name: "Next" }).click()
          await page.getByText("Question 3 of 3").waitFor()
          await page.getByRole("button", { name: "Finish" }).click()
          await page.getByRole("button", { name: "Yes, finish" }).click()
          await page.getByText("You have finished").waitFor()
          assert.deepStrictEqual(heard, [])
          return words
        })
        const [result] = yield* on(
          Effect.flatMap(Outbox, (outbox) =>
            outbox.owed({ after: 0, limit: 9, kinds: ["result"], ends: SENT_BY_DEFAULT })
          )
        )
        const { document } = yield* openResult(keys.active, result?.body ?? "")
        const answer = (ref: string) =>
          document.variables
            .find(({ item }) => item === ref)
            ?.variables.find(({ identifier }) => identifier === "RESPONSE")?.values?.[0]?.value
        assert.match(typed, /^a+$/u)
        assert.include(answer("quick") ?? "", typed)
        assert.strictEqual(answer("late"), "late words")
      }),
    60_000
  )
})

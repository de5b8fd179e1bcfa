import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Outbox } from "../application/record-ports.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { browser, HAS_BROWSER } from "./support/browser.ts"
import { exam, openResult, publishFile } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { openDoor } from "./support/runner-client.ts"
import { DEMO } from "./support/testferry.ts"
import { HALL, synced, TAKERS } from "./support/town.ts"

describe.runIf(HAS_BROWSER)("a test-taker in front of a device", () => {
  it.live(
    "sits a whole test by mouse and keyboard, and the office reads answers and scores",
    () =>
      Effect.gen(function* () {
        const { keys, office, on } = yield* exam
        yield* office(publishFile(path.join(DEMO, "packages/soundscapes-qti30.zip"), "soundscapes"))
        yield* office(Office.eligible(HALL, "soundscapes", TAKERS, { proctored: false }))
        yield* on(synced())
        const base = yield* on(openDoor())
        const opened = yield* browser
        const complaints = yield* Effect.promise(async () => {
          const page = await opened.newPage({ locale: "en-GB" })
          const heard: Array<string> = []
          page.on("pageerror", (error) => heard.push(error.message))
          page.on("console", (message) => {
            if (/Content Security Policy|Failed to load styles/u.test(message.text())) {
              heard.push(message.text())
            }
          })
          page.on("request", (request) => {
            if (!/^(?:data|blob):/u.test(request.url()) && !request.url().startsWith(base)) {
              heard.push(request.url())
            }
          })
          const question = (n: number) => page.getByText(`Question ${n} of 5`).waitFor()
          const saved = () => page.locator(".saved.done").waitFor()
          const next = () => page.getByRole("button", { name: "Next" }).press("Enter")
          await page.goto(base)
          await page.locator("#login").fill("ada")
          await page.locator("#password").fill(Office.passwordOf("ada"))
          await page.keyboard.press("Enter")
          await page.getByRole("button", { name: /Start: Test soundscapes/u }).click()
          await question(1)
          await page.locator("qti-simple-choice").nth(1).click()
          await saved()
          const inside = await page.evaluate(
            "document.querySelector('item-container').shadowRoot.innerHTML"
          )
          assert.include(String(inside), "qti-simple-choice")
          assert.notMatch(String(inside), /correct-response|response-processing|mapp(?:ing|ed)/u)
          await next()
          await question(2)
          await page.locator("qti-text-entry-interaction input").pressSequentially("4")
          await saved()
          await next()
          await question(3)
          await page.locator("qti-hotspot-choice").nth(1).click()
          await saved()
          await page.reload()
          await page.getByRole("button", { name: /Go on: Test soundscapes/u }).click()
          await question(3)
          await page.locator("qti-hotspot-choice:state(--checked)").waitFor()
          await page.getByRole("button", { name: "Overview" }).click()
          await page.locator("dialog button").nth(4).click()
          await question(5)
          await page.locator("textarea").click()
          await page.keyboard.insertText("鳥の声, pasted and not typed")
          await saved()
          await page.getByRole("button", { name: "Finish" }).click()
          await page.getByRole("button", { name: "Yes, finish" }).click()
          await page.getByText("You have finished").waitFor()
          return heard
        })
        assert.deepStrictEqual(complaints, [])
        const [result] = yield* on(
          Effect.flatMap(Outbox, (outbox) =>
            outbox.owed({ after: 0, limit: 9, kinds: ["result"], ends: SENT_BY_DEFAULT })
          )
        )
        const { document } = yield* openResult(keys.active, result?.body ?? "")
        const told = (name: string) =>
          Object.fromEntries(
            document.variables.flatMap(({ item, variables }) =>
              variables
                .filter(({ identifier }) => identifier === name)
                .map(({ values }) => [item ?? "", values?.[0]?.value])
            )
          )
        assert.deepInclude(told("RESPONSE"), {
          melody: "falls",
          beats: "4",
          waves: "middle",
          morning: "鳥の声, pasted and not typed"
        })
        assert.deepInclude(told("SCORE"), { melody: "1", beats: "0", waves: "1" })
        assert.strictEqual(told("TOTAL_SCORE")[""], "2")
        // An essay is no 0, and what was added up without it is not all.
        assert.isUndefined(told("SCORE").morning)
        assert.deepStrictEqual(told("pendingExternalScoring"), { "": "true", morning: "true" })
      }),
    120_000
  )
})

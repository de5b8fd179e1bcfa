import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Outbox } from "../application/record-ports.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { browser, complaintsOf, flaws, HAS_BROWSER, logInAt, shoot } from "./support/browser.ts"
import { exam, openResult } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { ask, openDoor } from "./support/runner-client.ts"
import { choice, publishSmall, smallTest, text } from "./support/small-tests.ts"
import { HALL, synced } from "./support/town.ts"

const GIVE_UP = `<p><qti-end-attempt-interaction response-identifier="GIVEUP" title="I give up"/></p>`
const hopeless = choice({
  declared: `<qti-response-declaration identifier="GIVEUP" cardinality="single" base-type="boolean"/>`,
  body: GIVE_UP
})

const declared = (identifier: string, cardinality: string, type: string) =>
  `<qti-response-declaration identifier="${identifier}" cardinality="${cardinality}" base-type="${type}"/>`
const mixed = text({
  declared: declared("HOW", "single", "integer") + declared("ORDER", "ordered", "identifier"),
  body: `<qti-slider-interaction response-identifier="HOW" lower-bound="0" upper-bound="9"/><qti-order-interaction response-identifier="ORDER"><qti-simple-choice identifier="first">First</qti-simple-choice><qti-simple-choice identifier="second">Second</qti-simple-choice></qti-order-interaction>`
})

const room = Effect.gen(function* () {
  const world = yield* exam
  const { office, on, root } = world
  const rules = { navigation: "nonlinear", control: `max-attempts="2"` } as const
  const files = smallTest({ fruit: choice(), hopeless, mixed }, rules)
  yield* office(publishSmall(root, "tries", files))
  yield* office(Office.eligible(HALL, "tries", ["ada"]))
  yield* on(synced())
  return { ...world, base: yield* on(openDoor()), chromium: yield* browser }
})

describe.runIf(HAS_BROWSER)("a question with several tries", () => {
  it.live(
    "is handed in try by try, is read-only after the last, and each try is scored",
    () =>
      Effect.gen(function* () {
        const { base, chromium, keys, on } = yield* room
        yield* Effect.promise(async () => {
          const page = await chromium.newPage({ locale: "en-GB" })
          const heard = complaintsOf(page)
          const puts: Array<string> = []
          page.on("request", (request) => {
            if (request.method() === "PUT") puts.push(request.url())
          })
          const fruit = (n: number) => page.locator("qti-simple-choice").nth(n)
          const chosen = page.locator("qti-simple-choice:state(--checked)")
          const handIn = page.getByRole("button", { name: "Hand in this answer" })
          const focused = () => page.evaluate("document.activeElement.getAttribute('data-act')")
          await logInAt(page, base, "ada")
          await page.getByRole("button", { name: "Start: Test tries" }).click()
          await fruit(0).click()
          await page.locator(".saved.done").waitFor()
          assert.strictEqual(await handIn.getAttribute("aria-describedby"), "tries")
          assert.strictEqual(await page.locator("#tries").textContent(), "Tries left: 2")
          // A keyboard stays where it was.
          await page.getByRole("button", { name: "Flag" }).press("Enter")
          await page.getByRole("button", { name: "Flagged", pressed: true }).waitFor()
          assert.strictEqual(await focused(), "flag")
          await handIn.press("Enter")
          await page.getByText("Handed in. You can try again.").waitFor()
          assert.strictEqual(await page.locator("#tries").textContent(), "Tries left: 1")
          assert.strictEqual(await chosen.textContent(), "Apples")
          assert.deepStrictEqual(await flaws(page), [])
          await shoot(page, "tries")
          await fruit(1).click()
          await page.locator(".saved.done").waitFor()
          await handIn.click()
          await page.getByText("Handed in. This question is closed.").waitFor()
          await page.getByText("you can read your answer, and not change it").waitFor()
          assert.strictEqual(await handIn.count(), 0)

          puts.length = 0
          await fruit(0).click({ force: true })
          await fruit(0).press("Space")
          assert.strictEqual(await chosen.textContent(), "Bananas")
          assert.strictEqual(await fruit(0).getAttribute("aria-disabled"), "true")
          assert.deepStrictEqual(await flaws(page), [])
          await shoot(page, "closed")

          await page.getByRole("button", { name: "Next" }).click()
          await page.getByText("Question 2 of 3").waitFor()
          await fruit(1).click()
          await page.getByRole("button", { name: "I give up" }).click()
          await page.getByText("Handed in. You can try again.").waitFor()
          assert.isTrue(puts.every((url) => url.includes("hopeless")))
          // What is written, moved and put in order is closed like what is chosen.
          await page.getByRole("button", { name: "Next" }).click()
          await page.getByText("Question 3 of 3").waitFor()
          const slider = page.getByRole("slider")
          await page.locator("textarea").fill("so it is")
          await slider.press("ArrowUp")
          await handIn.click()
          await page.locator("#tries").getByText("Tries left: 1").waitFor()
          await handIn.click()
          await page.getByText("you can read your answer").waitFor()
          puts.length = 0
          await page.locator("textarea").press("x")
          await slider.press("ArrowUp")
          await page.locator("[identifier=first]").press("Space")
          await page.keyboard.press("Space")
          assert.strictEqual(await page.locator("textarea").inputValue(), "so it is")
          assert.strictEqual(await slider.getAttribute("aria-valuenow"), "1")
          assert.strictEqual(await page.locator("drop-list [identifier=first]").count(), 0)
          assert.deepStrictEqual([puts, await flaws(page)], [[], []])
          await shoot(page, "closed-mixed")
          await page.getByRole("button", { name: "Previous" }).click()
          await page.getByText("Question 2 of 3").waitFor()
          await page.getByRole("button", { name: "Previous" }).click()
          await page.getByText("Question 1 of 3").waitFor()
          await page.getByText("you can read your answer").waitFor()
          assert.strictEqual(await chosen.textContent(), "Bananas")
          await page.getByRole("button", { name: "Finish" }).click()
          await page.getByRole("button", { name: "Yes, finish" }).click()
          await page.getByText("You have finished").waitFor()
          assert.deepStrictEqual(heard, [])
        })
        const [result] = yield* on(
          Effect.flatMap(Outbox, (outbox) =>
            outbox.owed({ after: 0, limit: 9, kinds: ["result"], ends: SENT_BY_DEFAULT })
          )
        )
        const { document } = yield* openResult(keys.active, result?.body ?? "")
        const told = document.variables
          .filter(({ item }) => item !== null)
          .map(({ attempt, item, variables }) => {
            const value = (name: string) =>
              variables.find(({ identifier }) => identifier === name)?.values?.[0]?.value ?? null
            const names = ["numAttempts", "RESPONSE", "SCORE", "GIVEUP"]
            return [item, attempt, ...names.map(value)]
          })
        assert.deepStrictEqual(told, [
          ["fruit", 1, "1", "A", "0", null],
          ["fruit", 2, "2", "B", "1", null],
          // A second try was begun, and nothing was done in it.
          ["hopeless", 1, "1", "B", "1", "true"],
          ["mixed", 1, "1", "so it is", null, null],
          ["mixed", 2, "2", "so it is", null, null]
        ])
      }),
    60_000
  )
})

describe("a page that calls an answer valid", () => {
  it.live("does not get past a device that knows better", () =>
    Effect.gen(function* () {
      const { office, on, root } = yield* exam
      const fruit = choice()
      const two = {
        ...fruit,
        body: fruit.body.replace(`max-choices="1"`, `min-choices="1" max-choices="1"`)
      }
      const files = smallTest({ two, more: choice() }, { control: `validate-responses="true"` })
      yield* office(publishSmall(root, "strict", files))
      yield* office(Office.eligible(HALL, "strict", ["ada"]))
      yield* on(synced())
      const base = yield* on(openDoor())
      const login = yield* ask(base, "POST", "/runner/v1/login", {
        body: { login: "ada", password: Office.passwordOf("ada") }
      })
      const call = (method: string, at: string, body?: unknown) =>
        ask(base, method, `/runner/v1/executions${at}`, { token: login.json.token ?? "", body })
      const { execution } = (yield* call("POST", "", { delivery: "dlv_strict" })).json
      const at = `/${execution}`
      yield* call("POST", `${at}/start`)
      yield* call("GET", `${at}/play/items/two`)
      const next = (seq: number, chosen: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const values = chosen.map((value) => ({ value }))
          const said = { identifier: "RESPONSE", cardinality: "multiple", baseType: "identifier" }
          const responses = [{ ...said, values }]
          yield* call("PUT", `${at}/play/items/two/responses`, { seq, responses, valid: true })
          return (yield* call("POST", `${at}/play/move`, { from: "two", to: "next" })).status
        })
      const statuses = yield* Effect.all([next(1, ["A", "B"]), next(2, []), next(3, ["A"])])
      assert.deepStrictEqual(statuses, [409, 409, 200])
    })
  )
})

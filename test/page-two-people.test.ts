import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { Sessions } from "../application/session-ports.ts"
import { browser, HAS_BROWSER, logInAt } from "./support/browser.ts"
import { exam } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { ask, openDoor } from "./support/runner-client.ts"

const begunBy = Effect.flatMap(Sessions, (sessions) =>
  Effect.map(sessions.list("open"), (all) => all.map(({ testTaker }) => testTaker))
)

/** At the card that is shown, as it is. */
const logInHere = async (page: Page, login: string) => {
  await page.locator("#login").fill(login)
  await page.locator("#password").fill(Office.passwordOf(login))
  await page.keyboard.press("Enter")
}

describe("a page that shows one person", () => {
  it.live("is told so when its browser's cookie became another's", () =>
    Effect.gen(function* () {
      const world = yield* exam
      const base = yield* world.on(openDoor())
      const enter = (login: string) =>
        Effect.map(
          ask(base, "POST", "/runner/v1/login", {
            body: { login, password: Office.passwordOf(login) }
          }),
          ({ headers }) => headers.get("set-cookie")?.split(";")[0] ?? ""
        )
      const cookie = yield* enter("ben")
      const me = yield* ask(base, "GET", "/runner/v1/me", { headers: { cookie } })
      const begin = (page: string) =>
        Effect.map(
          ask(base, "POST", "/runner/v1/executions", {
            body: { delivery: "dlv_none" },
            headers: { cookie, "testferry-page": page }
          }),
          ({ json, status }) => `${status} ${json.code}`
        )
      assert.strictEqual(yield* begin(String(me.json.id)), "404 not-found")
      assert.strictEqual(yield* begin("1"), "404 not-found")
      assert.strictEqual(yield* begin("usr_ada"), "401 login-needed")
    })
  )

  it.live.runIf(HAS_BROWSER)("begins no test of whoever logged in beside it, and asks again", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const world = yield* exam
        const base = yield* world.on(openDoor())
        const context = yield* Effect.flatMap(browser, (opened) =>
          Effect.promise(() => opened.newContext({ locale: "en-GB" }))
        )
        context.setDefaultTimeout(15_000)
        const page = () => Effect.promise(() => context.newPage())
        const [adas, bens] = [yield* page(), yield* page()]
        const login = adas.getByRole("heading", { name: "Log in" })
        yield* Effect.promise(async () => {
          await logInAt(adas, base, "ada")
          await bens.goto(base)
          await bens.getByRole("button", { name: "Log out" }).click()
          await logInAt(bens, base, "ben")
          await adas.getByRole("button", { name: "Start: Test essay" }).click()
          await login.waitFor()
        })
        assert.deepStrictEqual(yield* world.on(begunBy), [])
        yield* Effect.promise(async () => {
          await logInHere(adas, "ada")
          await adas.getByRole("button", { name: "Start: Test essay" }).click()
          await adas.getByRole("heading", { name: "Please wait" }).waitFor()
          await bens.getByRole("button", { name: "Look again" }).click()
          await logInHere(bens, "ben")
          await bens.getByText("Hello").waitFor()
          await login.waitFor()
        })
      })
    )
  )
})

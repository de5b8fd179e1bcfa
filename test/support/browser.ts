/** Opens pages of a device in a real browser, where there is one. */
import fs from "node:fs"
import { Effect } from "effect"
import { chromium, type Page } from "playwright-core"
import * as Office from "./office.ts"

const BROWSER = process.env.TESTFERRY_CHROMIUM ?? "/usr/bin/chromium"
/** Where there is no browser, nothing can be said of it. */
export const HAS_BROWSER = fs.existsSync(BROWSER)

const OPTIONS = {
  executablePath: BROWSER,
  args: [
    ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    ...["--disable-background-networking", "--disable-component-update", "--disable-sync"]
  ]
}

/** Goes with the scope. */
export const browser = Effect.acquireRelease(
  Effect.promise(() => chromium.launch(OPTIONS)),
  (opened) => Effect.promise(() => opened.close())
)

/** A browser that can be killed like any process (`kill -9`), and goes with the scope. */
export const mortalBrowser = Effect.gen(function* () {
  const server = yield* Effect.acquireRelease(
    Effect.promise(() => chromium.launchServer(OPTIONS)),
    (opened) => Effect.promise(() => opened.kill())
  )
  const opened = yield* Effect.promise(() => chromium.connect(server.wsEndpoint()))
  return { newPage: () => opened.newPage({ locale: "en-GB" }), kill: () => server.kill() }
})

/** Opens the first page and logs in, as far as the list of tests. */
export const logInAt = async (page: Page, base: string, login: string) => {
  await page.goto(base)
  await page.locator("#login").fill(login)
  await page.locator("#password").fill(Office.passwordOf(login))
  await page.keyboard.press("Enter")
  await page.getByRole("heading", { name: "Your tests" }).waitFor()
}

/** Opens pages of a device in a real browser, where there is one. */
import fs from "node:fs"
import { createRequire } from "node:module"
import path from "node:path"
import { Effect } from "effect"
import { chromium, type Page } from "playwright-core"
import * as Office from "./office.ts"

const BROWSER = process.env.TESTFERRY_CHROMIUM ?? "/usr/bin/chromium"
/** Where there is no browser, nothing can be said of it. */
export const HAS_BROWSER = fs.existsSync(BROWSER)

if (!HAS_BROWSER) {
  console.warn(
    `NOT TRIED: the pages, in any browser. There is no ${BROWSER}: apt-get install chromium, or set ` +
      "TESTFERRY_CHROMIUM."
  )
}

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

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

/** What axe finds against WCAG 2.2 AA. */
export const flaws = async (page: Page): Promise<unknown> => {
  await page.evaluate(AXE)
  return page.evaluate(
    `axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then(({ violations }) =>
      violations.map(({ id, nodes }) => id + " " + nodes.map(({ html }) => html).join(" ")))`
  )
}

/** What is written in letters smaller than 18 pixels, in the page and inside its items. */
export const smallPrint = (page: Page): Promise<unknown> =>
  page.evaluate(`(() => {
    const found = []
    const look = (root) => {
      for (const each of root.querySelectorAll("*")) {
        if (each.shadowRoot) look(each.shadowRoot)
        const text = [...each.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join("").trim()
        const isShown = each.checkVisibility() && each.getClientRects().length > 0
        const size = Number.parseFloat(getComputedStyle(each).fontSize)
        if (text !== "" && isShown && size < 17.9 && !each.closest("style, .unseen")) found.push(size + " " + each.localName + " " + text)
      }
    }
    look(document)
    return found
  })()`)

/** For eyes; kept only where somebody says where. */
export const shoot = async (page: Page, name: string) => {
  const folder = process.env.TESTFERRY_SHOTS
  if (folder !== undefined) await page.screenshot({ path: path.join(folder, `${name}.png`) })
}

/** Collects what a page says that nobody should hear: errors, and what the policy stopped. */
export const complaintsOf = (page: Page): ReadonlyArray<string> => {
  const heard: Array<string> = []
  page.on("pageerror", (error) => heard.push(error.message))
  page.on("console", (message) => {
    if (/Content Security Policy/u.test(message.text())) heard.push(message.text())
  })
  return heard
}

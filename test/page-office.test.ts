import fs from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { chromium, type Page } from "playwright-core"
import * as DoorSupport from "./support/door.ts"
import { Door } from "./support/door.ts"
import { layerDesk, PASSWORD } from "./support/office-desk.ts"

/** Where there is no browser, nothing can be said of it. */
const BROWSER = process.env.TESTFERRY_CHROMIUM ?? "/usr/bin/chromium"
const FLAGS = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"]
]
/** A folder for pictures of each view, where somebody wants to look at them. */
const PICTURES = process.env.TESTFERRY_PICTURES

const browser = Effect.acquireRelease(
  Effect.promise(() => chromium.launch({ executablePath: BROWSER, args: FLAGS })),
  (opened) => Effect.promise(() => opened.close())
)

const AXE = fs.readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8")

/** What axe finds wrong with the page as it is now. */
const faults = async (page: Page, name: string): Promise<ReadonlyArray<string>> => {
  if (PICTURES !== undefined) await page.screenshot({ path: `${PICTURES}/${name}.png` })
  await page.evaluate(AXE)
  // Runs in the browser.
  const found: unknown = await page.evaluate(
    "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ' ' + nodes[0].html))"
  )
  const smallest: unknown = await page.evaluate(
    "Math.min(...[...document.querySelectorAll('#app *')].map((one) => parseFloat(getComputedStyle(one).fontSize)))"
  )
  assert.isAtLeast(Number(smallest), 18, name)
  return Array.isArray(found) ? found.map((fault) => `${name}: ${fault}`) : [`${name}: no answer`]
}

const openPage = Effect.fnUntraced(function* (locale: string) {
  const { baseUrl } = yield* Door
  const opened = yield* browser
  const complaints: Array<string> = []
  const page = yield* Effect.promise(() =>
    opened.newPage({
      locale,
      ignoreHTTPSErrors: true,
      viewport: { width: 1400, height: 900 }
    })
  )
  page.on("pageerror", (error) => complaints.push(error.message))
  page.on("console", (message) => {
    if (/Content Security Policy/u.test(message.text())) complaints.push(message.text())
  })
  page.on("request", (request) => {
    if (!/^(?:data|blob):/u.test(request.url()) && !request.url().startsWith(baseUrl)) {
      complaints.push(request.url())
    }
  })
  yield* Effect.promise(() => page.goto(`${baseUrl}/office`))
  return { page, complaints }
})

const enter = async (page: Page, login: string) => {
  await page.locator("#login").fill(login)
  await page.locator("#password").fill(PASSWORD)
  await page.keyboard.press("Enter")
  await page.locator(".office tbody tr").first().waitFor()
}

/** The browser may keep its connections: closing must not wait for them. */
const desk = DoorSupport.layer(layerDesk, { grace: "1 second" })

describe.runIf(fs.existsSync(BROWSER))("somebody at the office's page", () =>
  layer(desk, { excludeTestServices: true })((it) => {
    it.effect(
      "sees who is behind and why, filters by keyboard, and finds no fault with any view",
      () =>
        Effect.gen(function* () {
          const { complaints, page } = yield* openPage("en-GB")
          yield* Effect.promise(async () => {
            const found = [...(await faults(page, "login"))]
            await enter(page, "rosa")
            const row = (name: string) => page.getByRole("row", { name })
            await row("Room 2")
              .getByText(/^Behind by 2 changes since/u)
              .waitFor()
            found.push(...(await faults(page, "fleet")))
            await page.getByLabel("Show").focus()
            await page.keyboard.press("ArrowDown")
            await row("Room 1").waitFor({ state: "detached" })
            await row("Room 3").waitFor()
            const tab = async (name: string, text: RegExp) => {
              await page.getByRole("button", { name, exact: true }).press("Enter")
              await page.locator("#view").getByText(text).first().waitFor()
              found.push(...(await faults(page, name)))
            }
            await tab("Completeness", /^Hall/u)
            await tab("Results", /^It is of an organisation that the device does not belong to/u)
            await tab("Sync managers", /^mia/u)
            await tab("Opened results", /^Called ada/u)
            await tab("History", /quoted/u)
            await page.getByLabel("Outcome").selectOption("failed")
            await page.getByText("quoted").waitFor({ state: "detached" })
            const waiting = page.waitForEvent("download")
            await page.getByRole("link", { name: "Save as CSV" }).press("Enter")
            const saved = fs.readFileSync(await (await waiting).path(), "utf8")
            assert.match(saved, /^at,verb,who.*\r\n.*,sync,device,dev_\w+,,failed,10,5,no\r\n$/u)
            await page.reload()
            await page.locator(".office tbody tr").first().waitFor()
            await page.getByRole("button", { name: "Log out" }).click()
            await page.locator("#password").waitFor()
            await page.reload()
            await page.locator("#password").waitFor()
            assert.deepStrictEqual(found, [])
          })
          assert.deepStrictEqual(complaints, [])
        }),
      120_000
    )

    it.effect(
      "reads French, and is shown no opened results as an administrator",
      () =>
        Effect.gen(function* () {
          const { complaints, page } = yield* openPage("fr-FR")
          yield* Effect.promise(async () => {
            await enter(page, "root")
            await page.getByText(/^En retard de 2 changements depuis le/u).waitFor()
            assert.strictEqual(await page.locator("nav.tabs button").count(), 5)
            assert.strictEqual(await page.getByText("Résultats ouverts").count(), 0)
            await page.getByRole("button", { name: "English" }).click()
            await page.getByText(/^Behind by 2 changes since/u).waitFor()
          })
          assert.deepStrictEqual(complaints, [])
        }),
      120_000
    )
  })
)

/** Opens the office's page in a real browser, and says what is wrong with what it shows. */
import fs from "node:fs"
import { fileURLToPath } from "node:url"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { browser } from "./browser.ts"
import { Door } from "./door.ts"
import { PASSWORD } from "./office-desk.ts"

/** A folder for pictures of each view, where somebody wants to look at them. */
const PICTURES = process.env.TESTFERRY_PICTURES

const AXE = fs.readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8")

/** What axe finds wrong with the page as it is now. */
export const faults = async (page: Page, name: string): Promise<ReadonlyArray<string>> => {
  if (PICTURES !== undefined) await pictures(page, `${PICTURES}/${name}`)
  await page.evaluate(AXE)
  // Runs in the browser.
  const found: unknown = await page.evaluate(
    "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ' ' + nodes[0].html))"
  )
  const smallest: unknown = await page.evaluate(
    "Math.min(...[...document.querySelectorAll('#app *')].map((one) => parseFloat(getComputedStyle(one).fontSize)))"
  )
  assert.isAtLeast(Number(smallest), 18, name)
  assert.isAtMost(await widthAt(page, NARROW), NARROW, `${name} scrolls sideways`)
  return Array.isArray(found) ? found.map((fault) => `${name}: ${fault}`) : [`${name}: no answer`]
}

/** As narrow as a page must still be readable without scrolling sideways (WCAG 1.4.10). */
const NARROW = 320

const widthAt = async (page: Page, width: number): Promise<number> => {
  const before = page.viewportSize()
  await page.setViewportSize({ width, height: 800 })
  const found = Number(await page.evaluate("document.documentElement.scrollWidth"))
  if (before !== null) await page.setViewportSize(before)
  return found
}

/** As it is on a desk and on a telephone, and as it would be from right to left. */
const pictures = async (page: Page, path: string) => {
  for (const [width, height] of [
    [1_280, 800],
    [390, 844]
  ] as const) {
    await page.setViewportSize({ width, height })
    await page.screenshot({ path: `${path}-${width}.png`, fullPage: true })
  }
  await page.setViewportSize({ width: 1_280, height: 800 })
  await page.evaluate("document.documentElement.dir = 'rtl'")
  await page.screenshot({ path: `${path}-rtl.png`, fullPage: true })
  await page.evaluate("document.documentElement.dir = 'ltr'")
}

export const openPage = Effect.fnUntraced(function* (locale: string) {
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

export const enter = async (page: Page, login: string) => {
  await page.locator("#login").fill(login)
  await page.locator("#password").fill(PASSWORD)
  await page.keyboard.press("Enter")
  await page.locator(".office tbody tr").first().waitFor()
}

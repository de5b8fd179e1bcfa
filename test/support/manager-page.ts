/** A new device with its page and a stick, the central that it will belong to, and a browser. */
import fs from "node:fs"
import { createServer, type Server } from "node:https"
import { createRequire } from "node:module"
import path from "node:path"
import { assert } from "@effect/vitest"
import { Context, Effect, Layer, Scope } from "effect"
import type { Page } from "playwright-core"
import { readCentral } from "../../entrypoints/settings.ts"
import { layerCentral } from "../../entrypoints/wiring.ts"
import { browser } from "./browser.ts"
import { certPem, keyPem } from "./certificate.ts"
import { freshFolder } from "./database.ts"
import { nameResultsKeys, newResultsKeys } from "./exam.ts"
import { heldLine } from "./held-line.ts"
import { done, office, serve, start } from "./testferry.ts"

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
/** A folder for pictures of each state, where somebody wants to look at them. */
const PICTURES = process.env.TESTFERRY_PICTURES
/** What is asked for after the desk was drawn has come; other views have nothing of that. */
const SETTLED = "#app:not(:has(#ready)), #ready .level"
const WIDE = { width: 1280, height: 800 }
const NARROW = { width: 390, height: 844 }
/** The desk is looked at every ten seconds; a machine with much to do takes its time. */
const PATIENCE_MILLIS = 30_000

const opened = Effect.gen(function* () {
  const line = yield* heldLine
  const central = yield* office(line.url)
  line.lead(central.port)
  yield* nameResultsKeys(central.data, yield* newResultsKeys).pipe(
    Effect.provide(layerCentral(central.data, yield* readCentral(central.data)), { local: true })
  )
  const folder = yield* freshFolder()
  const stick = path.join(folder, "STICK 1")
  const device = path.join(folder, "device")
  const setup = path.join(folder, "setup.json")
  fs.mkdirSync(stick)
  fs.writeFileSync(
    setup,
    JSON.stringify({
      configuration: {
        global: { instance_name: "Room 12" },
        testferry: { rootUrl: central.url, stickFolders: [stick] }
      }
    })
  )
  yield* done(device, "device", "init", "--setup", setup)
  const serving = yield* serve(central)
  const other = yield* Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer({ cert: certPem, key: keyPem })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  const address = other.address()
  /** The port of a server with another certificate than central's. */
  const impostor = typeof address === "object" && address !== null ? address.port : 0
  const scope = yield* Effect.scope
  /** Serves the device for as long as all tests of the file need it. */
  const serveDevice = (...args: ReadonlyArray<string>) =>
    start(device, ["device", "serve", ...args]).pipe(
      Effect.tap((started) => started.says("is ready")),
      Effect.provideService(Scope.Scope, scope)
    )
  const server = yield* serveDevice("--port", "0")
  const base = /http:\/\/127\.0\.0\.1:\d+/u.exec(server.output.stdout)?.[0] ?? ""
  const chromium = yield* browser
  /** What a window asked of others, was refused, or threw. */
  const complaints: Array<string> = []
  const newWindow = async (locale = "en-GB") => {
    const page = await chromium.newPage({ locale, viewport: WIDE })
    page.setDefaultTimeout(PATIENCE_MILLIS)
    page.on("pageerror", (error) => complaints.push(error.message))
    page.on("console", (message) => {
      if (/Content Security Policy/u.test(message.text())) complaints.push(message.text())
    })
    page.on("request", (request) => {
      if (!/^(?:data|blob):/u.test(request.url()) && !request.url().startsWith(base)) {
        complaints.push(request.url())
      }
    })
    await page.goto(`${base}/manage`)
    return page
  }
  const page = yield* Effect.promise(() => newWindow())
  return {
    base,
    central,
    complaints,
    device,
    impostor,
    line,
    newWindow,
    page,
    server,
    serveDevice,
    serving,
    stick
  }
})

export class Desk extends Context.Service<Desk, Effect.Success<typeof opened>>()("test/Desk") {}

export const layer = Layer.effect(Desk, opened)

/**
 * Finds fault with what is shown, in both languages: by axe against WCAG 2.2 AA, with letters
 * smaller than 18 pixels, and with what is wider than a telephone, also from right to left.
 */
export const faultless = async (page: Page, state: string) => {
  const button = (name: string) => page.getByRole("button", { name, exact: true })
  const now = (await page.locator("html").getAttribute("lang")) === "en" ? "en" : "fr"
  const other = now === "en" ? "fr" : "en"
  // Over a dialog nothing else can be pressed.
  const isDialog = (await page.locator("dialog").count()) > 0
  for (const language of isDialog ? [now] : [other, now]) {
    if (!isDialog) await button(language === "en" ? "English" : "Français").click()
    await page.locator(SETTLED).first().waitFor()
    assert.deepStrictEqual(await flaws(page), [], `${state} ${language}`)
    for (const size of [WIDE, NARROW]) await shoot(page, `${state}-${language}`, size)
  }
  await page.evaluate("document.documentElement.dir = 'rtl'")
  await shoot(page, `${state}-rtl`, NARROW)
  await page.evaluate("document.documentElement.dir = 'ltr'")
  await page.setViewportSize(WIDE)
}

const flaws = async (page: Page) => {
  await page.evaluate(AXE)
  const found: unknown = await page.evaluate(
    `axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then(({ violations }) => [
      ...violations.map(({ id, nodes }) => id + " " + nodes.map(({ html }) => html).join(" ")),
      ...[...document.querySelectorAll("#app *, dialog *")]
        .filter((one) => parseFloat(getComputedStyle(one).fontSize) < 18)
        .map(({ outerHTML }) => "small " + outerHTML)
    ])`
  )
  return found
}

const shoot = async (page: Page, name: string, size: typeof WIDE) => {
  await page.setViewportSize(size)
  if (PICTURES !== undefined) {
    await page.screenshot({
      path: path.join(PICTURES, `${name}-${size.width}.png`),
      fullPage: true
    })
  }
  assert.isAtMost(Number(await page.evaluate("document.body.scrollWidth")), size.width, name)
}

/** Waits until a run has ended so, and gives its support code. */
export const outcome = async (page: Page, title: string) => {
  await page.locator("#outcome").filter({ hasText: title }).waitFor()
  return (await page.locator(".support code").textContent()) ?? ""
}

export const press = (page: Page, name: string) =>
  page.getByRole("button", { name, exact: true }).click()

/** The figures of the three facts: tests ready, results waiting, tests in progress. */
export const facts = async (page: Page) =>
  (await page.locator(".facts b").allInnerTexts()).map(Number)

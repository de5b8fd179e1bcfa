import fs from "node:fs"
import { createRequire } from "node:module"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Browser, chromium, type Page } from "playwright-core"
import { Outbox } from "../application/record-ports.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { sources, zipped } from "./support/build-packages.ts"
import { exam, openResult, publishFile } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { ask, openDoor } from "./support/runner-client.ts"
import { HALL, ORGANISATION, synced, TAKERS } from "./support/town.ts"

/** Where there is no browser, nothing can be said of it. */
const BROWSER = process.env.TESTFERRY_CHROMIUM ?? "/usr/bin/chromium"
const FLAGS = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"]
]
const AXE = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

const browser = Effect.acquireRelease(
  Effect.promise(() => chromium.launch({ executablePath: BROWSER, args: FLAGS })),
  (opened) => Effect.promise(() => opened.close())
)

/** A window of its own, and what it asked of others or was refused. */
const newWindow = async (opened: Browser, base: string, locale = "en-GB", width = 1280) => {
  const context = await opened.newContext({ locale, viewport: { width, height: 900 } })
  const page = await context.newPage()
  const heard: Array<string> = []
  page.setDefaultTimeout(15_000)
  page.on("pageerror", (error) => heard.push(error.message))
  page.on("console", (message) => {
    if (/Content Security Policy/u.test(message.text())) heard.push(message.text())
  })
  page.on("request", (request) => {
    if (!/^(?:data|blob):/u.test(request.url()) && !request.url().startsWith(base)) {
      heard.push(request.url())
    }
  })
  return { page, heard }
}

/** What axe finds against WCAG 2.2 AA. */
const flaws = async (page: Page) => {
  await page.evaluate(AXE)
  const found: unknown = await page.evaluate(
    `axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then(({ violations }) =>
      violations.map(({ id, nodes }) => id + " " + nodes.map(({ html }) => html).join(" ")))`
  )
  return found
}

const logIn = async (page: Page, who: string) => {
  await page.locator("#login").fill(who)
  await page.locator("#password").fill(Office.passwordOf(who))
  await page.keyboard.press("Enter")
}

/** The package of sounds, with a limit of time in seconds. */
const soundsWithin = Effect.fnUntraced(function* (folder: string, seconds: number) {
  const files = new Map(sources("soundscapes-qti30"))
  const test = files.get("test.xml")?.toString("utf8") ?? ""
  const limited = test.replace(
    /<qti-outcome-declaration [^>]*\/>/u,
    (before) => `${before}<qti-time-limits max-time="${seconds}"/>`
  )
  files.set("test.xml", Buffer.from(limited))
  const file = path.join(folder, "sounds.zip")
  const bytes = yield* Effect.promise(() => zipped(files))
  yield* Effect.sync(() => fs.writeFileSync(file, bytes))
  return file
})

/** Ada, Ben and Cem may sit tests with a proctor in the hall; Cem one in the gym too. Pia has both. */
const room = Effect.gen(function* () {
  const world = yield* exam
  const { office, on } = world
  yield* office(publishFile(yield* soundsWithin(world.root, 1_800), "sounds"))
  yield* office(Office.center(ORGANISATION, "Gym", { proctors: ["pia"] }))
  yield* office(Office.eligible(HALL, "sounds", TAKERS, { proctored: true }))
  yield* office(Office.eligible("Gym", "essay", ["cem"], { proctored: true }))
  yield* on(synced())
  const base = yield* on(openDoor())
  const begin = Effect.fnUntraced(function* (login: string, delivery: string) {
    const body = { login, password: Office.passwordOf(login) }
    const { json } = yield* ask(base, "POST", "/runner/v1/login", { body })
    const { token } = json
    const begun = yield* ask(base, "POST", "/runner/v1/executions", {
      token,
      body: { delivery: `dlv_${delivery}` }
    })
    return { token, execution: begun.json.execution ?? "" }
  })
  return { ...world, base, begin }
})

describe.runIf(fs.existsSync(BROWSER))("a proctor in front of a device", () => {
  it.live(
    "lets a test-taker in, pauses, gives time, and ends; and the test-taker's page follows",
    () =>
      Effect.gen(function* () {
        const { base, keys, on } = yield* room
        const opened = yield* browser
        const complaints = yield* Effect.promise(async () => {
          const pia = await newWindow(opened, base)
          const ada = await newWindow(opened, base)
          const press = (name: string | RegExp) => pia.page.getByRole("button", { name }).click()
          const state = (text: string) => pia.page.locator(".state", { hasText: text }).waitFor()
          await pia.page.goto(`${base}/watch`)
          await logIn(pia.page, "pia")
          await pia.page.getByText("Nobody has begun a test yet").waitFor()
          assert.deepStrictEqual(await flaws(pia.page), [])

          await ada.page.goto(base)
          await logIn(ada.page, "ada")
          await ada.page.getByRole("button", { name: /Start: Test sounds/u }).click()
          await ada.page.getByText("Please wait").waitFor()
          await state("Waiting for you")
          assert.strictEqual(await pia.page.title(), "(1) waiting · The room")
          assert.strictEqual(
            await pia.page.locator("#said").textContent(),
            "Called ada is waiting: Test sounds"
          )
          await press("Authorise: Called ada")
          await ada.page.getByText(/^Question 1 of/u).waitFor()
          await state("Working")
          assert.strictEqual(await pia.page.title(), "The room")
          await pia.page.getByText(/^Question 1 of \d+$/u).waitFor()
          await pia.page.getByText(/^0 of \d+ answered$/u).waitFor()

          await press("Pause: Called ada")
          await ada.page.getByText("The test is paused").waitFor()
          await state("Paused by a proctor")
          await press("Let go on: Called ada")
          await ada.page.getByText(/^Question 1 of/u).waitFor()

          await ada.page.getByText(/^Time left: (?:30|29):/u).waitFor()
          await press("More: Called ada")
          await press("More time")
          await pia.page.locator("#minutes").fill("15")
          await press("Go on")
          await pia.page.getByText("Called ada has 15 more minutes in all.").waitFor()
          await ada.page.getByText(/^Time left: (?:45|44):/u).waitFor()

          await press("More: Called ada")
          await press("End the test")
          await pia.page.locator("#reason").selectOption({ label: "Power outage" })
          await pia.page.locator("#comment").fill("since nine")
          await press("Go on")
          await press("Yes, end it")
          await state("Ended by a proctor")
          await ada.page.getByText("The test has ended").waitFor()
          return [...pia.heard, ...ada.heard]
        })
        assert.deepStrictEqual(complaints, [])
        const [result] = yield* on(
          Effect.flatMap(Outbox, (outbox) =>
            outbox.owed({ after: 0, limit: 9, kinds: ["result"], ends: SENT_BY_DEFAULT })
          )
        )
        const { document } = yield* openResult(keys.active, result?.body ?? "")
        assert.strictEqual(document.end, "terminated")
        const [log] = yield* on(
          Effect.flatMap(Outbox, (outbox) =>
            outbox.owed({ after: 0, limit: 9, kinds: ["result-log"], ends: SENT_BY_DEFAULT })
          )
        )
        assert.include(log?.body ?? "", '"subcategory":"Power outage"')
        assert.include(log?.body ?? "", '"comment":"since nine"')
        assert.include(log?.body ?? "", '"comment":"15 min"')
      }),
    120_000
  )
})

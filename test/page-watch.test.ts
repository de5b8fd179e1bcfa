import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Browser, Page } from "playwright-core"
import { Outbox } from "../application/record-ports.ts"
import { SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { browser, flaws, HAS_BROWSER } from "./support/browser.ts"
import { sources, zipped } from "./support/build-packages.ts"
import { exam, openResult, publishFile } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { ask, openDoor } from "./support/runner-client.ts"
import { HALL, ORGANISATION, synced, TAKERS } from "./support/town.ts"

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

/** What the focused button is called. */
const focused = (page: Page) =>
  page.evaluate(
    "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
  )

/** For eyes; kept only where somebody says where. */
const shoot = async (page: Page, name: string) => {
  const folder = process.env.TESTFERRY_SHOTS
  if (folder !== undefined) await page.screenshot({ path: path.join(folder, `watch-${name}.png`) })
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
  yield* office(Office.publishText(world.root, "poem", "about a poem"))
  yield* office(Office.eligible("Gym", "poem", ["cem"], { proctored: true }))
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

describe.runIf(HAS_BROWSER)("a proctor in front of a device", () => {
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
          await press("Confirm")
          await pia.page.getByText("Called ada has 15 more minutes in all.").waitFor()
          await ada.page.getByText(/^Time left: (?:45|44):/u).waitFor()

          await press("More: Called ada")
          await press("End the test")
          await pia.page.locator("#reason").selectOption({ label: "Power outage" })
          await pia.page.locator("#comment").fill("since nine")
          await press("Confirm")
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

  it.live(
    "shows the rooms of each center by keyboard alone, in words that axe and two languages know",
    () =>
      Effect.gen(function* () {
        const { base, begin } = yield* room
        const opened = yield* browser
        const ada = yield* begin("ada", "sounds")
        yield* begin("cem", "poem")
        const pia = yield* Effect.promise(() => newWindow(opened, base))
        const { page } = pia
        yield* Effect.promise(async () => {
          await page.goto(`${base}/watch`)
          await logIn(page, "pia")
          await page.getByRole("button", { name: "Authorise all who wait (2)" }).waitFor()
          assert.strictEqual(await page.title(), "(2) waiting · The room")
          assert.strictEqual(await page.locator("#said").textContent(), "2 people are waiting")
          assert.deepStrictEqual(await page.locator("h2").allInnerTexts(), [
            "Test poem Gym",
            "Test sounds Main hall"
          ])
          assert.deepStrictEqual(await flaws(page), [])
          await shoot(page, "waiting")
          await page.getByRole("button", { name: "More: Called ada" }).focus()
        })
        const ben = yield* begin("ben", "sounds")
        yield* Effect.promise(async () => {
          // Somebody came: what has the focus keeps it, and Enter means who it meant before.
          await page.getByRole("button", { name: "More: Called ben" }).waitFor()
          assert.strictEqual(await focused(page), "More: Called ada")
          await page.keyboard.press("Enter")
          await page.getByRole("heading", { name: "Called ada" }).waitFor()
          assert.deepStrictEqual(await flaws(page), [])
          await shoot(page, "acts")
          await page.keyboard.press("Tab")
          await page.keyboard.press("Enter")
          await page.getByRole("heading", { name: "An irregularity of Called ada" }).waitFor()
          assert.deepStrictEqual(await flaws(page), [])
          await shoot(page, "reason")
          // A reason must be chosen; looking again does not take the window away.
          await page.keyboard.press("Tab")
          await page.getByRole("button", { name: "Confirm" }).press("Enter")
          await page.waitForResponse(/\/proctor\/v1\/sessions$/u)
          await page.locator("#reason").selectOption({ label: "Came late" })
          await page.getByRole("button", { name: "Confirm" }).press("Enter")
          await page.getByText("Noted for Called ada.").waitFor()
          assert.strictEqual(await focused(page), "More: Called ada")
          await page.getByRole("button", { name: "Authorise all who wait (3)" }).press("Enter")
          await page.getByText("may begin.").waitFor()
          await page.getByRole("button", { name: "Let in (3)" }).click()
          await page.getByRole("button", { name: "Waiting (0)" }).press("Enter")
          await page.getByText("Nobody is shown with this choice.").waitFor()
          await page.getByRole("button", { name: "All (3)" }).press("Enter")
        })
        for (const { execution, token } of [ada, ben]) {
          yield* ask(base, "POST", `/runner/v1/executions/${execution}/start`, { token })
        }
        yield* Effect.promise(async () => {
          await page.getByRole("button", { name: "Pause all who work (2)" }).first().press("Enter")
          await page.locator("#reason").selectOption({ label: "Fire alarm or evacuation" })
          await page.getByRole("button", { name: "Confirm" }).press("Enter")
          await page.getByRole("button", { name: "Let all go on (2)" }).first().waitFor()
          await page.getByRole("button", { name: "Français" }).click()
          await page.getByRole("button", { name: "Plus : Called ada" }).press("Enter")
          await page.getByRole("button", { name: "Temps en plus" }).waitFor()
          assert.deepStrictEqual(await flaws(page), [])
          await page.getByRole("button", { name: "Temps en plus" }).press("Enter")
          await page.locator("#minutes").waitFor()
          assert.deepStrictEqual(await flaws(page), [])
          await page.keyboard.press("Escape")
          assert.deepStrictEqual(await flaws(page), [])
          await page.setViewportSize({ width: 400, height: 900 })
          assert.deepStrictEqual(await flaws(page), [])
          assert.isAtMost(Number(await page.evaluate("document.body.scrollWidth")), 400)
          await shoot(page, "narrow")
          const sizes: unknown = await page.evaluate(
            `[...document.querySelectorAll("main *")].map((one) =>
              parseFloat(getComputedStyle(one).fontSize))`
          )
          assert.isAtLeast(Math.min(...(Array.isArray(sizes) ? sizes : [0])), 18)
        })
        assert.deepStrictEqual(pia.heard, [])
      }),
    120_000
  )

  it.live(
    "hears in words that somebody was faster, that the device is away, and whom the page is not for",
    () =>
      Effect.gen(function* () {
        const { base, begin } = yield* room
        const opened = yield* browser
        const { execution, token } = yield* begin("ada", "sounds")
        const pia = yield* Effect.promise(() => newWindow(opened, base))
        const { page } = pia
        const press = (name: string) => page.getByRole("button", { name }).press("Enter")
        yield* Effect.promise(async () => {
          await page.goto(`${base}/watch`)
          await logIn(page, "ada")
          await page.getByText("This page is for proctors.").waitFor()
          await logIn(page, "pia")
          await press("Authorise: Called ada")
          await page.getByText("Let in, not begun").waitFor()
        })
        yield* ask(base, "POST", `/runner/v1/executions/${execution}/start`, { token })
        yield* Effect.promise(async () => {
          await press("Pause: Called ada")
          await page.getByText("Paused by a proctor").waitFor()
          await press("More: Called ada")
          await press("End the test")
          await page.locator("#reason").selectOption({ label: "Ill" })
          await press("Confirm")
          await page.getByRole("heading", { name: "End the test of Called ada?" }).waitFor()
          assert.deepStrictEqual(await flaws(page), [])
          assert.strictEqual(await focused(page), "No, leave it")
          await press("No, leave it")
          assert.strictEqual(await page.locator(".state").textContent(), "❚❚Paused by a proctor")
          await page.route(/\/proctor\/v1\/sessions$/u, (route) => route.abort())
          await page.getByText("The device does not answer. What you see is from").waitFor()
          assert.deepStrictEqual(await flaws(page), [])
        })
        const login = { login: "pia", password: Office.passwordOf("pia") }
        const { json } = yield* ask(base, "POST", "/proctor/v1/login", { body: login })
        yield* ask(base, "POST", `/proctor/v1/sessions/${execution}/terminate`, {
          token: json.token,
          body: { reason: { category: "Test-taker", subcategory: "Ill" } }
        })
        yield* Effect.promise(async () => {
          await press("Let go on: Called ada")
          await page.getByText("Called ada: the test has ended already.").waitFor()
          await page.unroute(/\/proctor\/v1\/sessions$/u)
          await page.getByText("Ended by a proctor").waitFor()
          assert.strictEqual(await focused(page), "All (1)")
        })
        assert.deepStrictEqual(pia.heard, [])
      }),
    120_000
  )
})

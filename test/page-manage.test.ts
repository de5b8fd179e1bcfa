/** A sync manager's way: a new device, its central over TLS, a stick, and a real browser. */
import { join } from "node:path"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { HAS_BROWSER } from "./support/browser.ts"
import {
  Desk,
  facts,
  faultless,
  layer as layerDesk,
  outcome,
  press
} from "./support/manager-page.ts"
import { ask } from "./support/runner-client.ts"
import { DEMO, done, report } from "./support/testferry.ts"

const MANAGER = "sync.fleuves"
const BIG = "Fetch tests and send results"
const UP_TO_DATE = "Everything is up to date"

/** Processes of a busy machine take their time. */
const LONG = 120_000

/** Goes on with the keyboard alone until something has the focus. */
const tabTo = async (page: Page, selector: string) => {
  for (let at = 0; at < 40; at++) {
    if (await page.evaluate(`document.activeElement.matches(${JSON.stringify(selector)})`)) return
    await page.keyboard.press("Tab")
  }
  assert.fail(`${selector} can't be reached by keyboard`)
}

const typeAt = async (page: Page, selector: string, text: string) => {
  await tabTo(page, selector)
  await page.keyboard.press("ControlOrMeta+a")
  await page.keyboard.type(text)
}

const logIn = async (page: Page, password: string) => {
  await page.locator("#login").fill(MANAGER)
  await page.locator("#password").fill(password)
  await page.keyboard.press("Enter")
}

describe.runIf(HAS_BROWSER)("a sync manager in front of a device", () =>
  layer(layerDesk, { excludeTestServices: true, timeout: LONG })((it) => {
    it.effect(
      "connects it by keyboard, after comparing who central is",
      () =>
        Effect.gen(function* () {
          const { base, central, complaints, impostor, line, page, serving } = yield* Desk
          const password = central.passwordOf(MANAGER)
          line.lead()
          yield* Effect.promise(async () => {
            await page.reload()
            await page.getByText("Central can't be reached").waitFor()
            await faultless(page, "enrol-away")
            line.lead(central.port)
            await press(page, "Try again")
            await page.locator(".fingerprint").waitFor()
            assert.strictEqual(
              await page.locator(".fingerprint").textContent(),
              central.fingerprint
            )
            await typeAt(page, "#name", "Room 12")
            await typeAt(page, "#login", MANAGER)
            await faultless(page, "enrol")
            assert.strictEqual(await page.locator("#login").inputValue(), MANAGER)
            await typeAt(page, "#password", "not the password")
            await page.keyboard.press("Enter")
          })
          const unconfirmed = { name: "Room 12", login: MANAGER, password, fingerprint: null }
          const other = central.fingerprint.replaceAll("A", "B").replaceAll("1", "2")
          for (const fingerprint of [null, other]) {
            const body = { ...unconfirmed, fingerprint }
            const { json } = yield* ask(base, "POST", "/manager/v1/enrol", { body })
            assert.nestedPropertyVal(json, "refused.code", "E_FINGERPRINT")
          }
          assert.strictEqual(serving.output.stderr, "", "nothing was asked of another's central")
          yield* Effect.promise(async () => {
            assert.isFalse(await page.locator("#same").isChecked())
            await page.locator("#name").focus()
            await page.keyboard.press("Shift+Tab")
            await tabTo(page, "#same")
            await page.keyboard.press("Space")
            await typeAt(page, "#password", "not the password")
            await page.keyboard.press("Enter")
            await page.getByText("The login or the password is wrong.").waitFor()
            await faultless(page, "enrol-wrong")
          })
          const first = yield* line.hold(9_000)
          yield* Effect.promise(async () => {
            // Central wants a second's rest after a wrong password (format §3.5).
            await page.waitForTimeout(1_100)
            await typeAt(page, "#password", password)
            await page.keyboard.press("Enter")
          })
          yield* first
          yield* Effect.promise(async () => {
            await page.getByText("Connected. Fetching the tests for the first time").waitFor()
            await faultless(page, "first")
            line.lead(impostor)
            line.release()
            await page.getByText("is not the centre that this device knows").waitFor()
            await faultless(page, "first-refused")
            line.lead(central.port)
          })
          assert.deepStrictEqual(complaints, [])
        }),
      LONG
    )

    it.effect(
      "sees the first fetch in every window, cancels it, and starts it again by keyboard",
      () =>
        Effect.gen(function* () {
          const { central, complaints, line, newWindow, page } = yield* Desk
          const contents = yield* line.hold(150_000)
          yield* Effect.promise(() => press(page, "Fetch now"))
          yield* contents
          yield* Effect.promise(async () => {
            await page.getByRole("heading", { name: "Log in as sync manager" }).waitFor()
            await faultless(page, "login")
            await logIn(page, "not the password")
            await page.getByText("The login or the password is wrong. Check both").waitFor()
            // After a wrong password the device wants a second's rest (format §3.5).
            await page.waitForTimeout(1_100)
            await logIn(page, central.passwordOf(MANAGER))
            await page.getByText("Fetching test contents").waitFor()
            assert.deepStrictEqual((await facts(page)).slice(1), [0, 0])
            await faultless(page, "running")
            const second = await newWindow()
            await logIn(second, central.passwordOf(MANAGER))
            await second.getByText("Récupération du contenu des tests").waitFor()
            await page.reload()
            await page.locator("#run-title").waitFor()
            await second.getByRole("button", { name: "Annuler" }).click()
            const code = await outcome(page, "Cancelled")
            assert.match(code, /^[\da-f]{8}-CANCELLED$/u)
            assert.strictEqual(await outcome(second, "Annulé"), code)
            await second.close()
            await faultless(page, "cancelled")
            line.release()
          })
          yield* Effect.promise(async () => {
            await page.locator("h1").focus()
            await tabTo(page, "#big")
            await page.keyboard.press("Enter")
            await outcome(page, UP_TO_DATE)
            assert.strictEqual(await page.evaluate("document.activeElement.id"), "outcome")
            assert.deepStrictEqual(await facts(page), [3, 0, 0])
            await faultless(page, "done")
            await tabTo(page, "#big")
            await page.keyboard.press("Enter")
            await outcome(page, "Nothing new")
            for (const summary of await page.locator("summary").all()) await summary.click()
            await page.locator("#check-again").waitFor()
            await page.locator(".entry summary").first().click()
            await faultless(page, "opened")
          })
          assert.deepStrictEqual(complaints, [])
        }),
      LONG
    )

    it.effect(
      "carries results on a stick, and loads the receipts that come back on it",
      () =>
        Effect.gen(function* () {
          const { central, complaints, device, page, stick } = yield* Desk
          const login = "amelie.garnier"
          yield* done(
            device,
            ...["device", "simulate-session", "--login", login, "--delivery", "dlv_fractions"],
            ...["--password-file", central.passwordFile(login)]
          )
          yield* Effect.promise(async () => {
            await page.reload()
            await press(page, "Save to USB stick")
            await outcome(page, "Saved")
            assert.deepStrictEqual(await facts(page), [3, 1, 0])
            await faultless(page, "saved")
          })
          yield* done(central.data, "bundle", "import", stick)
          yield* done(central.data, "bundle", "export", "--to", stick, "--organisation", "0123")
          yield* Effect.promise(async () => {
            await press(page, "Load from USB stick")
            await outcome(page, "Loaded from the stick")
            await page.getByText("Receipts from the centre: ").waitFor()
            assert.deepStrictEqual(await facts(page), [3, 0, 0])
            await faultless(page, "loaded")
          })
          assert.deepStrictEqual(complaints, [])
        }),
      LONG
    )

    it.effect(
      "leaves for later what a test in progress needs, and says so",
      () =>
        Effect.gen(function* () {
          const { base, central, complaints, page } = yield* Desk
          const login = "bastien.lemoine"
          const body = { login, password: central.passwordOf(login) }
          const { json } = yield* ask(base, "POST", "/runner/v1/login", { body })
          const { token } = json
          const begun = yield* ask(base, "POST", "/runner/v1/executions", {
            token,
            body: { delivery: "dlv_fractions" }
          })
          assert.strictEqual(begun.json.stage, "authorised")
          const revised = join(DEMO, "packages", "fractions-revised-qti30.zip")
          yield* done(central.data, "central", "publish", revised, "--id", "fractions")
          yield* Effect.promise(async () => {
            await press(page, BIG)
            await outcome(page, "Done, with changes left for later")
            await page.getByText("because tests are in progress: 1.").waitFor()
            assert.deepStrictEqual(await facts(page), [3, 0, 1])
            await page.locator("#history > summary").click()
            await page.locator(".entry summary").first().click()
            await page.getByRole("row", { name: /^Tests\b.*1/u }).waitFor()
            await faultless(page, "later")
          })
          assert.deepStrictEqual(complaints, [])
        }),
      LONG
    )

    it.effect(
      "shows the run that the device began by itself, and lets nobody begin another meanwhile",
      () =>
        Effect.gen(function* () {
          const { base, central, complaints, line, page, server, serveDevice } = yield* Desk
          server.process.kill("SIGTERM")
          yield* server.ended
          const held = yield* line.hold(1)
          const again = yield* serveDevice("--port", new URL(base).port, "--sync-every", "1 hour")
          yield* held
          yield* Effect.promise(async () => {
            await page.reload()
            await logIn(page, central.passwordOf(MANAGER))
            await page.locator("#run-title").waitFor()
            line.release()
            await outcome(page, "Rien de nouveau")
            await press(page, "English")
          })
          const body = { login: MANAGER, password: central.passwordOf(MANAGER) }
          const { json } = yield* ask(base, "POST", "/manager/v1/login", { body })
          const run = { kind: "sync", path: null, dryRun: false, confirmRemovals: false }
          const { promise: gate, resolve: open } = Promise.withResolvers<void>()
          yield* Effect.promise(() =>
            page.route(/overview$/u, (route) => gate.then(() => route.continue()))
          )
          const waits = yield* line.hold(1)
          yield* ask(base, "POST", "/manager/v1/run", { token: json.token, body: run })
          yield* waits
          yield* Effect.promise(async () => {
            const refused = page.waitForResponse((response) => response.status() === 409)
            await press(page, BIG)
            await refused
            open()
            await page.getByText("Another run was under way already. This is it.").waitFor()
            await faultless(page, "busy")
            await page.getByText("Another run was under way already. This is it.").waitFor()
            line.release()
            await outcome(page, "Nothing new")
            await page.unrouteAll({ behavior: "wait" })
          })
          const code = yield* Effect.promise(() => outcome(page, "Nothing new"))
          assert.include(again.output.stderr, code, "support finds the run in the log")
          assert.deepStrictEqual(complaints, [])
        }),
      LONG
    )

    it.effect(
      "is asked before more than a tenth goes, and hears why a run was refused",
      () =>
        Effect.gen(function* () {
          const { central, complaints, line, newWindow, page, serving } = yield* Desk
          const { records } = yield* report(central.data, "central", "list", "eligibility")
          const ids = JSON.stringify(records).match(/elg_\w+/gu) ?? []
          yield* done(central.data, "central", "remove", ...ids)
          yield* Effect.promise(async () => {
            await press(page, BIG)
            await page.getByText(/^Test-takers: 1[12]$/u).waitFor()
            await faultless(page, "removal")
            await press(page, "No, keep everything")
            const code = await outcome(page, "That did not work")
            assert.match(code, /^[\da-f]{8}-E_CONFIRM_REMOVALS$/u)
            const second = await newWindow("fr-FR")
            await logIn(second, central.passwordOf(MANAGER))
            assert.strictEqual(await outcome(second, "Cela n’a pas marché"), code)
            await page.reload()
            assert.strictEqual(await outcome(page, "That did not work"), code)
            await press(page, "Try again")
            await press(page, "Yes, remove it")
            // What the test in progress needs is still not taken away.
            await outcome(page, "Done, with changes left for later")
            await outcome(second, "Terminé, avec des changements")
            assert.deepStrictEqual(await facts(page), [0, 0, 1])
            await second.close()
          })
          serving.process.kill("SIGKILL")
          yield* serving.ended
          line.cut()
          yield* Effect.promise(async () => {
            await press(page, BIG)
            await page.getByText("Waiting for the centre to answer").waitFor()
            await press(page, "Log out")
            await logIn(page, central.passwordOf(MANAGER))
            // The page speaks as the person who logged in likes it.
            const code = await outcome(page, "Cela n’a pas marché")
            assert.match(code, /^[\da-f]{8}-E_CENTRAL_UNREACHABLE$/u)
            await page.getByText("Vérifiez le réseau").first().waitFor()
            await page.locator(".before-run").getByText("Le centre n’a pas répondu.").waitFor()
            await faultless(page, "refused")
          })
          assert.deepStrictEqual(complaints, [])
        }),
      LONG
    )
  })
)

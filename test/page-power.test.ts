import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DEVICE_DEFAULTS, write } from "../entrypoints/settings.ts"
import { HAS_BROWSER, logInAt, mortalBrowser } from "./support/browser.ts"
import { exam, publishFile } from "./support/exam.ts"
import { freePort } from "./support/free-port.ts"
import * as Office from "./support/office.ts"
import { DEMO, start } from "./support/testferry.ts"
import { HALL, synced } from "./support/town.ts"

/** A device as a process of its own, which dies when it is killed. */
const serve = Effect.fnUntraced(function* (directory: string, port: number) {
  const server = yield* start(directory, ["device", "serve", "--port", String(port)])
  yield* server.says("is ready")
  return server
})

describe.runIf(HAS_BROWSER)("a power cut in the middle of a test", () => {
  it.live(
    "leaves the test-taker at the same question with the same answer, and no way back",
    () =>
      Effect.gen(function* () {
        const { device, office, on, root } = yield* exam
        yield* office(publishFile(path.join(DEMO, "packages/soundscapes-qti30.zip"), "soundscapes"))
        yield* office(Office.eligible(HALL, "soundscapes", ["ada"]))
        yield* on(synced())
        const directory = path.join(root, "room")
        yield* device.reopen(
          Effect.sync(() => fs.cpSync(device.directory, directory, { recursive: true }))
        )
        fs.chmodSync(path.join(directory, "keys"), 0o700)
        yield* write(directory, DEVICE_DEFAULTS)
        const port = yield* freePort
        const base = `http://127.0.0.1:${port}`

        const before = yield* serve(directory, port)
        const chromium = yield* mortalBrowser
        yield* Effect.promise(async () => {
          const page = await chromium.newPage()
          await logInAt(page, base, "ada")
          await page.getByRole("button", { name: /Start: Test soundscapes/u }).click()
          await page.getByText("Question 1 of 5").waitFor()
          await page.locator("qti-simple-choice").nth(1).click()
          await page.locator(".saved.done").waitFor()
          await page.getByRole("button", { name: "Next" }).click()
          await page.getByText("Question 2 of 5").waitFor()
          await page.locator("qti-text-entry-interaction input").pressSequentially("42")
          await page.locator(".saved.done").waitFor()
        })
        before.process.kill("SIGKILL")
        yield* Effect.promise(() => chromium.kill())
        assert.strictEqual((yield* before.ended).status, "SIGKILL")

        yield* serve(directory, port)
        const again = yield* mortalBrowser
        yield* Effect.promise(async () => {
          const page = await again.newPage()
          await logInAt(page, base, "ada")
          await page.getByRole("button", { name: /Go on: Test soundscapes/u }).click()
          await page.getByText("Question 2 of 5").waitFor()
          const input = page.locator("qti-text-entry-interaction input")
          await input.waitFor()
          assert.strictEqual(await input.inputValue(), "42")
          assert.isTrue(await page.getByRole("button", { name: "Previous" }).isDisabled())
          await page.getByRole("button", { name: "Next" }).click()
          await page.getByText("Question 3 of 5").waitFor()
        })
      }),
    120_000
  )
})

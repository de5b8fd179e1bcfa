import fs from "node:fs"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { HAS_BROWSER } from "./support/browser.ts"
import * as DoorSupport from "./support/door.ts"
import { layerDesk } from "./support/office-desk.ts"
import { enter, faults, openPage } from "./support/office-page.ts"

/** The browser may keep its connections: closing must not wait for them. */
const desk = DoorSupport.layer(layerDesk, { grace: "1 second" })

describe.runIf(HAS_BROWSER)("somebody at the office's page", () =>
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
            assert.strictEqual(await page.locator("nav.tabs button").count(), 7)
            assert.strictEqual(await page.getByText("Résultats ouverts").count(), 0)
            const found: Array<string> = []
            for (const tab of await page.locator("nav.tabs button").allTextContents()) {
              await page.getByRole("button", { name: tab, exact: true }).click()
              await page.locator("#view h2").first().waitFor()
              await page.getByText(/^État : /u).waitFor()
              found.push(...(await faults(page, `fr-${tab}`)))
            }
            assert.deepStrictEqual(found, [])
            await page.getByRole("button", { name: "Appareils", exact: true }).click()
            await page.getByRole("button", { name: "English" }).click()
            await page.getByText(/^Behind by 2 changes since/u).waitFor()
          })
          assert.deepStrictEqual(complaints, [])
        }),
      120_000
    )
  })
)

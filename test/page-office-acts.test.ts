import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { enrolAccept, enrolAnswer } from "../entrypoints/stick-enrol-commands.ts"
import { HAS_BROWSER } from "./support/browser.ts"
import { freshFolder } from "./support/database.ts"
import * as DoorSupport from "./support/door.ts"
import { layerClerks, PASSWORD } from "./support/office-desk.ts"
import { faults, openPage } from "./support/office-page.ts"
import { asking, unpacked } from "./support/stick-requests.ts"

const logIn = async (page: Page, tab: string) => {
  await page.locator("#login").fill("root")
  await page.locator("#password").fill(PASSWORD)
  await page.keyboard.press("Enter")
  await page.getByRole("button", { name: tab, exact: true }).press("Enter")
}

/** Goes on by the Tab key until something of this name has the focus. */
const tabTo = async (page: Page, name: string | RegExp) => {
  for (let tries = 0; tries < 40; tries++) {
    await page.keyboard.press("Tab")
    const focused = page.locator(":focus")
    if ((await focused.and(page.getByRole("button", { name })).count()) === 1) return
    if ((await focused.and(page.getByLabel(name)).count()) === 1) return
    if ((await focused.and(page.getByRole("link", { name })).count()) === 1) return
  }
  assert.fail(`the keyboard never gets to ${String(name)}`)
}

const enrolFolder = (stick: string) => {
  const folder = join(stick, "TESTFERRY/enrol")
  return fs.readdirSync(folder).map((name) => join(folder, name))
}

/** The browser may keep its connections: closing must not wait for them. */
const clerks = DoorSupport.layer(layerClerks, { grace: "1 second" })

describe.runIf(HAS_BROWSER)("an administrator at the office's page", () =>
  layer(clerks, { excludeTestServices: true })((it) => {
    it.effect(
      "lets a device in by keyboard and by the words of its school, and the device takes the answer",
      () =>
        Effect.gen(function* () {
          const device = yield* asking("Room 7")
          const answered = yield* freshFolder()
          const { complaints, page } = yield* openPage("en-GB")
          yield* Effect.promise(async () => {
            const found: Array<string> = []
            await logIn(page, "Approvals")
            await page.getByText("No device waits.").waitFor()
            found.push(...(await faults(page, "approvals-none")))
            await page.getByRole("button", { name: "Bring these requests" }).press("Enter")
            await page.getByText(/^There is no request among these files/u).waitFor()
            await page.getByLabel(/^Files of the folder/u).setInputFiles(enrolFolder(device.stick))
            await page.getByRole("button", { name: "Bring these requests" }).press("Enter")
            await page.getByText("waits for approval now.").waitFor()
            await page.getByRole("heading", { name: "Room 7" }).waitFor()
            found.push(...(await faults(page, "approvals")))
            assert.isFalse(await page.getByText(device.words).isVisible())

            await tabTo(page, "The eight words that the school reads out")
            await page.keyboard.type("these are not the words of that school")
            await tabTo(page, "Organisation to which it shall belong")
            await page.keyboard.type("0123")
            await tabTo(page, "Approve")
            await page.keyboard.press("Enter")
            await page.getByText(/^These are not the words of this request/u).waitFor()
            found.push(...(await faults(page, "approvals-wrong")))
            const words = page.getByLabel("The eight words that the school reads out")
            await words.and(page.locator(":focus")).waitFor()
            await words.fill(device.words.toUpperCase())
            await page.keyboard.press("Enter")
            await page.getByRole("heading", { name: "Room 7 is approved" }).waitFor()
            found.push(...(await faults(page, "approvals-done")))
            const waiting = page.waitForEvent("download")
            await tabTo(page, "Save the answer for Room 7")
            await page.keyboard.press("Enter")
            unpacked(fs.readFileSync(await (await waiting).path()), answered)
            assert.deepStrictEqual(found, [])
          })
          const { firstRoot } = yield* device.run(enrolAnswer.run({ from: answered }))
          const accepted = yield* device.run(enrolAccept.run({ from: answered, firstRoot }))
          assert.strictEqual(accepted.organisations.join(), "0123")
          assert.deepStrictEqual(complaints, [])
        }),
      120_000
    )

    it.effect(
      "takes the whole stick in French, says of each file what came of it, and refuses with a reason",
      () =>
        Effect.gen(function* () {
          const device = yield* asking("Salle 3")
          const [file = ""] = enrolFolder(device.stick).sort()
          fs.writeFileSync(
            file.replace(/\w{4}\.json$/u, "0000.json"),
            fs.readFileSync(file, "utf8").replace("Salle 3", "Salle 4")
          )
          fs.copyFileSync(`${file}.sig`, `${file.replace(/\w{4}\.json$/u, "0000.json")}.sig`)
          fs.writeFileSync(join(device.stick, "photo.jpg"), "not ours")
          const { complaints, page } = yield* openPage("fr-FR")
          yield* Effect.promise(async () => {
            await logIn(page, "Approbations")
            await page.getByLabel("Ou toute la clé").setInputFiles(device.stick)
            await page.getByRole("button", { name: "Apporter ces demandes" }).click()
            await page.getByText("attend maintenant l’approbation.").waitFor()
            await page.getByText(/n’est pas signé par la clé qu’il nomme/u).waitFor()
            assert.strictEqual(await page.locator("article").count(), 1)
            await page.getByText("La refuser").click()
            const found = await faults(page, "approvals-fr")
            await page.getByLabel(/^Pourquoi/u).fill("Personne ne répond.")
            await page.getByRole("button", { name: "Refuser" }).click()
            await page.getByRole("heading", { name: "Salle 3 a été refusé" }).waitFor()
            await page.getByText("Personne ne répond.").waitFor()
            assert.deepStrictEqual([...found, ...(await faults(page, "refused-fr"))], [])
          })
          assert.deepStrictEqual(complaints, [])
        }),
      120_000
    )

    it.effect(
      "sees by keyboard what a file would do, mends nothing behind anybody's back, and imports it",
      () =>
        Effect.gen(function* () {
          const roster = {
            name: "centers.csv",
            mimeType: "text/csv",
            buffer: Buffer.from(
              "label,organisation id,proctors\nNorth hall,0123,\nWest hall,0123,nobody\n"
            )
          }
          const { complaints, page } = yield* openPage("en-GB")
          yield* Effect.promise(async () => {
            const found: Array<string> = []
            await logIn(page, "Imports")
            await page.getByLabel("CSV file").setInputFiles(roster)
            await tabTo(page, "Show what would happen")
            await page.keyboard.press("Enter")
            await page.getByRole("heading", { name: "What centers.csv would do" }).waitFor()
            await page.getByText("nobody has this login").waitFor()
            found.push(...(await faults(page, "imports-preview")))
            await tabTo(page, "Import now")
            await page.keyboard.press("Enter")
            await page.getByText("is imported").waitFor({ state: "detached" })
            await page.getByLabel(/^Import the others/u).focus()
            await page.keyboard.press("Space")
            await tabTo(page, "Import now")
            await page.keyboard.press("Enter")
            await page.getByRole("heading", { name: "centers.csv is imported" }).waitFor()
            found.push(...(await faults(page, "imports-done")))
            await page.getByLabel("CSV file").setInputFiles({ ...roster, buffer: Buffer.from("x") })
            await page.getByRole("button", { name: "Show what would happen" }).press("Enter")
            await page.getByText(/must be the header/u).waitFor()
            found.push(...(await faults(page, "imports-unusable")))
            await page.getByRole("button", { name: "Français" }).click()
            await page.getByLabel("Fichier CSV").setInputFiles(roster)
            await page.getByRole("button", { name: "Montrer ce qui arriverait" }).click()
            await page.getByText("Il n’y a rien à importer.").waitFor()
            await page.getByText("personne n’a cet identifiant").waitFor()
            found.push(...(await faults(page, "imports-fr")))
            assert.deepStrictEqual(found, [])
          })
          assert.deepStrictEqual(complaints, [])
        }),
      120_000
    )
  })
)

import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { publish } from "../application/publish.ts"
import { EntityId } from "../domain/id.ts"
import { openFile } from "../infrastructure/file-source.ts"
import { openPackage } from "../infrastructure/zip-package.ts"
import { browser, HAS_BROWSER, logInAt } from "./support/browser.ts"
import { PACKAGES } from "./support/build-packages.ts"
import { exam, publishFile } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { minimal3, zipOf } from "./support/qti-files.ts"
import { openDoor } from "./support/runner-client.ts"
import { HALL, synced } from "./support/town.ts"

const DEMOS = ["rivers-qti30", "fractions-qti30", "soundscapes-qti30"]

/** Whatever of it runs, says so, even on its way to another page. */
const MARK = "7301733"
const RUN = `console.log(${MARK})`
const ENTRY = `<qti-text-entry-interaction response-identifier="R"/>`
const HOSTILE = `<p>Still here</p><script>${RUN}</script><img src="none.png" alt="" onerror="${RUN}"/><p onclick="${RUN}" onmouseover="${RUN}">touch me</p><a href="javascript:${RUN}">follow me</a><iframe srcdoc="&lt;script&gt;console.log(${MARK})&lt;/script&gt;"></iframe><object data="data:text/html,&lt;script&gt;console.log(${MARK})&lt;/script&gt;"></object><svg xmlns="http://www.w3.org/2000/svg" onload="${RUN}"><script>${RUN}</script><text>drawn</text></svg><form action="javascript:${RUN}"><button>send me</button></form>{{constructor.constructor('${RUN}')()}}<p>${ENTRY}</p>`

/** Published by somebody who goes around the door where packages are judged. */
const publishUnjudged = Effect.fnUntraced(function* (root: string, id: string) {
  const file = path.join(root, `${id}.zip`)
  fs.writeFileSync(file, zipOf(minimal3(HOSTILE)))
  const inspected = { title: id, qti: "3.0", items: 1, warnings: [] }
  const period = {}
  const rest = { maxExecutions: undefined, proctored: false, dryRun: false, period, label: id }
  yield* publish({ file, inspected, id: EntityId.make(`dlv_${id}`), ...rest })
}, Effect.orDie)

const room = Effect.gen(function* () {
  const { office, on, root } = yield* exam
  for (const name of DEMOS) {
    yield* office(publishFile(path.join(PACKAGES, `${name}.zip`), name))
    yield* office(Office.eligible(HALL, name, ["ada"]))
  }
  yield* office(publishUnjudged(root, "hostile"))
  yield* office(Office.eligible(HALL, "hostile", ["ada", "ben", "cem"]))
  yield* on(synced())
  return { base: yield* on(openDoor()), chromium: yield* browser }
})

const begin = async (page: Page, label: string) => {
  await page.getByRole("button", { name: `Start: ${label}` }).click()
  await page.getByText(/Question 1 of/u).waitFor()
  await page.locator("qti-assessment-item").waitFor()
}

describe.runIf(HAS_BROWSER)("what a package brings along", () => {
  it.live(
    "is shown: every picture, drawing, sound and style sheet of the demonstration loads",
    () =>
      Effect.gen(function* () {
        const { base, chromium } = yield* room
        for (const name of DEMOS) {
          const { entries } = yield* Effect.flatMap(
            openFile(path.join(PACKAGES, `${name}.zip`)),
            openPackage
          )
          // What a page shows; the rest of a package is XML.
          const media = [...entries.keys()].filter((file) => !/[.]xml$|[/]$/u.test(file))
          const { loaded, trouble } = yield* Effect.promise(async () => {
            const page = await chromium.newPage({ locale: "en-GB" })
            const loaded = new Set<string>()
            const trouble: Array<string> = []
            page.on("response", (response) => {
              const file = /\/files\/(.+)$/u.exec(response.url())?.[1]
              if (response.status() >= 400) trouble.push(`${response.status()} ${response.url()}`)
              else if (file !== undefined) loaded.add(decodeURIComponent(file))
            })
            page.on("requestfailed", (request) => trouble.push(`failed ${request.url()}`))
            await logInAt(page, base, "ada")
            trouble.length = 0
            await begin(page, `Test ${name}`)
            for (let n = 1; ; n += 1) {
              await page.getByText(new RegExp(`Question ${n} of`, "u")).waitFor()
              await page.locator("qti-assessment-item").waitFor()
              await page.waitForLoadState("networkidle")
              const next = page.locator('[data-act="next"]')
              if ((await next.count()) === 0) break
              await next.click()
            }
            await page.close()
            return { loaded, trouble }
          })
          assert.deepStrictEqual(trouble, [], name)
          assert.deepStrictEqual([...loaded].sort(), media.sort())
        }
      }),
    120_000
  )

  it.live(
    "does not run: stripping takes it out, and the policy stops what stripping would miss",
    () =>
      Effect.gen(function* () {
        const { base, chromium } = yield* room
        const sit = (login: string, { bypassCSP = false, isStripped = false }) =>
          Effect.promise(async () => {
            const page = await chromium.newPage({ locale: "en-GB", bypassCSP })
            const said: Array<string> = []
            page.on("console", (message) => said.push(message.text()))
            let xml = ""
            await page.route("**/play/items/*", async (route) => {
              const response = await route.fetch()
              const json = await response.json()
              xml = json.xml
              const body = `<qti-item-body>${HOSTILE}</qti-item-body>`
              const whole = xml.replace(/<qti-item-body>.*<\/qti-item-body>/su, () => body)
              await route.fulfill({ response, json: isStripped ? json : { ...json, xml: whole } })
            })
            await logInAt(page, base, login)
            await begin(page, "hostile")
            await page.getByText("Still here").waitFor()
            for (const text of ["touch me", "follow me"]) await page.getByText(text).click()
            await page.waitForLoadState("networkidle")
            await page.close()
            return {
              ran: said.includes(MARK),
              blocked: said.some((text) => text.includes("Content Security Policy")),
              xml
            }
          })
        const stripped = yield* sit("ada", { isStripped: true })
        assert.notMatch(stripped.xml, /<(?:script|iframe|form)|\son\w+=|javascript:|text\/html/u)
        assert.deepInclude(stripped, { ran: false, blocked: false })
        assert.deepInclude(yield* sit("ben", {}), { ran: false, blocked: true })
        // With neither of the two it does: these are no blanks.
        assert.isTrue((yield* sit("cem", { bypassCSP: true })).ran)
      }),
    120_000
  )
})

/**
 * Takes the pictures of the pages for the docs, from a real device: `node bench/pictures.ts [folder]`.
 * The folder is one that `testferry demo --dir` made; without one the demo runs first. Needs Chromium
 * (TESTFERRY_CHROMIUM, else /usr/bin/chromium), and writes docs/pictures/*.png.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { chromium, type Page } from "playwright-core"

const ROOT = path.resolve(import.meta.dirname, "..")
const TO = path.join(ROOT, "docs/pictures")
const BROWSER = process.env.TESTFERRY_CHROMIUM ?? "/usr/bin/chromium"
/** Small enough for a repository, wide enough to be read. */
const VIEWPORT = { width: 800, height: 600 }
const TALL = { width: 800, height: 900 }
const TAKER = "kirsten.moar"
const MANAGER = "sync.northern-isles"
const PROCTOR = "erik.isbister"
const OFFICER = { login: "rosa", password: "a picture is worth it" }
const TEST = /Soundscapes/u
/** Longer than any page takes on a busy machine, in milliseconds. */
const PATIENCE = 60_000

const testferry = path.join(ROOT, "testferry")
const fresh = path.join(os.tmpdir(), `testferry-pictures-${process.pid}`)
const folder = process.argv[2] ?? fresh
const running: Array<ChildProcess> = []

/** Starts a server of the program, and waits for the line that says where it is. */
const serve = (data: string, ...args: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(testferry, ["--data", path.join(folder, data), ...args])
    running.push(child)
    let said = ""
    const hear = (bytes: Buffer) => {
      said += String(bytes)
      const [found] = /https?:\/\/127\.0\.0\.1:\d+/u.exec(said) ?? []
      if (found !== undefined) resolve(found)
    }
    child.stdout.on("data", hear)
    child.stderr.on("data", hear)
    child.once("exit", () => reject(new Error(`${data} did not start: ${said}`)))
  })

const passwordOf = (login: string): string =>
  fs
    .readFileSync(path.join(folder, "passwords.csv"), "utf8")
    .split("\n")
    .map((line) => line.trim().split(","))
    .find(([one]) => one === login)?.[1] ?? ""

const logIn = async (page: Page, login: string, password = passwordOf(login)) => {
  await page.locator("#login").fill(login)
  await page.locator("#password").fill(password)
  await page.keyboard.press("Enter")
}

const photograph = async (page: Page, name: string) => {
  await page.waitForLoadState("networkidle")
  await page.screenshot({ path: path.join(TO, `${name}.png`), animations: "disabled" })
}

const takePictures = async (base: string, page: Page) => {
  page.setDefaultTimeout(PATIENCE)
  await page.goto(base)
  await page.locator("#login").waitFor()
  await photograph(page, "login")
  await logIn(page, TAKER)
  const start = page.getByRole("button", { name: TEST })
  await start.waitFor()
  await photograph(page, "list")
  await page.setViewportSize(TALL)
  await start.click()
  await page.locator("qti-simple-choice").first().waitFor()
  await photograph(page, "question")

  await page.goto(`${base}/manage`)
  await page.locator("#login").waitFor()
  await logIn(page, MANAGER)
  await page.locator("#login").waitFor({ state: "hidden" })
  await photograph(page, "manage")

  await page.goto(`${base}/watch`)
  await page.locator("#login").waitFor()
  await logIn(page, PROCTOR)
  await page.locator("#login").waitFor({ state: "hidden" })
  await photograph(page, "watch")
}

const takeOffice = async (url: string, page: Page) => {
  page.setDefaultTimeout(PATIENCE)
  await page.goto(`${url}/office`)
  await page.locator("#login").waitFor()
  await logIn(page, OFFICER.login, OFFICER.password)
  await page.locator(".office tbody tr").first().waitFor()
  await photograph(page, "office")
}

try {
  if (folder === fresh) execFileSync(testferry, ["demo", "--dir", folder], { stdio: "ignore" })
  fs.mkdirSync(TO, { recursive: true })
  const { url } = JSON.parse(fs.readFileSync(path.join(folder, "central/central.json"), "utf8"))
  const secret = path.join(folder, "office-password")
  fs.writeFileSync(secret, OFFICER.password)
  const { login } = OFFICER
  const account = ["--login", login, "--role", "administrator", "--password-file", secret]
  execFileSync(testferry, [
    "--data",
    path.join(folder, "central"),
    "central",
    "accounts",
    "add",
    ...account
  ])
  await serve("central", "central", "serve", "--port", new URL(String(url)).port)
  const base = await serve("isles", "device", "serve", "--port", "0")
  const browser = await chromium.launch({
    executablePath: BROWSER,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
  })
  const page = await browser.newPage({ viewport: VIEWPORT, locale: "en-GB" })
  const wide = await browser.newPage({
    viewport: { width: 1100, height: 700 },
    locale: "en-GB",
    ignoreHTTPSErrors: true
  })
  await takePictures(base, page)
    .then(() => takeOffice(String(url), wide))
    .finally(() => browser.close())
  for (const name of fs.readdirSync(TO)) {
    console.log(`${name}: ${fs.statSync(path.join(TO, name)).size} bytes`)
  }
} finally {
  for (const child of running) child.kill()
  if (folder === fresh) fs.rmSync(fresh, { recursive: true, force: true })
}

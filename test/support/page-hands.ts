/** Answers the questions of an item in a page as people do: with a mouse, or with keys alone. */
import type { Locator, Page } from "playwright-core"
import type { Question } from "../../domain/plausible.ts"

/** Gives the right answers to one question; to an essay, some text. */
export type Hand = (page: Page, question: Question) => Promise<void>

export const ESSAY = "I hear the birds, and the river."

const choice = (page: Page, identifier: string) =>
  page.locator(`qti-item-body [identifier="${identifier}"]`)

/** A mouse chooses and drags; text has to be typed in any case. */
export const byMouse: Hand = async (page, { correct, interaction, response }) => {
  const asked = page.locator(`[response-identifier="${response}"]`)
  if (interaction === "textentryinteraction") return typed(page, asked.locator("input"), correct[0])
  if (interaction === "extendedtextinteraction") return typed(page, asked.locator("textarea"))
  if (interaction === "inlinechoiceinteraction") await asked.click()
  for (const [at, value] of correct.entries()) {
    const [one = "", other = ""] = value.split(" ")
    if (interaction === "orderinteraction") {
      await drag(page, choice(page, one), asked.locator("drop-list").nth(at))
    } else if (interaction === "matchinteraction") {
      await drag(page, choice(page, one), choice(page, other))
    } else await choice(page, one).click()
  }
}

const typed = async (page: Page, field: Locator, text = ESSAY) => {
  await field.click()
  await page.keyboard.type(text)
}

/** Both must stand still, which they do not while others make room. */
const drag = async (page: Page, from: Locator, to: Locator) => {
  await to.hover()
  await from.hover()
  await page.mouse.down()
  // What is dragged is over the place where it will be.
  for (let step = 0; step < 2; step += 1) await to.hover({ force: true })
  await page.mouse.up()
}

/** Nothing is clicked, and focus is only moved by keys. */
export const byKeys: Hand = async (page, { correct, interaction, targets }) => {
  if (interaction === "textentryinteraction" || interaction === "extendedtextinteraction") {
    await tabTo(page, interaction === "textentryinteraction" ? "input" : "textarea")
    return page.keyboard.type(correct[0] ?? ESSAY)
  }
  if (interaction === "inlinechoiceinteraction") {
    await tabTo(page, "trigger")
    await page.keyboard.press("Enter")
    await pressUntil(page, "ArrowDown", correct[0] ?? "")
    return page.keyboard.press("Enter")
  }
  for (const [at, value] of correct.entries()) {
    const [one = "", other = ""] = value.split(" ")
    await tabTo(page, one)
    await page.keyboard.press("Space")
    if (interaction !== "orderinteraction" && interaction !== "matchinteraction") continue
    // What was lifted is over the first place.
    const steps = interaction === "orderinteraction" ? at : targets.indexOf(other)
    for (let step = 0; step < steps; step += 1) await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Space")
  }
}

/** More stops than any page here has. */
const STOPS_MAX = 60

/** What the keyboard is on: its name, or what kind of thing it is. */
const FOCUSED = `(() => {
  let at = document.activeElement
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
  const named = (name) => at?.getAttribute(name)
  if (/^(?:input|textarea)$/.test(at?.localName ?? "")) return at.localName
  const text = at?.localName === "button" ? at.textContent : at?.localName
  return named("identifier") ?? named("data-act") ?? named("part") ?? named("aria-label") ?? text ?? ""
})()`

const pressUntil = async (page: Page, key: string, name: string) => {
  const seen: Array<string> = []
  for (let stop = 0; stop < STOPS_MAX; stop += 1) {
    const now = String(await page.evaluate(FOCUSED))
    if (now === name) return
    seen.push(now)
    await page.keyboard.press(key)
  }
  throw new Error(`${key} never came to ${name}, but to ${seen.join(", ")}`)
}

export const tabTo = (page: Page, name: string) => pressUntil(page, "Tab", name)

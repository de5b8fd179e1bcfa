/** Shows one item with the QTI library, and tells what was answered. */
import "./qti-components.mjs"
import { el } from "./elements.mjs"
import {
  close,
  forgetUntouched,
  languageOf,
  makeSlidersReachable,
  mendAria,
  tellLanguages,
  toHtml
} from "./question-mending.mjs"
import { t } from "./words.mjs"

/** The library stops essays at 5,000 signs; a device keeps a million bytes. */
const ESSAY_SIGNS_MAX = 100_000
/** An item that never says that it is there can't be shown. */
const MOUNT_MILLIS = 15_000

/**
 * Puts an item, as the device gives it, into `place`. `order`: words by which choices are shuffled, the
 * same each time; `label`: what inputs without a name are called. `changed` is called after each change,
 * `ended` when a button inside the item ends the attempt. What is closed is shown to be read.
 */
export const showQuestion = async ({ changed, ended, item: given, label, order, place }) => {
  const document_ = new DOMParser().parseFromString(given.xml, "application/xml")
  if (document_.querySelector("parsererror") !== null) throw new Error("unreadable item")
  putAbove(document_, given.rubrics)
  makeAbsolute(document_)
  tellLanguages(document_)
  const choiceOrder = shuffle(document_, order)
  const isClosed = given.state === "closed"
  const box = document.createElement("item-container")
  const frame = el("qti-item", languageOf(document_.documentElement), box)
  const connected = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("the item did not load")), MOUNT_MILLIS)
    frame.addEventListener("qti-assessment-item-connected", ({ detail }) => resolve(detail), {
      once: true
    })
  })
  place.replaceChildren(isClosed ? el("p", { class: "closed" }, t("closedText")) : "", frame)
  await box.updateComplete
  box.itemDoc = toHtml(document_.documentElement)
  const item = await connected
  await settled(item)
  forgetUntouched(item)
  if (given.saved !== null) restore(item, given.saved.responses)
  prepareInputs(item, label)
  makeSlidersReachable(item, label)
  if (isClosed) close(item)
  mendAria(item)
  box.shadowRoot.adoptedStyleSheets = [...box.shadowRoot.adoptedStyleSheets, OURS]
  let silent = isClosed
  item.addEventListener("qti-interaction-changed", () => silent || changed())
  // The library hears keys only: text that is pasted, dictated or composed would be lost.
  item.addEventListener("input", (event) => captureText(event))
  // The library would score here, where there is nothing to score with.
  frame.addEventListener(
    "end-attempt",
    onEnd(item, () => silent || ended()),
    { capture: true }
  )
  return {
    isClosed,
    responses: () => responsesOf(item),
    isAnswered: () => responsesOf(item).some(({ values }) => values !== null),
    isValid: () => item.validate(false),
    playerState: () => ({ choiceOrder }),
    /** What was answered, as people read it. */
    words: () => wordsOf(item),
    /** Brings in what an input still holds for itself. */
    settle: () => {
      for (const input of inputsOf(item)) captureText({ composedPath: () => [input] })
      if (place.contains(document.activeElement)) document.activeElement.blur()
    },
    remove: () => {
      silent = true
      place.replaceChildren()
    }
  }
}

/** What the test says above this item belongs to what is read there, and looks like it. */
const putAbove = (document_, rubrics) => {
  const body = document_.querySelector("qti-item-body")
  const read = rubrics.flatMap((xml) => {
    const { documentElement } = new DOMParser().parseFromString(xml, "application/xml")
    return [...(documentElement.querySelector("qti-item-body")?.childNodes ?? [])]
  })
  if (body === null || read.length === 0) return
  const above = document_.createElementNS(body.namespaceURI, "div")
  above.setAttribute("class", "testferry-above")
  above.append(...read)
  body.prepend(above)
}

/** The library puts a "/" before what has no scheme, and would ask a host named like the first folder. */
const makeAbsolute = (item) => {
  for (const element of item.querySelectorAll("*")) {
    for (const name of ["src", "data", "href", "poster"]) {
      const value = element.getAttribute(name)
      if (value?.startsWith("/")) element.setAttribute(name, location.origin + value)
    }
    const all = element.getAttribute("srcset")?.split(", ")
    if (all === undefined) continue
    const absolute = all.map((one) => (one.startsWith("/") ? location.origin + one : one))
    element.setAttribute("srcset", absolute.join(", "))
  }
}

/** A prompt of the library never says that it is done: only interactions are waited for, and not long. */
const SETTLE_MILLIS = 1_000

const settled = (item) => {
  const interactions = [...item.querySelectorAll("[response-identifier]")]
  const late = new Promise((resolve) => setTimeout(resolve, SETTLE_MILLIS))
  return Promise.race([late, Promise.all(interactions.map((each) => each.updateComplete))])
}

const restore = (item, responses) => {
  // Buttons that end an attempt are not pressed when the next one begins.
  const pressed = new Set(endsOf(item).map(({ responseIdentifier }) => responseIdentifier))
  const answers = responses.filter(({ identifier }) => !pressed.has(identifier))
  item.variables = answers.map(({ cardinality, identifier, values }) => {
    const all = values?.map(({ value }) => value) ?? null
    return {
      identifier,
      value: cardinality === "single" ? (all?.[0] ?? null) : all,
      type: "response"
    }
  })
}

const endsOf = (item) => [...item.querySelectorAll("qti-end-attempt-interaction")]

const onEnd = (item, ended) => (event) => {
  event.stopPropagation()
  item.updateResponseVariable(event.detail.responseIdentifier, "true")
  ended()
}

const isMissing = (value) =>
  value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length)

const responsesOf = (item) =>
  item._context.variables
    .filter(({ identifier, type }) => type === "response" && identifier !== "numAttempts")
    .map(({ baseType, cardinality, identifier, value }) => {
      const all = Array.isArray(value) ? value : [value]
      const values = isMissing(value) ? null : all.map((one) => ({ value: String(one) }))
      return { identifier, cardinality, baseType: baseType ?? null, values }
    })

const wordsOf = (item) =>
  responsesOf(item)
    .flatMap(({ values }) => values ?? [])
    .map(({ value }) => labelOf(item, value))
    .join("\n")

/** A choice by what stands in it; of a pair both. */
const labelOf = (item, value) => {
  const named = value
    .split(" ")
    .map((name) => item.querySelector(`[identifier="${CSS.escape(name)}"]`))
  if (named.includes(null)) return value
  return named.map((one, at) => one.textContent.trim() || value.split(" ")[at]).join(" – ")
}

const inputsOf = (item) =>
  [...item.querySelectorAll("*")].flatMap((element) => [
    ...(element.shadowRoot?.querySelectorAll("textarea, input[type=text], input:not([type])") ?? [])
  ])

const captureText = (event) => {
  const [input] = event.composedPath()
  if (!(input instanceof HTMLTextAreaElement) && !(input instanceof HTMLInputElement)) return
  if (!["textarea", "text"].includes(input.type)) return
  input.dispatchEvent(new Event("change"))
}

/** Gives inputs a name for those who do not see them, and room for essays. */
const prepareInputs = (item, label) => {
  for (const input of inputsOf(item)) {
    const prompt = input.getRootNode().host?.querySelector("qti-prompt")?.textContent.trim()
    if (!input.hasAttribute("aria-label")) input.setAttribute("aria-label", prompt || label)
    if (input instanceof HTMLTextAreaElement) input.maxLength = ESSAY_SIGNS_MAX
    // What is empty would begin on the left.
    if (getComputedStyle(input).direction === "ltr") input.setAttribute("dir", "auto")
  }
}

/** One colour for what is chosen, and letters in inputs as large as those around them. */
const OURS = new CSSStyleSheet()
OURS.replaceSync(`
  :host {
    --qti-border-active: #0b5c8a; --qti-bg-active: #e3f0f8; --qti-focus-color: #e08b00;
    --qti-focus-border-width: 3px; --qti-border-color: #7d8794; --qti-form-size: 1.125rem;
  }
  qti-extended-text-interaction::part(textarea) { font: inherit; min-block-size: 12em; }
  qti-text-entry-interaction { max-inline-size: 100%; }
  qti-text-entry-interaction::part(input) { font: inherit; max-inline-size: 100%; box-sizing: border-box; }
  qti-hotspot-choice:state(--checked) { outline: 4px solid #0b5c8a; }
  /* The library hides what names a view; only what is meant for test-takers comes here. */
  qti-rubric-block[view] { display: block; }
  .testferry-above { border-inline-start: .4rem solid #d5dae1; padding-inline-start: 1rem; margin-block-end: 1.5rem; }
  qti-slider-interaction[readonly]::part(slider) { pointer-events: none; }
  qti-end-attempt-interaction::part(button) {
    font: inherit; font-weight: 600; min-block-size: 3rem; padding: .6rem 1.2rem;
    border: 2px solid #7d8794; border-radius: .5rem; background: #fff; color: inherit;
  }
  qti-end-attempt-interaction::part(button):focus-visible { outline: 3px solid #e08b00; }
  img, object, video { max-inline-size: 100%; }
`)

/** Shuffles what the item says may be shuffled; what is fixed stays where it is. */
const shuffle = (item, words) => {
  const shown = {}
  for (const interaction of item.querySelectorAll('[shuffle="true"]')) {
    const name = interaction.getAttribute("response-identifier") ?? ""
    for (const choices of groupsOf(interaction)) {
      const free = choices.filter((choice) => choice.getAttribute("fixed") !== "true")
      const places = free.map((choice) => {
        const place = item.createComment("")
        choice.replaceWith(place)
        return place
      })
      const below = diceOf(`${words} ${name} ${free.length}`)
      for (let last = free.length - 1; last > 0; last -= 1) {
        const other = below(last + 1)
        ;[free[last], free[other]] = [free[other], free[last]]
      }
      places.forEach((place, at) => {
        place.replaceWith(free[at])
      })
    }
    interaction.removeAttribute("shuffle")
    shown[name] = groupsOf(interaction)
      .flat()
      .map((choice) => choice.getAttribute("identifier"))
  }
  return shown
}

const CHOICES =
  "qti-simple-choice, qti-inline-choice, qti-simple-associable-choice, qti-gap-text, qti-gap-img"

const groupsOf = (interaction) => {
  const groups = new Map()
  for (const choice of interaction.querySelectorAll(CHOICES)) {
    groups.set(choice.parentNode, [...(groups.get(choice.parentNode) ?? []), choice])
  }
  return [...groups.values()]
}

/** Numbers that follow from the words alone (FNV-1a, mulberry32): no secret hangs on them. */
const diceOf = (words) => {
  let state = 2_166_136_261
  for (const sign of words) state = Math.imul(state ^ (sign.codePointAt(0) ?? 0), 16_777_619)
  return (n) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % n
  }
}

/** Adds to an item of the QTI library what those need who read, hear or type it otherwise. */

const RIGHT_TO_LEFT = /^(?:ar|arc|dv|fa|he|ks|ku-arab|ps|sd|ug|ur|yi)(?:-|$)/iu

/** The language and direction that an element states, or that follows from its language. */
export const languageOf = (element) => {
  const lang = element.getAttribute("xml:lang") ?? element.getAttribute("lang")
  const dir = element.getAttribute("dir")
  if (lang === null && dir === null) return {}
  return { lang, dir: dir ?? (lang !== null && RIGHT_TO_LEFT.test(lang) ? "rtl" : "ltr") }
}

/** HTML does not read `xml:lang`, which QTI has. */
export const tellLanguages = (document_) => {
  for (const element of document_.querySelectorAll("*")) {
    if (!element.hasAttribute("xml:lang") && !element.hasAttribute("lang")) continue
    const { dir, lang } = languageOf(element)
    element.setAttribute("lang", lang)
    element.setAttribute("dir", dir)
  }
}

const DRAWN = new Set(["http://www.w3.org/1998/Math/MathML", "http://www.w3.org/2000/svg"])

/** What the library makes of an item, but formulas and drawings stay what they are. */
export const toHtml = (element) => {
  const whole = document.createDocumentFragment()
  whole.append(asHtml(element))
  return whole
}

const asHtml = (node) => {
  if (!(node instanceof Element) || DRAWN.has(node.namespaceURI)) {
    const drawn = document.importNode(node, true)
    // Within a line fractions would be written in letters too small to read.
    if (drawn.localName === "math" && !drawn.hasAttribute("displaystyle")) {
      drawn.setAttribute("displaystyle", "true")
    }
    return drawn
  }
  // The device has taken programs out already; made here, one would run.
  if (node.localName === "script") return document.createTextNode("")
  const made = document.createElement(node.localName)
  for (const { localName, value } of node.attributes) made.setAttribute(localName, value)
  made.append(...[...node.childNodes].map(asHtml))
  return made
}

/** Shows what was answered, and lets nobody change it; who listens hears that it is so. */
export const close = (item) => {
  item.readonly = true
  for (const button of item.querySelectorAll("qti-end-attempt-interaction")) button.disabled = true
  // These don't mind.
  for (const picture of item.querySelectorAll("qti-select-point-interaction")) {
    picture.disabled = true
  }
  for (const moved of item.querySelectorAll("qti-upload-interaction, qti-position-object-stage")) {
    moved.inert = true
  }
  for (const slider of item.querySelectorAll("qti-slider-interaction")) {
    slider.setAttribute("aria-disabled", "true")
  }
}

/**
 * The library says of choices whether they are read-only, which their roles may not. What is put
 * somewhere stands inside the interaction.
 */
export const mendAria = (item) => {
  const interactions = [...item.querySelectorAll("[response-identifier]")]
  for (const root of [item, ...interactions.map(({ shadowRoot }) => shadowRoot)]) {
    if (root === null) continue
    const mend = () => {
      for (const choice of root.querySelectorAll("[aria-readonly]")) {
        const isReadOnly = choice.getAttribute("aria-readonly") === "true"
        choice.removeAttribute("aria-readonly")
        if (isReadOnly) choice.setAttribute("aria-disabled", "true")
      }
    }
    mend()
    new MutationObserver(mend).observe(root, {
      attributeFilter: ["aria-readonly"],
      childList: true,
      subtree: true
    })
  }
}

/** A slider that begins above 0 says so as if somebody had moved it there. */
export const forgetUntouched = (item) => {
  for (const { responseIdentifier } of item.querySelectorAll("qti-slider-interaction")) {
    item.updateResponseVariable(responseIdentifier, null)
  }
}

/** The library's sliders are moved by a mouse only, and say no value. */
export const makeSlidersReachable = (item, label) => {
  for (const slider of item.querySelectorAll("qti-slider-interaction")) {
    const prompt = slider.querySelector("qti-prompt")?.textContent.trim()
    slider.setAttribute("aria-label", prompt || label)
    slider.setAttribute("aria-valuemin", String(slider.min))
    slider.setAttribute("aria-valuemax", String(slider.max))
    const tell = () => slider.setAttribute("aria-valuenow", slider.response)
    tell()
    item.addEventListener("qti-interaction-changed", tell)
    slider.addEventListener("keydown", (event) => {
      const to = steppedTo(slider, event.key)
      if (to === undefined || slider.readonly || slider.disabled) return
      event.preventDefault()
      slider.response = String(Math.min(slider.max, Math.max(slider.min, to)))
    })
  }
}

/** As a slider of the browser does. */
const steppedTo = ({ max, min, response, step }, key) => {
  const now = Number(response)
  if (key === "ArrowRight" || key === "ArrowUp") return now + step
  if (key === "ArrowLeft" || key === "ArrowDown") return now - step
  if (key === "PageUp") return now + 10 * step
  if (key === "PageDown") return now - 10 * step
  if (key === "Home") return min
  return key === "End" ? max : undefined
}

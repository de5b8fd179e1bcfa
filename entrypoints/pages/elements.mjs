/** Makes elements of the page; text is always text, never markup. */

export const el = (name, attributes = {}, ...children) => {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value)
    else made.setAttribute(key, value === true ? "" : String(value))
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined))
  return made
}

export const app = () => document.getElementById("app")

/** Puts a view in the place of the one before; who listens to the page hears its heading. */
export const show = (view) => {
  app().replaceChildren(view)
  const heading = view.querySelector("h1")
  heading?.setAttribute("tabindex", "-1")
  heading?.focus({ preventScroll: true })
  scrollTo(0, 0)
}

/** Tells those who listen to the page, and nobody else. */
export const say = (text) => {
  document.getElementById("said").textContent = text
}

/**
 * Opens a window without a screen for the QTI library, in a thread that has nothing else to do: the
 * library looks for a browser's names among the globals. Nothing is fetched and no script runs.
 */
import { createRequire } from "node:module"

/** What is used of a DOM element; the compiler of this program knows no browser. */
export interface DomElement {
  readonly localName: string
  readonly attributes: Iterable<{ readonly localName: string; readonly value: string }>
  readonly childNodes: Iterable<DomElement & { readonly nodeType: number }>
  readonly children: Iterable<DomElement>
  readonly parentElement: DomElement | null
  readonly textContent: string
  readonly updateComplete?: Promise<unknown>
  readonly getAttribute: (name: string) => string | null
  readonly setAttribute: (name: string, value: string) => void
  readonly closest: (selector: string) => DomElement | null
  readonly querySelector: (selector: string) => DomElement | null
  readonly querySelectorAll: (selector: string) => Iterable<DomElement>
  readonly append: (...nodes: ReadonlyArray<DomElement | string>) => void
  readonly replaceWith: (...nodes: ReadonlyArray<DomElement | string>) => void
  readonly cloneNode: (deep: boolean) => DomElement
  readonly remove: () => void
  readonly addEventListener: (type: string, listener: () => void) => void
}

export interface DomWindow {
  readonly document: {
    readonly body: DomElement
    readonly createElement: (name: string) => DomElement
  }
  readonly customElements: { readonly get: (name: string) => unknown }
  readonly DOMParser: new () => {
    readonly parseFromString: (
      text: string,
      type: string
    ) => { readonly documentElement: DomElement }
  }
}

/** Opens the window and lends its names to this thread's globals; once in the life of a thread. */
export const openWindow = (): DomWindow => {
  // An untyped library: what is used of it is written down above.
  const { JSDOM } = createRequire(import.meta.url)("jsdom")
  // By its defaults jsdom runs no script and loads no resource.
  const { window } = new JSDOM("<!doctype html><body></body>", { url: "http://localhost/" })
  for (const name of Object.getOwnPropertyNames(window)) {
    if (!(name in globalThis)) define(name, window[name])
  }
  for (const name of BROWSERS_OWN) define(name, window[name])
  for (const name of WAYS_OUT) Reflect.deleteProperty(globalThis, name)
  // The library writes numbers for a reader of this machine's language: "1,234" and "0,5".
  Object.defineProperty(Intl, "NumberFormat", { value: PlainNumbers })
  Object.defineProperty(Number.prototype, "toLocaleString", { value: Number.prototype.toString })
  return window
}

/** Node has some of a browser's names too, and elements take only events of their own window. */
const BROWSERS_OWN = ["Event", "CustomEvent", "EventTarget", "document"]
/** A library that would load something by itself finds no way to. */
const WAYS_OUT = ["fetch", "WebSocket", "EventSource", "XMLHttpRequest"]

class PlainNumbers {
  readonly format = String
}

const define = (name: string, value: unknown): void => {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
}

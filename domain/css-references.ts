/** Finds what a style sheet loads. Reads linearly whatever it is given, and understands no CSS else. */

/** Gives the targets of `url(...)` and `@import`, as written, without quotes. */
export const cssReferences = (css: string): ReadonlyArray<string> =>
  spotsOf(css).map(({ href }) => href)

/** Gives the style sheet with each target changed by `change`; what it gives back must need no quotes. */
export const changeCssReferences = (css: string, change: (href: string) => string): string => {
  let text = ""
  let at = 0
  for (const { from, href, to } of spotsOf(css).toSorted((a, b) => a.from - b.from)) {
    const next = change(href)
    if (from < at || next === href) continue
    text += css.slice(at, from) + next
    at = to
  }
  return text + css.slice(at)
}

/** A target and where it stands, without its quotes. */
interface Spot {
  readonly href: string
  readonly from: number
  readonly to: number
}

const spotsOf = (css: string): ReadonlyArray<Spot> => {
  const text = withoutComments(css)
  return [...imports(text), ...urls(text)]
}

/** Comments become as many spaces, so that everything else stays where it is. */
const withoutComments = (css: string): string => {
  let text = ""
  let at = 0
  for (let open = css.indexOf("/*"); open >= 0; open = css.indexOf("/*", at)) {
    const close = css.indexOf("*/", open + 2)
    const end = close < 0 ? css.length : close + 2
    text += css.slice(at, open) + " ".repeat(end - open)
    at = end
  }
  return text + css.slice(at)
}

const imports = (text: string): ReadonlyArray<Spot> =>
  [...text.matchAll(/@import\s*["']([^"'\n]{0,2048})["']/giu)].map((match) => {
    const href = match[1] ?? ""
    const to = match.index + match[0].length - 1
    return { href, from: to - href.length, to }
  })

const urls = (text: string): ReadonlyArray<Spot> => {
  const found: Array<Spot> = []
  const opening = /url\(/giu
  for (let open = opening.exec(text); open !== null; open = opening.exec(text)) {
    const close = text.indexOf(")", opening.lastIndex)
    if (close < 0) return found
    const before = text.slice(Math.max(0, open.index - 80), open.index)
    const isName = /@namespace[^;]*$/iu.test(before)
    if (!isName) found.push(unquoted(text.slice(opening.lastIndex, close), opening.lastIndex))
    opening.lastIndex = close
  }
  return found
}

const unquoted = (text: string, at: number): Spot => {
  const trimmed = text.trim()
  const href = trimmed.replace(/^(["'])(.*)\1$/su, "$2")
  const lead = text.length - text.trimStart().length
  const from = at + lead + (href.length === trimmed.length ? 0 : 1)
  return { href, from, to: from + href.length }
}

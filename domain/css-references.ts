/** Finds what a style sheet loads. Reads linearly whatever it is given, and understands no CSS else. */

/** Gives the targets of `url(...)` and `@import`, as written, without quotes. */
export const cssReferences = (css: string): ReadonlyArray<string> => {
  const text = withoutComments(css)
  return [...imports(text), ...urls(text)]
}

const withoutComments = (css: string): string => {
  let text = ""
  let at = 0
  for (let open = css.indexOf("/*"); open >= 0; open = css.indexOf("/*", at)) {
    text += `${css.slice(at, open)} `
    const close = css.indexOf("*/", open + 2)
    if (close < 0) return text
    at = close + 2
  }
  return text + css.slice(at)
}

const imports = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/@import\s*["']([^"'\n]{0,2048})["']/giu)].map((match) => match[1] ?? "")

const urls = (text: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  const opening = /url\(/giu
  for (let open = opening.exec(text); open !== null; open = opening.exec(text)) {
    const close = text.indexOf(")", opening.lastIndex)
    if (close < 0) return found
    const before = text.slice(Math.max(0, open.index - 80), open.index)
    const isName = /@namespace[^;]*$/iu.test(before)
    if (!isName) found.push(unquoted(text.slice(opening.lastIndex, close)))
    opening.lastIndex = close
  }
  return found
}

const unquoted = (text: string): string => text.trim().replace(/^(["'])(.*)\1$/su, "$2")

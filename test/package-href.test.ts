import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { cssReferences } from "../domain/css-references.ts"
import { fileNames, resolve } from "../domain/package-href.ts"

const segment = fc.constantFrom(
  "a",
  "b",
  "items",
  "a b",
  "é",
  "100%",
  "x#1",
  "q?",
  "%41",
  "..a",
  "a;b"
)
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"))

const relative = (from: string, to: string): string => {
  const up = "../".repeat(from.split("/").length - 1)
  return up + to.split("/").map(encodeURIComponent).join("/")
}

describe("a reference", () => {
  it("finds every file of the package from every other, percent-encoded", () => {
    fc.assert(
      fc.property(path, path, (from, to) => {
        const target = resolve(fileNames([from, to]), from, relative(from, to))
        assert.deepStrictEqual(target, { _tag: "Inside", path: to })
      })
    )
  })

  it("goes where a browser goes", () => {
    const plain = fc.constantFrom("a", "b", "c", "..", ".", "%41", "a%20b")
    const href = fc.array(plain, { minLength: 1, maxLength: 6 }).map((parts) => parts.join("/"))
    fc.assert(
      fc.property(href, (href) => {
        const from = "1/2/3/4/5/6/item.xml"
        const url = new URL(href.replaceAll("%41", "A"), `http://host/${from}`)
        const browser = decodeURIComponent(url.pathname.slice(1)).replace(/\/$/, "")
        const target = resolve(fileNames([browser]), from, href)
        assert.deepStrictEqual(target, { _tag: "Inside", path: browser })
      })
    )
  })

  it("never leaves the package and never throws, whatever it says", () => {
    const names = ["a.xml", "b/c.png", "b/d.svg"]
    const part = fc.oneof(
      fc.constantFrom("..", "%2e%2e", "\\", "/", "b", "c.png", ":", "%"),
      fc.string()
    )
    const href = fc.array(part, { maxLength: 8 }).map((parts) => parts.join("/"))
    fc.assert(
      fc.property(href, fc.constantFrom(...names), (href, from) => {
        const target = resolve(fileNames(names), from, href)
        if (target._tag === "Inside") assert.include(names, target.path)
        if (target._tag === "Missing") assert.notMatch(target.path, /^\/|(?:^|\/)\.\.(?:\/|$)/)
      })
    )
  })

  const kinds = [
    ["https://example.org/a", "Remote"],
    ["//example.org/a", "Remote"],
    ["\\\\example.org\\a", "Remote"],
    ["ht\ntp://example.org/a", "Remote"],
    ["mailto:a@example.org", "Remote"],
    ["JavaScript:alert(1)", "Script"],
    ["\u0001java\tscript:alert(1)", "Script"],
    ["vbscript:x", "Script"],
    ["data:image/png;base64,AA", "Data"],
    ["file:///etc/passwd", "Outside"],
    ["C:/a.png", "Outside"],
    ["/a.xml", "Outside"],
    ["../a.xml", "Outside"],
    ["%2e%2e/a.xml", "Outside"],
    ["#part", "Itself"],
    ["", "Itself"],
    ["b.xml", "Missing"],
    ["b\\..\\a.xml", "Inside"]
  ] as const
  for (const [href, tag] of kinds) {
    it(`${JSON.stringify(href)} is ${tag}`, () => {
      assert.strictEqual(resolve(fileNames(["a.xml"]), "a.xml", href)._tag, tag)
    })
  }
})

describe("a style sheet", () => {
  it("tells what it loads, in any spelling", () => {
    const css = `@namespace s url(http://www.w3.org/2000/svg); @IMPORT "a.css"; @import url(b.css);
      p { background: URL( 'c d.png' ), url("e.png") } /* url(no.png) İ */ q { src: url(f.woff) }`
    const found = [...cssReferences(css)].sort()
    assert.deepStrictEqual(found, ["a.css", "b.css", "c d.png", "e.png", "f.woff"])
  })

  it("is read in linear time, whatever it says", () => {
    for (const part of ["url(", "/*", "url('", "@import ", '@import "', "*/url(x)"]) {
      cssReferences(part.repeat(500_000))
    }
  })
})

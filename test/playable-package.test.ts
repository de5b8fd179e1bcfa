import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import { changeCssReferences, cssReferences } from "../domain/css-references.ts"
import { fileNames, fold, relinked, resolve } from "../domain/package-href.ts"
import { safeNames } from "../domain/safe-names.ts"
import { XML_BYTES_MAX } from "../infrastructure/xml-document.ts"
import { layerBare, layerWith, prepared, whyNot } from "./support/preparing.ts"
import { item3, minimal, minimal3 } from "./support/qti-files.ts"

const XI = `xmlns:xi="http://www.w3.org/2001/XInclude"`
const include = (href: string, more = "") => `<xi:include ${XI} href="${href}"${more}/>`
const ITEM = "items/i1.xml"

describe("the playable form of a package", () => {
  it.effect("is the package itself, byte by byte, when nothing has to change", () =>
    Effect.gen(function* () {
      const files = minimal3(`<img src="a.png" alt="x &amp; y"/><!-- kept -->`, {
        "items/a.png": "picture",
        "items/é.css": `p { background: url("../items/a.png") }`
      })
      const made = yield* prepared(files)
      assert.isFalse(made.isChanged)
      assert.strictEqual(made.texts.get(ITEM), files[ITEM])
    }).pipe(Effect.provide(layerBare))
  )

  it.effect("has the shared text in each item, with pictures found from there", () =>
    Effect.gen(function* () {
      const files = minimal3(
        include("../shared/deep/s.xml") + include("../n.txt", ` parse="text"`),
        {
          "shared/deep/s.xml": `<div>Shared ${include("../t.xml")}<a href="#x">x</a></div>`,
          "shared/t.xml": `<p style="background:url(b.png)"><img src="./a.png#f" srcset="a.png 1x, b.png 2x"/></p>`,
          "shared/a.png": "a",
          "shared/b.png": "b",
          "n.txt": "1 < 2"
        }
      )
      const { texts } = yield* prepared(files)
      assert.strictEqual(
        texts.get(ITEM),
        `<?xml version="1.0" encoding="UTF-8"?>\n${item3(
          `<div>Shared <p style="background:url(../shared/b.png)"><img src="../shared/a.png#f" srcset="../shared/a.png 1x, ../shared/b.png 2x"/></p><a href="#x">x</a></div>1 &lt; 2`
        )}`
      )
    }).pipe(Effect.provide(layerBare))
  )

  it.effect("has a QTI 3.0 stimulus where the item names it, with its style sheet", () =>
    Effect.gen(function* () {
      const stimulus = `<qti-assessment-stimulus xmlns="http://www.imsglobal.org/xsd/imsqtiasi_v3p0" xmlns:m="urn:m" identifier="s" title="S"><qti-stylesheet href="s.css" type="text/css"/><qti-stimulus-body><p><m:x/>Read <img src="p.png"/></p></qti-stimulus-body></qti-assessment-stimulus>`
      const reference = `<qti-assessment-stimulus-ref identifier="s1" href="../shared/s.xml"/>`
      const more = { "shared/s.xml": stimulus, "shared/s.css": "p{}", "shared/p.png": "p" }
      const place = `<div data-stimulus-idref="s1"></div>`
      const named = yield* prepared({
        ...minimal3("", more),
        [ITEM]: item3(`<p>Before</p>${place}`, reference)
      })
      const text = named.texts.get(ITEM) ?? ""
      assert.include(
        text,
        `<qti-stylesheet href="../shared/s.css" type="text/css"/><qti-item-body>`
      )
      assert.include(
        text,
        `<p>Before</p><div data-stimulus-idref="s1" xmlns:m="urn:m"><p><m:x/>Read`
      )
      assert.include(text, `<img src="../shared/p.png"/>`)
      assert.notInclude(text, "stimulus-ref ")
      const alone = yield* prepared({ ...minimal3("", more), [ITEM]: item3("<p>Q</p>", reference) })
      assert.include(alone.texts.get(ITEM), `<div class="qti-shared-stimulus" xmlns:m="urn:m"><p>`)
    }).pipe(Effect.provide(layerBare))
  )

  it.effect("has names that need no escaping, and references to them", () =>
    Effect.gen(function* () {
      const nfd = "e\u0301.png"
      const body = `<img src="${nfd}"/><img src="../100%25.png"/><img src="../a%20b%23.png#x"/><object data="a b.svg"/><qti-stylesheet href="my style.css"/>`
      const files = minimal3(body, {
        [`items/${nfd}`]: "nfd",
        "100%.png": "percent",
        "a b#.png": "hash",
        "a_b_.png": "was there",
        "items/a b.svg": `<!DOCTYPE svg PUBLIC "x" "y.dtd"><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="../100%.png"/></svg>`,
        "items/my style.css": `/* url(a b.svg) */ @import "other one.css"; p { background: url('a b.svg') }`,
        "items/other one.css": "",
        "page.html": `<p><img src='a b#.png'></p>`
      })
      const { texts } = yield* prepared(files)
      assert.deepStrictEqual([...texts.keys()].toSorted(), [
        "100_.png",
        "a_b_-2.png",
        "a_b_.png",
        "imsmanifest.xml",
        "items/a_b.svg",
        "items/i1.xml",
        "items/my_style.css",
        "items/other_one.css",
        "items/é.png",
        "page.html",
        "test.xml"
      ])
      assert.include(
        texts.get(ITEM),
        `<img src="é.png"/><img src="../100_.png"/><img src="../a_b_-2.png#x"/><object data="a_b.svg"/><qti-stylesheet href="my_style.css"/>`
      )
      assert.strictEqual(
        texts.get("items/my_style.css"),
        `/* url(a b.svg) */ @import "other_one.css"; p { background: url('a_b.svg') }`
      )
      assert.include(texts.get("items/a_b.svg"), `?>\n<svg xmlns`)
      assert.include(texts.get("items/a_b.svg"), `xlink:href="../100_.png"`)
      assert.strictEqual(texts.get("page.html"), `<p><img src='a_b_-2.png'></p>`)
    }).pipe(Effect.provide(layerBare))
  )

  it.effect("is written in UTF-8, and every letter stays what it was", () =>
    Effect.gen(function* () {
      const text = `é 日本 &amp; &lt;b&gt; &quot; &#13; 𝄞<![CDATA[ <c> ]]>`
      const utf16 = Buffer.from(`\ufeff${item3(`<p title="a&#10;b">${text}</p>`)}`, "utf16le")
      const made = yield* prepared({ ...minimal3(""), [ITEM]: utf16 })
      assert.include(
        made.texts.get(ITEM),
        `<p title="a&#10;b">é 日本 &amp; &lt;b&gt; " &#13; 𝄞 &lt;c&gt; </p>`
      )
      assert.include(made.warnings.join(), "utf-16le")
    }).pipe(Effect.provide(layerBare))
  )

  it.effect("is the same each time, and its own playable form", () =>
    Effect.gen(function* () {
      const files = minimal3(include("s s.xml"), { "items/s s.xml": "<p>x</p>" })
      const [once, twice] = [yield* prepared(files), yield* prepared(files)]
      assert.isTrue(once.bytes.equals(twice.bytes))
      const again = yield* prepared(Object.fromEntries(once.texts))
      assert.isFalse(again.isChanged)
    }).pipe(Effect.provide(layerBare))
  )

  const refusals = [
    [
      "whose shared texts include each other",
      include("s.xml"),
      {
        "items/s.xml": `<div>${include("t.xml")}</div>`,
        "items/t.xml": `<div>${include("s.xml")}</div>`
      },
      ["reference-loop items/t.xml", "reference-loop items/s.xml"]
    ],
    [
      "that includes a part of a file",
      include("s.xml", ` xpointer="p"`),
      {
        "items/s.xml": "<div/>"
      },
      ["unresolved-include items/i1.xml"]
    ],
    [
      "that grows without end by including",
      include("s.xml").repeat(20),
      {
        "items/s.xml": `<div>${" ".repeat(XML_BYTES_MAX / 16)}</div>`
      },
      ["xml-limit items/i1.xml"]
    ],
    ["whose shared text is missing", include("s.xml"), {}, ["missing-file items/i1.xml"]],
    [
      "whose shared text has a DOCTYPE",
      include("s.xml"),
      {
        "items/s.xml": "<!DOCTYPE div><div/>"
      },
      ["doctype items/s.xml"]
    ]
  ] as const
  for (const [claim, body, more, expected] of refusals) {
    it.effect(`is not made of a package ${claim}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* whyNot(minimal3(body, more)), [...expected])
      }).pipe(Effect.provide(layerBare))
    )
  }

  it.effect("is not made of a package whose stimulus is none", () =>
    Effect.gen(function* () {
      const reference = `<qti-assessment-stimulus-ref identifier="s1" href="s.xml"/>`
      const files = minimal3("", { "items/s.xml": "<div/>" })
      const why = yield* whyNot({ ...files, [ITEM]: item3("", reference) })
      assert.deepStrictEqual(why, ["unresolved-include items/s.xml"])
    }).pipe(Effect.provide(layerBare))
  )
})

describe("converting", () => {
  it.effect("needs the converter, and says so", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* whyNot(minimal), ["ConverterMissing"])
    }).pipe(Effect.provide(layerBare))
  )

  const careless = [
    ["leaves what it was given", (xml: string) => xml, ["conversion"]],
    [
      "gives something else than XML",
      () => "<a>",
      ["not-well-formed test.xml", `not-well-formed ${ITEM}`]
    ],
    ["loses a text", (xml: string) => as3(xml).replace("Hello", ""), [`conversion ${ITEM}`]],
    [
      "loses a rule",
      (xml: string) => as3(xml).replace(` visible="true"`, ""),
      ["conversion test.xml"]
    ],
    [
      "renames a reference",
      (xml: string) => as3(xml).replace(`"r1"`, `"r2"`),
      ["conversion test.xml"]
    ],
    [
      "adds a script",
      (xml: string) => as3(xml).replace("<p>", "<script/><p>"),
      [`active-content ${ITEM}`]
    ]
  ] as const
  for (const [claim, change, expected] of careless) {
    it.effect(`is refused when the converter ${claim}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* whyNot(minimal), [...expected])
      }).pipe(Effect.provide(layerWith(change)))
    )
  }

  it.effect("is believed when nothing is lost", () =>
    Effect.gen(function* () {
      const made = yield* prepared(minimal)
      assert.deepStrictEqual([made.was, made.qti], ["2.1", "3.0"])
    }).pipe(Effect.provide(layerWith(as3)))
  )
})

/** What a converter would make of the smallest package. */
const as3 = (xml: string): string =>
  xml
    .replace("imsqti_v2p1", "imsqtiasi_v3p0")
    .replace(/(<\/?)(assessment|test|item)/gu, "$1qti-$2")
    .replace(/(?<=[a-z])[A-Z](?=[A-Za-z]*[ =>])/gu, (letter) => `-${letter.toLowerCase()}`)

const segment = fc.constantFrom(
  "a",
  "b",
  "a b",
  "a_b",
  "é",
  "e\u0301",
  "100%",
  "x#1",
  "q?",
  "%41",
  "A",
  "日本"
)
const path = fc
  .array(segment, { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join("/").normalize("NFC"))

describe("safe names", () => {
  it("are different for different files, need no escaping, and stay when made safe again", () => {
    fc.assert(
      fc.property(fc.uniqueArray(path, { selector: fold }), (names) => {
        const safe = [...safeNames(names).values()]
        assert.strictEqual(new Set(safe.map(fold)).size, names.length)
        for (const name of safe) assert.strictEqual(encodeURI(decodeURI(name)), encodeURI(name))
        for (const name of safe) assert.notMatch(name, /[ #%?]/u)
        assert.deepStrictEqual([...safeNames(safe).values()].toSorted(), safe.toSorted())
      })
    )
  })

  it("are found by references written anew, wherever these stand afterwards", () => {
    fc.assert(
      fc.property(path, path, path, (from, to, place) => {
        const files = fileNames([from, to, place])
        const names = safeNames(files.names)
        const href =
          "../".repeat(from.split("/").length - 1) + to.split("/").map(encodeURIComponent).join("/")
        const document = names.get(place) ?? ""
        const next = relinked({ files, names }, from, document, href)
        const target = resolve(fileNames(names.values()), document, next)
        assert.deepStrictEqual(target, { _tag: "Inside", path: names.get(to) ?? "" })
      })
    )
  })

  it("are put into style sheets at every place that is a reference, and nowhere else", () => {
    const part = fc.constantFrom(
      "url(a)",
      "url( 'a' )",
      'url("a")',
      '@import "a";',
      "/* url(a) */",
      "a",
      '"',
      "}",
      " "
    )
    fc.assert(
      fc.property(
        fc.array(part).map((parts) => parts.join(" ")),
        (css) => {
          assert.strictEqual(
            changeCssReferences(css, (href) => href),
            css
          )
          const next = changeCssReferences(css, (href) => (href === "a" ? "bb" : href))
          assert.deepStrictEqual(
            cssReferences(next),
            cssReferences(css).map((href) => (href === "a" ? "bb" : href))
          )
        }
      )
    )
  })
})

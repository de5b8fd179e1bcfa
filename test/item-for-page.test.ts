import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { itemForPage } from "../infrastructure/item-for-page.ts"
import { item, known, outcome, response } from "./support/qti-items.ts"
import { DEMO } from "./support/testferry.ts"

const at = (name: string) => `/content/${name}`
const shown = (xml: string, templates: ReadonlyArray<ReturnType<typeof known>> = []) =>
  itemForPage(xml, "items/i1.xml", at, templates)
const body = (html: string) => {
  const page = shown(item(response("R", "identifier"), "", "", html))
  return /<qti-item-body>(.*)<\/qti-item-body>/su.exec(page)?.[1]
}

const SECRET = "the-right-answer"
const KEYS = [
  ...["correct-response", "mapping", "area-mapping", "response-processing", "modal-feedback"],
  ...["template-processing", "feedback-inline", "feedback-block", "interpolation-table"]
]
/** As QTI 3 writes a name, as QTI 2 does, and as a careless author could. */
const spellings = (name: string) => {
  const camel = name.replace(/-(.)/gu, (_, letter: string) => letter.toUpperCase())
  return [`qti-${name}`, camel, `q:${camel}`, `QTI-${name.toUpperCase()}`]
}
const key = fc
  .tuple(fc.constantFrom(...KEYS.flatMap(spellings)), fc.constantFrom("text", "attribute", "deep"))
  .map(([name, where]) => {
    const space = `xmlns:q="urn:other"`
    if (where === "attribute") return `<${name} ${space} key="${SECRET}"/>`
    const inner = where === "deep" ? `<p><qti-value>${SECRET}</qti-value></p>` : SECRET
    return `<${name} ${space}>${inner}</${name}>`
  })
const hidden = fc.oneof(
  key,
  fc.constant(`<!-- ${SECRET} -->`),
  fc.constant(`<?key ${SECRET}?>`),
  fc.constant(`<qti-rubric-block view="scorer author">${SECRET}</qti-rubric-block>`),
  fc.constant(`<qti-choice-interaction correct-response="${SECRET}"/>`),
  fc.constant(`<script>${SECRET}</script>`)
)
const { tree } = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    hidden,
    fc.constant("words"),
    fc
      .tuple(
        fc.constantFrom("p", "div", "qti-prompt", "qti-choice-interaction"),
        fc.array(tie("tree"))
      )
      .map(([name, inner]) => `<${name}>${inner.join("")}</${name}>`)
  )
}))

describe("an item for a test-taker's page", () => {
  it("carries no key, wherever in the item it was", () => {
    fc.assert(
      fc.property(fc.array(hidden), fc.array(hidden), tree, (declared, top, html) => {
        const declarations = `<qti-response-declaration identifier="R" cardinality="single" base-type="string">${declared.join("")}</qti-response-declaration>`
        const page = shown(item(declarations + top.join(""), SECRET, "", html))
        assert.notInclude(page, SECRET)
      })
    )
  })

  it("keeps of every demonstration item what is asked, and no key", () => {
    for (const name of ["soundscapes-qti30", "rivers-qti21", "fractions-qti22"]) {
      const folder = path.join(DEMO, "packages/src", name, "items")
      for (const file of fs.readdirSync(folder)) {
        const xml = fs.readFileSync(path.join(folder, file))
        const page = itemForPage(xml, `items/${file}`, at, [])
        assert.notMatch(page, /correct-?response|mapp(?:ing|ed)|response-?processing/iu, file)
        const interactions = /<[\w-]*interaction/giu
        assert.deepStrictEqual(page.match(interactions), xml.toString().match(interactions), file)
      }
    }
  })

  it("gives addresses inside the package only, for every way of writing one", () => {
    for (const [html, expected] of [
      [`<img src="../media/a%20b.png"/>`, `<img src="/content/media/a b.png"></img>`],
      [`<object data="x.png"/>`, `<object data="/content/items/x.png"></object>`],
      [`<video poster="p.png"/>`, `<video poster="/content/items/p.png"></video>`],
      [
        `<img srcset="a.png 1x, https://e.org/b.png 2x, ../c.png 3x"/>`,
        `<img srcset="/content/items/a.png 1x, /content/c.png 3x"></img>`
      ],
      [`<img src="/etc/passwd"/>`, "<img></img>"],
      [`<img src="//e.org/x.png"/>`, "<img></img>"],
      [`<img src="\\\\e.org\\x.png"/>`, "<img></img>"],
      [`<img src="../../../x.png"/>`, "<img></img>"],
      [`<img src="%2e%2e/%2e%2e/x.png"/>`, "<img></img>"],
      [`<img src="https://e.org/x.png"/>`, "<img></img>"],
      [`<a href="java&#10;script:alert(1)">a</a>`, "<a>a</a>"],
      [`<a href=" JavaScript:alert(1)">a</a>`, "<a>a</a>"],
      [`<a href="data:text/html,x">a</a>`, "<a>a</a>"],
      [`<a href="#part">a</a>`, `<a href="#part">a</a>`],
      [`<img src="data:image/png;base64,AA"/>`, `<img src="data:image/png;base64,AA"></img>`],
      [`<object data="data:text/html,x"/>`, "<object></object>"],
      [
        `<svg xmlns="http://www.w3.org/2000/svg" xmlns:l="http://www.w3.org/1999/xlink"><image l:href="a.png"/></svg>`,
        `<svg xmlns="http://www.w3.org/2000/svg"><image href="/content/items/a.png"></image></svg>`
      ]
    ] as const) {
      assert.strictEqual(body(html), expected, html)
    }
  })

  it("has nothing in it that runs, and keeps text as it was", () => {
    assert.strictEqual(
      body(`<p onclick="x()" ONLOAD="x()" class="c" xml:lang="fr">a &lt;b&gt; &amp; "c" 🦏</p>`),
      `<p class="c" xml:lang="fr">a &lt;b&gt; &amp; &quot;c&quot; 🦏</p>`
    )
    assert.strictEqual(body("<script>x()</script><iframe src='a.html'/>b<form action='x'/>"), "b")
    assert.throws(() => shown("<qti-assessment-item>"), /not well-formed/u)
  })

  it("writes the values that were drawn into the text, and shows what they choose", () => {
    const xml = item(
      `<qti-template-declaration identifier="N" cardinality="single" base-type="integer"><qti-default-value><qti-value>${SECRET}</qti-value></qti-default-value></qti-template-declaration>${outcome("SCORE")}`,
      "",
      "",
      `<p>How much is <qti-printed-variable identifier="N"/>?</p><i template-identifier="N" show-hide="show" identifier="7">seven</i><i template-identifier="N" show-hide="show" identifier="8">eight</i><i template-identifier="N" show-hide="hide" identifier="7">gone</i>`
    )
    const page = shown(xml, [known("N", "7", "single", "integer")])
    assert.include(page, "<p>How much is 7?</p>")
    assert.include(page, "seven")
    assert.include(page, "<qti-default-value><qti-value>7</qti-value></qti-default-value>")
    assert.notMatch(page, new RegExp(`eight|gone|${SECRET}`, "u"))
  })
})

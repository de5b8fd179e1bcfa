/** Small packages with one thing wrong or odd, and what must be said of each. */
import { XML_BYTES_MAX, XML_DEPTH_MAX } from "../../infrastructure/xml-document.ts"
import { type Files, item, manifest, minimal, QTI_21, resource, test } from "./qti-files.ts"

export const withItem = (body: string, more: Files = {}): Files => ({
  ...minimal,
  "items/i1.xml": item(body),
  ...more
})

const withManifest = (resources: string): Files => ({
  ...minimal,
  "imsmanifest.xml": manifest(resources)
})

/** The resource of the test. */
export const MAIN = resource("T", "imsqti_test_xmlv2p1", "test.xml")
const XI = `xmlns:xi="http://www.w3.org/2001/XInclude"`
const SVG = "http://www.w3.org/2000/svg"

const without = (name: string): Files =>
  Object.fromEntries(Object.entries(minimal).filter(([file]) => file !== name))

type Case = readonly [claim: string, files: Files, verdict: ReadonlyArray<string>]

/** What must be refused, and the reasons with their files. */
export const refusals: ReadonlyArray<Case> = [
  ["whose manifest is missing", without("imsmanifest.xml"), ["manifest-missing"]],
  ["without any file", {}, ["manifest-missing"]],
  [
    "whose manifest is one folder down",
    Object.fromEntries(Object.entries(minimal).map(([name, data]) => [`mine/${name}`, data])),
    ["manifest-nested mine/imsmanifest.xml"]
  ],
  [
    "whose manifest is not well-formed",
    { ...minimal, "imsmanifest.xml": "<manifest>" },
    ["not-well-formed imsmanifest.xml"]
  ],
  [
    "whose manifest is not a manifest",
    { ...minimal, "imsmanifest.xml": "<html/>" },
    ["not-a-manifest imsmanifest.xml"]
  ],
  [
    "whose manifest has a DOCTYPE",
    { ...minimal, "imsmanifest.xml": `<!DOCTYPE manifest>${minimal["imsmanifest.xml"]}` },
    ["doctype imsmanifest.xml"]
  ],
  [
    "with entities that grow without end",
    { ...minimal, "test.xml": `<!DOCTYPE t [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><t>&b;</t>` },
    ["doctype test.xml"]
  ],
  [
    "whose item uses an entity of HTML",
    withItem("<p>&nbsp;</p>"),
    ["not-well-formed items/i1.xml"]
  ],
  [
    "whose item is not in the encoding that it states",
    withItem("", { "items/i1.xml": Buffer.from([...Buffer.from(item("")), 0xff]) }),
    ["not-well-formed items/i1.xml"]
  ],
  [
    "that names a file which is not there",
    withManifest(MAIN + resource("I", "imsqti_item_xmlv2p1", "items/i9.xml")),
    ["missing-file imsmanifest.xml"]
  ],
  [
    "that depends on a resource which is not there",
    withManifest(
      MAIN + resource("I", "imsqti_item_xmlv2p1", "items/i1.xml", `<dependency identifierref="X"/>`)
    ),
    ["unresolved-dependency imsmanifest.xml"]
  ],
  [
    "that names a file outside",
    withManifest(MAIN + resource("I", "webcontent", "../../etc/passwd")),
    ["outside-package imsmanifest.xml"]
  ],
  [
    "that names a file on the network",
    withManifest(MAIN + resource("I", "webcontent", "https://example.org/a.png")),
    ["remote-asset imsmanifest.xml"]
  ],
  [
    "whose test names an item which is not there",
    { ...minimal, "test.xml": test(`<assessmentItemRef identifier="r" href="i2.xml"/>`) },
    ["missing-file test.xml"]
  ],
  [
    "whose test names itself as an item",
    { ...minimal, "test.xml": test(`<assessmentItemRef identifier="r" href="test.xml"/>`) },
    ["wrong-root test.xml"]
  ],
  [
    "whose sections include each other",
    {
      ...minimal,
      "test.xml": test(`<assessmentSectionRef identifier="s" href="s.xml"/>`),
      "s.xml": `<assessmentSection xmlns="${QTI_21}" identifier="s"><assessmentSectionRef identifier="s" href="s.xml"/><assessmentSectionRef identifier="t" href="s.xml"/></assessmentSection>`
    },
    ["reference-loop test.xml"]
  ],
  [
    "whose item is called a test",
    withManifest(resource("I", "imsqti_test_xmlv2p1", "items/i1.xml")),
    ["wrong-root items/i1.xml"]
  ],
  [
    "of an unknown version",
    withItem("", { "items/i1.xml": item("").replace("v2p1", "v9p9") }),
    ["unknown-version items/i1.xml"]
  ],
  ["without a resource", withManifest(""), ["nothing-to-play"]],
  ["whose test has no item", { ...minimal, "test.xml": test("") }, ["nothing-to-play"]],
  [
    "of QTI 1.2",
    { ...withManifest(resource("I", "imsqti_xmlv1p2", "q.xml")), "q.xml": "<questestinterop/>" },
    ["nothing-to-play"]
  ],
  ["with a missing image", withItem(`<img src="a.png"/>`), ["missing-file items/i1.xml"]],
  [
    "with a missing style sheet",
    withItem(`<stylesheet href="a.css"/>`),
    ["missing-file items/i1.xml"]
  ],
  [
    "with a missing stimulus",
    withItem(`<include ${XI.replace(":xi", "")} href="s.xml"/>`),
    ["missing-file items/i1.xml"]
  ],
  [
    "with a program in its stimulus",
    withItem(`<xi:include ${XI} href="s.xml"/>`, { "items/s.xml": "<div><script/></div>" }),
    ["active-content items/s.xml"]
  ],
  [
    "with an image on the network",
    withItem(`<img src="//example.org/a.png"/>`),
    ["remote-asset items/i1.xml"]
  ],
  [
    "with a video on the network",
    withItem(`<video><source src="http://example.org/a.mp4"/></video>`),
    ["remote-asset items/i1.xml"]
  ],
  [
    "with an image outside",
    withItem(`<object data="../../a.png"/>`),
    ["outside-package items/i1.xml"]
  ],
  [
    "with a font on the network",
    withItem("", { "a.css": "@import 'https://example.org/f.css'" }),
    ["remote-asset a.css"]
  ],
  [
    "with a picture on the network in a style",
    withItem(`<p style="background: URL( 'http://example.org/a.png' )"/>`),
    ["remote-asset items/i1.xml"]
  ],
  ["with a script", withItem("<script>1</script>"), ["active-content items/i1.xml"]],
  ["with an event handler", withItem(`<p onClick="x()"/>`), ["active-content items/i1.xml"]],
  [
    "with a javascript: link",
    withItem(`<a href=" java&#10;script:x()">x</a>`),
    ["active-content items/i1.xml"]
  ],
  [
    "with a page in an attribute",
    withItem(`<iframe srcdoc="x"/>`),
    ["active-content items/i1.xml"]
  ],
  [
    "with a page in a data: address",
    withItem(`<object data="data:text/html,x"/>`),
    ["active-content items/i1.xml"]
  ],
  [
    "with a custom interaction",
    withItem("<customInteraction><portableCustomInteraction/></customInteraction>"),
    ["active-content items/i1.xml", "unsupported-interaction items/i1.xml"]
  ],
  [
    "with questions that the player can't show",
    withItem("<drawingInteraction/><newInteraction/>"),
    ["unsupported-interaction items/i1.xml", "unsupported-interaction items/i1.xml"]
  ],
  [
    "with a question inside feedback",
    withItem("<feedbackBlock><p><textEntryInteraction/></p></feedbackBlock>"),
    ["unsupported-interaction items/i1.xml"]
  ],
  [
    "with a script in a drawing",
    withItem("", { "a.svg": `<svg xmlns="${SVG}"><script/></svg>` }),
    ["active-content a.svg"]
  ],
  [
    "with a handler set by a drawing",
    withItem("", { "a.svg": `<svg xmlns="${SVG}"><set attributeName="onload" to="x()"/></svg>` }),
    ["active-content a.svg"]
  ],
  [
    "with entities in a drawing",
    withItem("", { "a.svg": `<!DOCTYPE svg [<!ENTITY a "a">]><svg xmlns="${SVG}"/>` }),
    ["doctype a.svg"]
  ],
  [
    "with a script in a page",
    withItem("", { "a.html": "<p>x<br><SCRIPT>1</SCRIPT>" }),
    ["active-content a.html"]
  ],
  [
    "with a very deep document",
    withItem("<p>".repeat(XML_DEPTH_MAX) + "</p>".repeat(XML_DEPTH_MAX)),
    ["xml-limit items/i1.xml"]
  ],
  ["with a very large document", withItem(" ".repeat(XML_BYTES_MAX)), ["xml-limit items/i1.xml"]]
]

/** What must be accepted, and the warnings. */
export const warnings: ReadonlyArray<Case> = [
  ["without anything wrong", minimal, ["accepted"]],
  [
    "with items only",
    withManifest(resource("I", "imsqti_item_xmlv2p1", "items/i1.xml")),
    ["accepted", "item-only"]
  ],
  [
    "with two tests",
    {
      ...withManifest(MAIN + resource("U", "imsqti_test_xmlv2p1", "u.xml")),
      "u.xml": minimal["test.xml"]!
    },
    ["accepted", "several-tests"]
  ],
  [
    "with a resource identifier used twice",
    withManifest(MAIN + MAIN),
    ["accepted", "duplicate-identifier"]
  ],
  [
    "with an item reference used twice",
    {
      ...minimal,
      "test.xml": test(`<assessmentItemRef identifier="r" href="items/i1.xml"/>`.repeat(2))
    },
    ["accepted", "duplicate-identifier"]
  ],
  [
    "with a link to the network",
    withItem(`<a href="https://example.org/">x</a>`),
    ["accepted", "remote-link"]
  ],
  ["with a dead link", withItem(`<a href="no.html">x</a>`), ["accepted", "broken-link"]],
  [
    "with a missing picture of a style sheet",
    withItem("", { "a.css": "p{background:url(no.png)}" }),
    ["accepted", "missing-style-part"]
  ],
  [
    "with a missing picture in a comment of a style sheet",
    withItem("", { "a.css": "/*p{x:url(http://x/)}*/" }),
    ["accepted"]
  ],
  [
    "with scoring rules elsewhere",
    withItem("", {
      "items/i1.xml": item("").replace(
        "</assessmentItem>",
        `<responseProcessing template="http://example.org/rp"/></assessmentItem>`
      )
    }),
    ["accepted", "unknown-scoring-template"]
  ],
  [
    "that is scored by what only its maker knows",
    withItem("<customOperator/>"),
    ["accepted", "custom-operator"]
  ],
  [
    "with feedback, once for each file",
    withItem("<feedbackInline/><feedbackBlock/>", {
      "items/i1.xml": item("<feedbackInline/><feedbackBlock/>").replace(
        "</assessmentItem>",
        "<modalFeedback/></assessmentItem>"
      )
    }),
    ["accepted", "feedback-not-shown"]
  ],
  [
    "with an adaptive item",
    withItem("", { "items/i1.xml": item("").replace(`adaptive="false"`, `adaptive="true"`) }),
    ["accepted", "adaptive-item"]
  ],
  ["with a program that nothing uses", withItem("", { "a.js": "1" }), ["accepted", "program-file"]],
  [
    "with a picture in a data: address",
    withItem(`<img src="data:image/png;base64,AAAA"/>`),
    ["accepted"]
  ],
  [
    "with a drawing that has a bare DOCTYPE",
    withItem("", { "a.svg": `<!DOCTYPE svg PUBLIC "x" "http://x/y.dtd"><svg xmlns="${SVG}"/>` }),
    ["accepted"]
  ],
  [
    "with an item in UTF-16",
    withItem("", { "items/i1.xml": Buffer.from(`\ufeff${item("é")}`, "utf16le") }),
    ["accepted", "encoding"]
  ],
  [
    "with an escaped name",
    withItem(`<img src="../a%20b%23.png?v=1#x"/>`, { "a b#.png": "" }),
    ["accepted"]
  ],
  [
    "with items moved by xml:base",
    withManifest(
      MAIN +
        `<resource xml:base="items/" identifier="I" type="imsqti_item_xmlv2p1" href="i1.xml"><file href="i1.xml"/></resource>`
    ),
    ["accepted"]
  ]
]

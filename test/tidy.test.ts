/** Keeps the rules of the house that a machine can keep (docs/decisions.md, "The house"). */
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"

const ROOT = path.resolve(import.meta.dirname, "..")
const RINGS = ["domain", "application", "infrastructure", "entrypoints"] as const
const LINES_MAX = 400
const TEST_LINES_MAX = 500
/** The edge of the hexagon is one page on purpose: signatures and what they promise, no code. */
const PORTS = path.join("application", "ports.ts")
const PORTS_LINES_MAX = 700

const filesOf = (folder: string): ReadonlyArray<string> =>
  readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.includes("node_modules"))
    .map((name) => path.join(folder, name))

const read = (file: string) => readFileSync(path.join(ROOT, file), "utf8")
const importsOf = (text: string) =>
  [
    ...text.matchAll(
      /^(?:import|export)[^"']*?from "([^"]+)"|^import "([^"]+)"|import\("([^"]+)"\)/gmu
    )
  ].map(([, a, b, c]) => a ?? b ?? c ?? "")
const ringOf = (from: string, file: string): string =>
  from.startsWith(".")
    ? (path.relative(ROOT, path.resolve(ROOT, path.dirname(file), from)).split(path.sep)[0] ?? "")
    : from

const MAY: Readonly<Record<(typeof RINGS)[number], (target: string) => boolean>> = {
  domain: (target) => target === "effect" || target === "domain",
  application: (target) => ["effect", "domain", "application"].includes(target),
  infrastructure: (target) => target !== "entrypoints" && target !== "test",
  entrypoints: (target) => target !== "test"
}

const sources = RINGS.flatMap((ring) =>
  filesOf(ring).map((file) => ({ ring, file, text: read(file) }))
)
/** Lines as code: comments and strings say what they like. */
const codeOf = (text: string) =>
  text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gmu, "").replace(/"(?:[^"\\\n]|\\.)*"/gu, '""')

describe("the house", () => {
  it("lets dependencies point inwards only", () => {
    const wrong = sources.flatMap(({ file, ring, text }) =>
      importsOf(text)
        .filter((from) => !MAY[ring](ringOf(from, file)))
        .map((from) => `${file} imports ${from}`)
    )
    assert.deepStrictEqual(wrong, [])
  })

  it("keeps effects, clocks and dice out of the domain", () => {
    const wrong = sources
      .filter(({ ring }) => ring === "domain")
      .filter(({ text }) =>
        /\bEffect\.|\bDate\.now|\bnew Date\b|Math\.random|process\./u.test(codeOf(text))
      )
      .map(({ file }) => file)
    assert.deepStrictEqual(wrong, [])
  })

  it("keeps clocks, dice, promises and the console out of the verbs", () => {
    const wrong = sources
      .filter(({ ring }) => ring === "application")
      .filter(({ text }) =>
        /\bDate\.now|\bnew Date\b|Math\.random|process\.|console\.|\basync\b|\bawait\b/u.test(
          codeOf(text)
        )
      )
      .map(({ file }) => file)
    assert.deepStrictEqual(wrong, [])
  })

  it("has no barrels: only the core re-exports", () => {
    const wrong = sources
      .filter(({ file }) => file !== path.join("entrypoints", "core.ts"))
      .filter(({ text }) => /^export (?:\*|\{[^}]*\}) from/mu.test(text))
      .map(({ file }) => file)
    assert.deepStrictEqual(wrong, [])
    assert.deepStrictEqual(
      sources.filter(({ file }) => /(?:^|\/)index\.ts$/u.test(file)),
      []
    )
  })

  it("has no any, no ignored type error, no postponed work", () => {
    const wrong = [...sources, ...filesOf("test").map((file) => ({ file, text: read(file) }))]
      .filter(({ file }) => file !== path.join("test", "tidy.test.ts"))
      .filter(({ text }) => {
        const code = codeOf(text)
        return (
          /(?::|<|\bas)\s*any\b/u.test(code) ||
          /@ts-(?:ignore|nocheck)|\b(?:TODO|FIXME|XXX)\b/u.test(text) ||
          /\b(?:it|test|describe)(?:\.[a-z]+)*\.(?:skip|todo|only)\b/u.test(code)
        )
      })
      .map(({ file }) => file)
    assert.deepStrictEqual(wrong, [])
  })

  it("has no folder or file without a subject", () => {
    const wrong = sources
      .map(({ file }) => file)
      .filter((file) =>
        /(?:^|[/-])(?:utils?|helpers?|common|misc|types|errors|constants)(?:[/.-]|$)/u.test(file)
      )
    assert.deepStrictEqual(wrong, [])
  })

  it("cites only sections of the format and the protocol that are written", () => {
    const wrong = ["format", "protocol"].flatMap((document) => {
      const headings = read(path.join("docs", `${document}.md`)).matchAll(/^#+ §([0-9.]+) /gmu)
      const written = new Set([...headings].map(([, number]) => number))
      // One document, and then perhaps several sections: "format §2.6, §2.7", "§3.2 to §3.4".
      const cited = new RegExp(
        `${document} (§[0-9.]+(?:(?:,|,? and| to)\\s+(?:\\* )?§[0-9.]+)*)`,
        "gu"
      )
      return sources.flatMap(({ file, text }) =>
        [...text.matchAll(cited)]
          .flatMap(([, sections = ""]) => sections.match(/[0-9]+(?:\.[0-9]+)*/gu) ?? [])
          .filter((section) => !written.has(section))
          .map((section) => `${file} cites ${document} §${section}`)
      )
    })
    assert.deepStrictEqual(wrong, [])
  })

  it("limits the length of files", () => {
    const tooLong = [
      ...sources.map(({ file, text }) => ({
        file,
        lines: text.split("\n").length,
        max: file === PORTS ? PORTS_LINES_MAX : LINES_MAX
      })),
      ...filesOf("test").map((file) => ({
        file,
        lines: read(file).split("\n").length,
        max: TEST_LINES_MAX
      }))
    ]
      .filter(({ lines, max }) => lines > max)
      .map(({ file, lines }) => `${file}: ${lines}`)
    assert.deepStrictEqual(tooLong, [])
  })

  it("wires layers in the wiring, beside servers and commands, and nowhere in the core", () => {
    const wrong = sources
      .filter(({ ring }) => ring === "domain" || ring === "application")
      .filter(({ text }) => /Layer\.provide|Effect\.provide\(/u.test(codeOf(text)))
      .map(({ file }) => file)
    assert.deepStrictEqual(wrong, [])
  })

  it("gives no path of one machine and no private key to the repository", () => {
    const wrong = sources
      .filter(({ text }) => /["\s]\/(?:home|root|work)\/|AGE-SECRET-KEY-1[0-9A-Z]{20}/u.test(text))
      .map(({ file }) => file)
    assert.deepStrictEqual(wrong, [])
  })
})

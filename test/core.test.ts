import { spawnSync } from "node:child_process"
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as core from "testferry/core"
import { EntityId, OrganisationId } from "../domain/id.ts"

const ROOT = path.resolve(import.meta.dirname, "..")
const PACKED = ["domain", "application", "infrastructure", "entrypoints", "testferry"]

describe("the core as a library", () => {
  it("answers the example of its own documentation", () => {
    const remote = new Map([
      ["test-center/ctr_1", "9f"],
      ["delivery/dlv_2", "c4"]
    ])
    const local = new Map([
      ["delivery/dlv_2", "00"],
      ["delivery/dlv_3", "7a"]
    ])
    assert.deepStrictEqual(core.plan(local, remote, new Set(["delivery/dlv_3"])), {
      create: ["test-center/ctr_1"],
      update: ["delivery/dlv_2"],
      remove: [],
      keep: [],
      held: ["delivery/dlv_3"]
    })
  })

  it("says what an organisation reaches", () => {
    const id = EntityId.make
    const links: ReadonlyArray<core.Link> = [
      { from: id("org:0123"), relation: "member", to: id("ctr_a") },
      { from: id("ctr_a"), relation: "eligibility", to: id("elg_a") },
      { from: id("elg_a"), relation: "test-taker", to: id("usr_a") },
      { from: id("org:123"), relation: "member", to: id("ctr_b") }
    ]
    const reached = core.scope(links, OrganisationId.make("0123"))
    assert.deepStrictEqual([...reached].sort(), ["ctr_a", "elg_a", "org:0123", "usr_a"])
  })

  it("starts nothing when it is imported: the domain alone comes with it", () => {
    const text = readFileSync(path.join(ROOT, "entrypoints/core.ts"), "utf8")
    const sources = [...text.matchAll(/^(?:export|\}).* from "([^"]+)"/gmu)].map(([, from]) => from)
    assert.isAbove(sources.length, 5)
    assert.deepStrictEqual(
      sources.filter((from) => !from?.startsWith("../domain/")),
      []
    )
  })

  it("is the same library for programs that have it installed", async () => {
    const source = await import("../entrypoints/core.ts")
    assert.deepStrictEqual(Object.keys(core).sort(), Object.keys(source).sort())
  })

  it("runs installed, below node_modules, as library and as command", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "testferry-installed-"))
    try {
      const modules = path.join(folder, "node_modules")
      const own = path.join(modules, "testferry")
      mkdirSync(own, { recursive: true })
      for (const name of [...PACKED, "package.json"]) {
        cpSync(path.join(ROOT, name), path.join(own, name), { recursive: true })
      }
      for (const name of readdirSync(path.join(ROOT, "node_modules"))) {
        symlinkSync(path.join(ROOT, "node_modules", name), path.join(modules, name))
      }
      const program =
        'import { needsConfirmation } from "testferry/core"; console.log(needsConfirmation(11, 100))'
      writeFileSync(path.join(folder, "use.mjs"), program)
      const run = (command: string, ...args: ReadonlyArray<string>) =>
        spawnSync(command, args, { cwd: folder, encoding: "utf8", timeout: 60_000 })
      const used = run(process.execPath, "use.mjs")
      assert.strictEqual(used.stdout, "true\n", used.stderr)
      const version = run(path.join(own, "testferry"), "--version")
      assert.include(version.stdout, "0.1.0", version.stderr)
      assert.strictEqual(version.stderr, "")
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

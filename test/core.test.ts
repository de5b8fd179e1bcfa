import { assert, describe, it } from "@effect/vitest"
import * as core from "testferry/core"
import { EntityId, OrganisationId } from "../domain/id.ts"

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

  it("starts nothing when it is imported: the domain alone comes with it", async () => {
    const { readFileSync } = await import("node:fs")
    const text = readFileSync(new URL("../entrypoints/core.ts", import.meta.url), "utf8")
    const sources = [...text.matchAll(/from "([^"]+)"/gu)].map(([, from]) => from)
    // The sentence in the docstring names the package itself.
    const foreign = sources.filter(
      (from) => !from?.startsWith("../domain/") && from !== "testferry/core"
    )
    assert.deepStrictEqual(foreign, [])
  })
})

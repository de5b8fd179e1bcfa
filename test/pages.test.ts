import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { exam } from "./support/exam.ts"
import * as Office from "./support/office.ts"
import { ask, openDoor } from "./support/runner-client.ts"

const served = Effect.gen(function* () {
  const world = yield* exam
  const base = yield* world.on(openDoor())
  const body = { login: "ada", password: Office.passwordOf("ada") }
  const { headers } = yield* ask(base, "POST", "/runner/v1/login", { body })
  return { base, cookie: (headers.get("set-cookie") ?? "").split(";")[0] ?? "" }
})

/** The keys of one of the catalogues of words in a module of the pages. */
const keysIn = (module: string, catalogue: string): ReadonlyArray<string> => {
  const text = fs.readFileSync(path.join("entrypoints/pages", module), "utf8")
  const [, inside = ""] = new RegExp(`${catalogue} = \\{\\n(.*?)\\n\\}`, "su").exec(text) ?? []
  return [...inside.matchAll(/^ {2}"?([\w-]+)"?:/gmu)].map(([, key]) => key ?? "")
}

describe("the page of test-takers", () => {
  it("says the same things in each language", () => {
    const english = keysIn("words.mjs", "ENGLISH")
    assert.isAbove(english.length, 80)
    assert.deepStrictEqual(keysIn("words.mjs", "FRENCH"), english)
  })

  it.live("runs its own modules only, and finds each of them", () =>
    Effect.gen(function* () {
      const { base } = yield* served
      const page = yield* ask(base, "GET", "/")
      assert.strictEqual(page.headers.get("content-type"), "text/html; charset=utf-8")
      const policy = page.headers.get("content-security-policy") ?? ""
      assert.include(policy, "default-src 'none'")
      assert.include(policy, "script-src 'self';")
      assert.include(policy, "frame-ancestors 'none'")
      assert.notMatch(page.text, /<script(?![^>]*\bsrc=)|\son\w+=|javascript:/u)
      const queue = [...page.text.matchAll(/(?:src|href)="(\/[^"]+)"/gu)].map(([, at]) => at ?? "")
      const seen = new Set(queue)
      for (const at of queue) {
        const asset = yield* ask(base, "GET", at)
        assert.strictEqual(asset.status, 200, at)
        assert.match(asset.headers.get("content-type") ?? "", /^text\/(?:javascript|css);/u)
        assert.include(asset.headers.get("cache-control") ?? "", "immutable")
        assert.strictEqual(asset.headers.get("x-content-type-options"), "nosniff")
        if (at.endsWith("qti-components.mjs")) continue
        for (const [, next = ""] of asset.text.matchAll(/^import [^"]*"\.\/([^"]+)"/gmu)) {
          const found = at.replace(/[^/]+$/u, next)
          if (!seen.has(found)) queue.push(found)
          seen.add(found)
        }
      }
      assert.isAbove(seen.size, 9)
      const [first = ""] = queue
      const stale = yield* ask(base, "GET", first.replace(/[\da-f]{16}/u, "0".repeat(16)))
      assert.deepStrictEqual([stale.status, stale.json.code], [404, "not-found"])
    })
  )

  it.live("must say who it is, since its cookie travels with what other pages send", () =>
    Effect.gen(function* () {
      const { base, cookie } = yield* served
      const begin = (headers: Record<string, string>) =>
        Effect.map(
          ask(base, "POST", "/runner/v1/executions", {
            body: { delivery: "dlv_none" },
            headers: { cookie, ...headers }
          }),
          ({ json, status }) => `${status} ${json.code}`
        )
      const ours = { "testferry-page": "1" }
      assert.strictEqual(yield* begin({}), "403 cross-site")
      for (const from of ["same-site", "cross-site", "none"]) {
        assert.strictEqual(yield* begin({ ...ours, "sec-fetch-site": from }), "403 cross-site")
      }
      assert.strictEqual(yield* begin(ours), "404 not-found")
      assert.strictEqual(
        yield* begin({ ...ours, "sec-fetch-site": "same-origin" }),
        "404 not-found"
      )
      const me = (headers: Record<string, string>) =>
        Effect.map(
          ask(base, "GET", "/runner/v1/me", { headers: { cookie, ...headers } }),
          ({ status }) => status
        )
      assert.strictEqual(yield* me({}), 200)
      assert.strictEqual(yield* me({ "sec-fetch-site": "cross-site" }), 403)
    })
  )
})

/**
 * Serves the pages: of a device, `/` for test-takers, `/watch` for proctors, `/manage` for the sync
 * manager; of central, `/office`. They are files of this program and the QTI library for browsers; they
 * hold no secret, and are the same for everybody.
 */
import { createHash } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { runnerProblem, runnerTrouble } from "../infrastructure/runner-problem.ts"

/** The pages of a device. */
export const layer = Layer.unwrap(
  Effect.sync(() => {
    const assets = new Map([...ownAssets(), library()])
    const html = htmlOf(assets)
    return Layer.mergeAll(
      HttpRouter.add("GET", "/", pageAnswer(html("take.html"))),
      HttpRouter.add("GET", "/watch", pageAnswer(html("watch.html"))),
      HttpRouter.add("GET", "/manage", pageAnswer(html("manage.html"))),
      layerAssets(assets)
    )
  })
)

/** The page of the office, at central. */
export const layerOffice = Layer.unwrap(
  Effect.sync(() => {
    const assets = new Map(ownAssets())
    const office = pageAnswer(htmlOf(assets)("office.html"))
    return Layer.merge(HttpRouter.add("GET", "/office", office), layerAssets(assets))
  })
)

type Assets = ReadonlyMap<string, Asset>

const htmlOf = (assets: Assets) => (name: string) =>
  fs
    .readFileSync(path.join(PAGES, name), "utf8")
    .replaceAll("{assets}", `/assets/${versionOf(assets)}`)

const layerAssets = (assets: Assets) => {
  const version = versionOf(assets)
  return HttpRouter.add(
    "GET",
    "/assets/:version/:name",
    Effect.map(HttpRouter.params, ({ name = "", version: asked }) => {
      const asset = asked === version ? assets.get(name) : undefined
      return asset === undefined ? NOTHING : assetAnswer(asset)
    })
  )
}

/**
 * Nothing but this origin, no inline script, no evaluation. The style sheets of items become style
 * elements, and their authors write style attributes: those have to be allowed.
 */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "media-src 'self' data: blob:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'"
].join("; ")

const HEADERS = {
  "content-security-policy": PAGE_POLICY,
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "x-frame-options": "DENY"
}

const pageAnswer = (html: string) =>
  HttpServerResponse.text(html, {
    contentType: "text/html; charset=utf-8",
    headers: { ...HEADERS, "cache-control": "no-cache" }
  })

interface Asset {
  readonly bytes: Uint8Array
  readonly type: string
}

/** Their version is in their address: another version is another file. */
const assetAnswer = ({ bytes, type }: Asset) =>
  HttpServerResponse.uint8Array(bytes, {
    contentType: type,
    headers: { ...HEADERS, "cache-control": "public, max-age=31536000, immutable" }
  })

const NOTHING = runnerProblem(runnerTrouble("not-found", "Load the page again: it is a newer one."))

const PAGES = path.join(import.meta.dirname, "pages")
const LIBRARY = "qti-components.mjs"
const TYPES: Readonly<Record<string, string>> = {
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8"
}

const ownAssets = (): ReadonlyArray<readonly [string, Asset]> =>
  fs.readdirSync(PAGES).flatMap((name): ReadonlyArray<readonly [string, Asset]> => {
    const type = TYPES[path.extname(name)]
    return type === undefined
      ? []
      : [[name, { bytes: fs.readFileSync(path.join(PAGES, name)), type }]]
  })

const library = (): readonly [string, Asset] => {
  const file = fileURLToPath(import.meta.resolve("@citolab/qti-components/cdn/index.js"))
  return [LIBRARY, { bytes: fs.readFileSync(file), type: TYPES[".mjs"] ?? "" }]
}

const versionOf = (assets: Assets): string => {
  const hash = createHash("sha256")
  for (const [name, { bytes }] of assets) hash.update(`${name} ${bytes.length} `).update(bytes)
  return hash.digest("hex").slice(0, 16)
}

/**
 * Converts QTI 2.x to 3.0 with a converter that is installed beside this program; started by
 * qti-convert-process.ts only, as a process of its own: the converter is no part of this program, and
 * what it reads comes from strangers.
 */
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"

/** What is said between the processes: both sides are this program, in this version. */
export interface ConvertRequest {
  readonly xml: string
}
export type ConvertAnswer = { readonly xml: string } | { readonly failed: string }

const [, , convertEntry = "", transformEntry = ""] = process.argv

const load = (entry: string): Promise<unknown> => import(pathToFileURL(entry).href)

/** The converter looks for saxon-js among the globals, and finds it nowhere else. */
const saxon = await load(createRequire(convertEntry).resolve("saxon-js"))
Object.assign(globalThis, { SaxonJS: property(saxon, "default") ?? saxon })
const convert = callable(property(await load(convertEntry), "convertQti2toQti3"))
const transform = callable(property(await load(transformEntry), "qtiTransform"))

process.on("message", async (request: ConvertRequest) => {
  process.send?.(await answer(request.xml))
})
process.send?.({ ready: true })

async function answer(xml: string): Promise<ConvertAnswer> {
  try {
    const converted = String(await convert(xml))
    return { xml: /<qti-assessment-item[\s>]/u.test(converted) ? media(converted) : converted }
  } catch (cause) {
    return { failed: cause instanceof Error ? cause.message : String(cause) }
  }
}

/**
 * The steps of the converter that the player needs. Left out is what changes a test: an answer that
 * was optional would become mandatory, and marks of one publisher would be taken out.
 */
function media(xml: string): string {
  let chain: unknown = transform(xml)
  for (const step of ["objectToImg", "objectToVideo", "objectToAudio", "externalScored"]) {
    chain = callable(property(chain, step)).call(chain)
  }
  return String(callable(property(chain, "xml")).call(chain))
}

function property(from: unknown, name: string): unknown {
  return typeof from === "object" && from !== null ? Reflect.get(from, name) : undefined
}

function callable(value: unknown): (...given: ReadonlyArray<unknown>) => unknown {
  if (typeof value !== "function") throw new Error("this is not the converter that was expected")
  // The converter brings no types that could be relied on; what it gives is checked as text.
  return value as (...given: ReadonlyArray<unknown>) => unknown
}

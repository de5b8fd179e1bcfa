/**
 * The smallest runner there can be: plain HTTP to a device's door, no page. It goes where the device
 * says, and answers with what it is given.
 */
import { Effect } from "effect"
import type { Known } from "../../application/play-ports.ts"
import { ask, type Told } from "./runner-client.ts"

/** Nobody sits longer than this; a test that leads in a circle ends here. */
const STEPS_MAX = 500

export interface Sat {
  /** Items in the order in which they were opened. */
  readonly opened: ReadonlyArray<{ readonly ref: string; readonly xml: string }>
  readonly stage: string
}

/** Logs in; what it gives asks the device's door in the name of that test-taker. */
export const logInTo = Effect.fnUntraced(function* (base: string, login: string, password: string) {
  const { json } = yield* ask(base, "POST", "/runner/v1/login", { body: { login, password } })
  return (method: string, at: string, body?: unknown) =>
    Effect.map(ask(base, method, `/runner/v1${at}`, { token: json.token ?? "", body }), good)
})
export type Call = Effect.Success<ReturnType<typeof logInTo>>

const good = (told: Told): Told => {
  if (told.status >= 300) throw new Error(`${told.status} ${told.text}`)
  return told
}

/** Sits a delivery from its beginning to its end. */
export const sitWhole = Effect.fnUntraced(function* (
  call: Call,
  delivery: string,
  answersTo: (ref: string, drawn: ReadonlyArray<Known>) => ReadonlyArray<Known>
) {
  const { execution } = (yield* call("POST", "/executions", { delivery })).json
  const at = `/executions/${execution}`
  yield* call("POST", `${at}/start`)
  const opened: Array<{ readonly ref: string; readonly xml: string }> = []
  let ref = currentIn(yield* call("GET", `${at}/play`))
  while (ref !== null && opened.length < STEPS_MAX) {
    const item = `${at}/play/items/${encodeURIComponent(ref)}`
    const { json } = yield* call("GET", item)
    opened.push({ ref, xml: String(json.xml) })
    const responses = answersTo(ref, json.templates ?? [])
    yield* call("PUT", `${item}/responses`, { seq: 1, responses })
    ref = currentIn(yield* call("POST", `${at}/play/move`, { from: ref, to: "next" }))
  }
  const { stage } = (yield* call("POST", `${at}/play/complete`, {})).json
  return { opened, stage: stage ?? "" } satisfies Sat
})

const currentIn = ({ json }: Told): string | null =>
  typeof json.current === "string" ? json.current : null

/**
 * Asks a central server for sealed results over HTTPS, and hands back what was opened, with a
 * credential that can do nothing else (protocol §9). For the machine that has the results key.
 */
import { Clock, Effect, Layer, Schema } from "effect"
import { type CentralAway, CentralRefused } from "../application/ports.ts"
import { SealedResults } from "../application/record-ports.ts"
import { Refused } from "../application/refused.ts"
import { sealedBy } from "../application/sealed-results.ts"
import { OPENING_ASKS, type OpeningAsks } from "../domain/opening.ts"
import { TokenAnswer } from "./http-answers.ts"
import { makeExchange, type Trust } from "./http-exchange.ts"
import { makeTalk, patiently, RETRY, type Talk } from "./http-talk.ts"

export interface HttpResultsOptions {
  readonly baseUrl: string
  readonly trust: Trust
  readonly key: string
  readonly secret: string
}

/** Asked for anew a little before it ends. */
const RENEW_BEFORE_MILLIS = 30_000

type Codecs = {
  readonly [Name in keyof OpeningAsks]: {
    readonly ask: Schema.Codec<OpeningAsks[Name]["ask"], Schema.Json>
    readonly answer: Schema.Codec<OpeningAsks[Name]["answer"], unknown>
  }
}
const CODECS: Codecs = OPENING_ASKS

export const layer = (options: HttpResultsOptions) =>
  Layer.effect(
    SealedResults,
    Effect.gen(function* () {
      const exchange = yield* makeExchange(options)
      const talk = makeTalk(exchange, () => Effect.void)
      const token = makeToken(talk, options)
      const asked = Effect.fnUntraced(function* <Name extends keyof OpeningAsks>(
        name: Name,
        question: OpeningAsks[Name]["ask"]
      ) {
        const { answer, ask } = CODECS[name]
        const body = JSON.stringify(yield* Effect.orDie(Schema.encodeEffect(ask)(question)))
        return yield* talk.json(answer, {
          method: "POST",
          path: `/api/v1/results/${name}`,
          headers: {
            "content-type": "application/json",
            authorization: `Bearer ${yield* token}`
          },
          body
        })
      })
      return sealedBy((name, question) =>
        patiently(RETRY)(asked(name, question)).pipe(Effect.mapError(refusedBy))
      )
    })
  )

/** A token by the credential's secret, kept while it lasts. */
const makeToken = (talk: Talk, { key, secret }: HttpResultsOptions) => {
  let held = { token: "", expires: 0 }
  return Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (held.expires - RENEW_BEFORE_MILLIS > now) return held.token
    const answer = yield* talk.json(TokenAnswer, {
      method: "POST",
      path: "/oauth/token",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({
        grant_type: "client_credentials",
        client_id: key,
        client_secret: secret
      }).toString()
    })
    held = { token: answer.access_token, expires: now + answer.expires_in * 1_000 }
    return held.token
  })
}

const refusedBy = (
  error: CentralAway | CentralRefused | { readonly _tag: "CentralInconsistent" | "FeedReset" }
): Refused => {
  const what = "Not every result was opened."
  const todo = "Run it again to go on: what was handed back is kept at central."
  if (error._tag === "CentralAway") {
    return new Refused({
      code: "E_CENTRAL_AWAY",
      what,
      why: `Central is away: ${error.detail}.`,
      todo
    })
  }
  if (error instanceof CentralRefused) {
    return new Refused({
      code: "E_CENTRAL_REFUSED",
      what,
      why: `${error.title}. ${error.detail}`,
      todo: 'Use a credential of "testferry central credentials generate --results".'
    })
  }
  return new Refused({
    code: "E_CENTRAL_ANSWER",
    what,
    why: "Central's answer makes no sense.",
    todo
  })
}

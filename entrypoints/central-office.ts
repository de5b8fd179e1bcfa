/**
 * Gives sealed results out over HTTPS and takes opened ones back, for the machine that has the results
 * key (format §3.7). Only a credential that was made for it gets here (`layerAdmitted`); what it hands
 * back counts only with the device's own signature.
 */
import { ByteSize, Effect, Option, Schema } from "effect"
import { HttpIncomingMessage, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { answerOpening } from "../application/sealed-results.ts"
import { ASK_BYTES_MAX, OPENING_ASKS } from "../domain/opening.ts"
import { Api, Caller } from "../infrastructure/http-api.ts"
import { problemResponse, trouble } from "../infrastructure/http-problem.ts"

export const layerOffice = HttpApiBuilder.group(Api, "office", (handlers) =>
  handlers
    .handleRaw("waiting", () => answered(decode.waiting, answerOpening.waiting))
    .handleRaw("retry", () => answered(decode.retry, answerOpening.retry))
    .handleRaw("sealed", () => answered(decode.sealed, answerOpening.sealed))
    .handleRaw("opened", () => answered(decode.opened, answerOpening.opened))
    .handleRaw("ran", () =>
      Effect.flatMap(Caller, ({ id }) => answered(decode.ran, (run) => answerOpening.ran(run, id)))
    )
)

/** The body is read only once the client was let in, since it may be larger than any other. */
const answered = Effect.fnUntraced(function* <Ask, E, R>(
  decodeAsk: (text: string) => Option.Option<Ask>,
  answer: (ask: Ask) => Effect.Effect<unknown, E, R>
) {
  const request = yield* HttpServerRequest.HttpServerRequest
  const type = request.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase()
  if (type !== "application/json") return problemResponse(NOT_JSON)
  const text = yield* request.text.pipe(
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(ASK_BYTES_MAX)),
    Effect.orDie
  )
  const ask = decodeAsk(text)
  if (Option.isNone(ask)) return problemResponse(UNREADABLE)
  return HttpServerResponse.jsonUnsafe(yield* answer(ask.value))
})

const decode = {
  waiting: Schema.decodeUnknownOption(Schema.fromJsonString(OPENING_ASKS.waiting.ask)),
  retry: Schema.decodeUnknownOption(Schema.fromJsonString(OPENING_ASKS.retry.ask)),
  sealed: Schema.decodeUnknownOption(Schema.fromJsonString(OPENING_ASKS.sealed.ask)),
  opened: Schema.decodeUnknownOption(Schema.fromJsonString(OPENING_ASKS.opened.ask)),
  ran: Schema.decodeUnknownOption(Schema.fromJsonString(OPENING_ASKS.ran.ask))
}

const NOT_JSON = trouble("unsupported-media-type", "Send application/json.")
const UNREADABLE = trouble("bad-request", "The body is not what is asked here.")

/**
 * Connects what admitted clients ask to central's verbs (protocol §4 to §6), and says whether the
 * server is well. Answers are written as JSON directly: they come from verbs in the domain's types,
 * and encoding a page of 2,000 changes by schema as well would add half to its cost.
 */
import { Cause, Effect, Layer, Redacted, Result, Stream } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { admit } from "../application/admit.ts"
import * as Answer from "../application/answer.ts"
import * as Documents from "../application/give-documents.ts"
import { type Client, Clients, type FeedReset } from "../application/ports.ts"
import type { Digest } from "../domain/id.ts"
import { DEVICE_HEADER } from "../infrastructure/http-answers.ts"
import { Admitted, Api, Caller } from "../infrastructure/http-api.ts"
import { problemResponse, type Trouble, trouble } from "../infrastructure/http-problem.ts"
import { contentRange, readRange } from "../infrastructure/http-range.ts"
import { Exchange, logFailure, NOT_FOUND } from "./central-gate.ts"

/** A readiness probe does not wait longer for the database. */
const READY_DEADLINE = "2 seconds"

export const layerFeeds = HttpApiBuilder.group(Api, "feeds", (handlers) =>
  handlers.handleAll({
    page: ({ params, query }) => {
      const since = { epoch: query.epoch ?? "", version: query.since ?? 0 }
      return asCaller((client) => Answer.page(client, params.organisation, since))
    },
    buckets: ({ params }) => asCaller((client) => Answer.buckets(client, params.organisation)),
    bucket: ({ params }) =>
      asCaller((client) =>
        Effect.map(Answer.bucket(client, params.organisation, params.number), (changes) => ({
          changes
        }))
      ),
    entities: ({ params, payload }) =>
      asCaller((client) => Answer.entities(client, params.organisation, payload.keys))
  })
)

export const layerContents = HttpApiBuilder.group(Api, "contents", (handlers) =>
  handlers.handle("blob", ({ params, headers }) =>
    Effect.gen(function* () {
      const client = yield* Caller
      const blob = yield* Answer.blob(client, params.digest)
      // A range belongs to these bytes only if the condition names them (RFC 9110 §13.1.5).
      const condition = headers["if-range"]
      const wanted = condition === undefined || condition === etag(params.digest)
      const range = wanted ? readRange(headers.range, blob.size) : undefined
      if (range !== undefined && Result.isFailure(range)) return outside(blob.size)
      const { start, end } = range?.success ?? { start: 0, end: blob.size - 1 }
      const bytes = blob.read({ offset: start, length: end - start + 1 }).pipe(
        // The headers are out: the connection breaks, and only the log can say why.
        Stream.tapCause((cause) => {
          const defect = Cause.findDefect(cause)
          return Result.isSuccess(defect) ? logFailure(defect.success) : Effect.void
        })
      )
      return HttpServerResponse.stream(bytes, {
        status: range === undefined ? 200 : 206,
        contentType: "application/octet-stream",
        contentLength: end - start + 1,
        headers: {
          ...aboutBytes(params.digest),
          ...(range !== undefined && {
            "content-range": contentRange({ start, end }, blob.size)
          })
        }
      })
    }).pipe(Effect.catch((failure) => Effect.succeed(problemResponse(answerTrouble(failure)))))
  )
)

export const layerDocuments = HttpApiBuilder.group(Api, "documents", (handlers) =>
  handlers.handleAll({
    roots: ({ query }) =>
      asCaller(() => Effect.map(Documents.rootsAfter(query.after ?? 0), (roots) => ({ roots }))),
    revocations: () => asCaller(() => Documents.newestRevocations),
    certificate: () => asCaller(Documents.ownCertificate),
    report: ({ payload }) => asCaller((client) => Documents.takeReport(client, payload))
  })
)

export const layerHealth = HttpApiBuilder.group(
  Api,
  "health",
  Effect.fnUntraced(function* (handlers) {
    const clients = yield* Clients
    return handlers.handleAll({
      health: () => Effect.succeed({ status: "ok" as const }),
      ready: () =>
        clients.find("nobody").pipe(
          Effect.as(HttpServerResponse.jsonUnsafe({ status: "ready" })),
          Effect.timeoutOrElse({
            duration: READY_DEADLINE,
            orElse: () => Effect.succeed(NOT_READY)
          }),
          Effect.catchCause(() => Effect.succeed(NOT_READY))
        )
    })
  })
)

const NOT_READY = problemResponse(trouble("unavailable", "The database does not answer."))

/** Looks the client of a token up, at every request, and remembers that it was here. */
export const layerAdmitted = Layer.effect(
  Admitted,
  Effect.map(Effect.context<Effect.Services<ReturnType<typeof admit>>>(), (context) =>
    Admitted.of({
      bearer: Effect.fnUntraced(function* (handler, { credential }) {
        const exchange = yield* Exchange
        const request = yield* HttpServerRequest.HttpServerRequest
        const found = yield* admit(Redacted.value(credential)).pipe(
          Effect.tap((client) => Answer.seen(client, request.headers[DEVICE_HEADER] ?? "")),
          Effect.provideContext(context),
          Effect.result
        )
        if (Result.isFailure(found)) return problemResponse(NO_TOKEN)
        exchange.client = found.success.id
        // What is for opening results reaches nothing else, and nobody else reaches that.
        const isOffice = request.url.startsWith("/api/v1/results/")
        if (isOffice !== (found.success.kind === "results")) return problemResponse(NOT_FOUND)
        return yield* Effect.provideService(handler, Caller, found.success)
      })
    })
  )
)

const NO_TOKEN = trouble("token-refused", "Get a new one at /oauth/token.", {
  headers: { "www-authenticate": 'Bearer realm="testferry", error="invalid_token"' }
})

const asCaller = <A, R>(
  verb: (client: Client) => Effect.Effect<A, Answer.NotFound | FeedReset, R>
) =>
  Effect.flatMap(Caller, verb).pipe(
    Effect.map((answer) => HttpServerResponse.jsonUnsafe(answer)),
    Effect.catch((failure) => Effect.succeed(problemResponse(answerTrouble(failure))))
  )

const answerTrouble = (failure: Answer.NotFound | FeedReset): Trouble =>
  failure._tag === "NotFound"
    ? NOT_FOUND
    : trouble("feed-reset", "Ask again from the beginning, without since and epoch.", {
        members: { epoch: failure.epoch }
      })

const outside = (size: number) =>
  problemResponse(
    trouble("range-not-satisfiable", `The content has ${size} bytes.`, {
      headers: { "content-range": `bytes */${size}`, "accept-ranges": "bytes" }
    })
  )

const etag = (digest: Digest): string => `"${digest}"`

/** The content never changes under its digest; RFC 9530 says how to name the digest of the whole. */
const aboutBytes = (digest: Digest) => ({
  etag: etag(digest),
  "accept-ranges": "bytes",
  "repr-digest": `sha-256=:${Buffer.from(digest, "hex").toString("base64")}:`
})

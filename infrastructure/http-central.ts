/**
 * Reaches central over HTTPS: the ports Central and CentralDesk for devices with a network (protocol
 * §1 to §7). What can be asked again is asked again; contents continue where they broke off.
 */
import { Context, Effect, Layer, Schedule, type Schema, Stream } from "effect"
import { enable } from "effect/schema/SchemaJITCompiler"
import { ENTITY_KEYS_MAX } from "../application/answer.ts"
import {
  Central,
  CentralDesk,
  CentralDocuments,
  type CentralFailure,
  CentralInconsistent,
  FeedReset
} from "../application/ports.ts"
import { Enrolment, Signed } from "../domain/enrolment.ts"
import { Entity, type EntityKey } from "../domain/entity.ts"
import { Buckets, type Change, type Cursor, FeedPage } from "../domain/feed.ts"
import type { Digest, OrganisationId } from "../domain/id.ts"
import { Capabilities } from "../domain/release.ts"
import { BUCKETS } from "../domain/set-digest.ts"
import { BucketAnswer, EntitiesAnswer, ReportAnswer, RootsAnswer } from "./http-answers.ts"
import { type Line, makeExchange, type Reply, type Request } from "./http-exchange.ts"
import { readContentRange } from "./http-range.ts"
import {
  makeTalk,
  maybeLater,
  patient,
  patiently,
  RETRY,
  readValue,
  refusal,
  type Talk,
  type TalkFailure,
  TryLater
} from "./http-talk.ts"
import { makeTokens, type TokenOptions } from "./http-token.ts"

// What comes by the thousand is decoded by compiled code: a page in a third of the time.
enable(FeedPage.ast)
enable(Entity.ast)

export interface HttpCentralOptions extends Line, Omit<TokenOptions, "audience"> {
  /** Central's name for itself, where it differs from `baseUrl` (behind address translation). */
  readonly issuer?: string
  /** When and how often to try again; waits that central asks for are added. */
  readonly retry?: Schedule.Schedule<unknown>
  /** Told how many milliseconds the device's clock is ahead, when it is wrong by minutes. */
  readonly onClockOffset?: (millis: number) => Effect.Effect<void>
}

export const layer = (options: HttpCentralOptions) =>
  Layer.effectContext(
    Effect.gen(function* () {
      const talk = makeTalk(yield* makeExchange(options), options.onClockOffset ?? ignore)
      const audience = `${options.issuer ?? options.baseUrl.replace(/\/+$/u, "")}/oauth/token`
      const token = yield* makeTokens(talk, { ...options, audience })
      const again = patiently(options.retry ?? RETRY)
      const send = authorised(talk, token)
      const ask = <A, I>(schema: Schema.Codec<A, I>, request: Request) =>
        again(Effect.flatMap(send(request), (reply) => readValue(schema, reply)))
      const central = Central.of({
        capabilities: again(talk.json(Capabilities, get("/api/v1/capabilities"))).pipe(
          Effect.mapError(settled)
        ),
        page: (organisation, since) =>
          ask(FeedPage, get(feedPath(organisation, cursorQuery(since)))).pipe(
            Effect.filterOrFail(
              (page) => page.organisation === organisation,
              () => new CentralInconsistent({ what: "a page of another organisation" })
            )
          ),
        buckets: (organisation) =>
          ask(Buckets, get(feedPath(organisation, "/buckets"))).pipe(
            Effect.mapError(settled),
            Effect.filterOrFail(
              ({ buckets }) => buckets.length === BUCKETS,
              () => new CentralInconsistent({ what: "not 256 buckets" })
            )
          ),
        bucket: (organisation, bucket) =>
          ask(BucketAnswer, get(feedPath(organisation, `/buckets/${bucket}`))).pipe(
            Effect.map(({ changes }) => changes),
            Effect.mapError(settled)
          ),
        entities: (organisation, keys) =>
          allEntities(organisation, keys, (request) => ask(EntitiesAnswer, request)).pipe(
            Effect.mapError(settled)
          ),
        blob: (blob, offset) => download(send, blob, offset, options.retry ?? RETRY),
        // Safe to ask again: central keeps each record once.
        submit: (submission) =>
          ask(Signed, post("/api/v1/records", submission)).pipe(Effect.mapError(settled))
      })
      const documents = CentralDocuments.of({
        roots: (after) =>
          ask(RootsAnswer, get(`/api/v1/roots?after=${after}`)).pipe(
            Effect.map(({ roots }) => roots),
            Effect.mapError(settled)
          ),
        revocations: Effect.mapError(ask(Signed, get("/api/v1/revocations")), settled),
        certificate: Effect.mapError(ask(Signed, get("/api/v1/certificate")), settled),
        report: (said) =>
          ask(ReportAnswer, post("/api/v1/report", said)).pipe(
            Effect.asVoid,
            Effect.mapError(settled)
          )
      })
      return Context.make(Central, central).pipe(Context.add(CentralDocuments, documents))
    })
  )

/** At the desk nothing is tried again by itself: each try costs a person's patience with passwords. */
export const layerDesk = (options: Line & Pick<HttpCentralOptions, "onClockOffset">) =>
  Layer.effect(
    CentralDesk,
    Effect.gen(function* () {
      const talk = makeTalk(yield* makeExchange(options), options.onClockOffset ?? ignore)
      return CentralDesk.of({
        enrol: (request, proof) =>
          talk
            .json(Enrolment, post("/api/v1/enrolments", { request, proof }))
            .pipe(Effect.mapError(settled))
      })
    })
  )

const ignore = () => Effect.void

type Send = (request: Request) => Effect.Effect<Reply, TalkFailure>

/** Sends with a token; if it is refused, once more with a new one. */
const authorised =
  (talk: Talk, token: (refused: string | undefined) => Effect.Effect<string, TalkFailure>): Send =>
  (request) =>
    Effect.gen(function* () {
      const first = yield* token(undefined)
      const reply = yield* talk.send(withToken(request, first))
      if (reply.status !== 401) return reply
      // Read to its end, so that the connection can be used again.
      yield* Effect.exit(refusal(reply))
      return yield* talk.send(withToken(request, yield* token(first)))
    })

const withToken = (request: Request, token: string): Request => ({
  ...request,
  headers: { ...request.headers, authorization: `Bearer ${token}` }
})

const get = (path: string): Request => ({ method: "GET", path, headers: {} })

const post = (path: string, body: unknown): Request => ({
  method: "POST",
  path,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body)
})

const feedPath = (organisation: OrganisationId, rest: string): string =>
  `/api/v1/feeds/${encodeURIComponent(organisation)}${rest}`

const cursorQuery = ({ epoch, version }: Cursor): string =>
  epoch === "" ? "" : `?since=${version}&epoch=${encodeURIComponent(epoch)}`

/** Only a feed can be reset; elsewhere it makes no sense. */
const settled = (error: TalkFailure): CentralFailure => {
  if (error instanceof TryLater) return error.away
  return error instanceof FeedReset
    ? new CentralInconsistent({ what: "a feed reset where no feed was read" })
    : error
}

/** Asks until every key was spoken of; central cuts an answer that grows too large. */
const allEntities = Effect.fnUntraced(function* <E>(
  organisation: OrganisationId,
  keys: ReadonlyArray<EntityKey>,
  ask: (request: Request) => Effect.Effect<typeof EntitiesAnswer.Type, E>
) {
  const found: Array<Change> = []
  for (let at = 0; at < keys.length; ) {
    const next = keys.slice(at, at + ENTITY_KEYS_MAX)
    const answer = yield* ask(post(feedPath(organisation, "/entities"), { keys: next }))
    if (answer.asked < 1 || answer.asked > next.length)
      return yield* new CentralInconsistent({ what: "an answer to no key that was asked" })
    found.push(...answer.changes)
    at += answer.asked
  }
  return found
})

/** Bytes of a blob from an offset to its end, however often the connection breaks. */
const download = (
  send: Send,
  blob: Digest,
  offset: number,
  schedule: Schedule.Schedule<unknown>
): Stream.Stream<Uint8Array, CentralFailure> => {
  let at = offset
  const count = (bytes: Uint8Array) =>
    Effect.sync(() => {
      at += bytes.byteLength
    })
  const whilePassing = patient(schedule).pipe(
    Schedule.while(({ input }) => input instanceof TryLater)
  )
  return Stream.unwrap(Effect.suspend(() => rest(send, blob, at))).pipe(
    Stream.tap(count),
    // The schedule starts anew with each byte that came: a slow, broken line gets there in the end.
    Stream.retry(whilePassing),
    Stream.mapError(settled)
  )
}

const rest = Effect.fnUntraced(function* (send: Send, blob: Digest, at: number) {
  const headers: Record<string, string> = at > 0 ? { range: `bytes=${at}-` } : {}
  const reply = yield* send({ method: "GET", path: `/api/v1/blobs/${blob}`, headers })
  const range = reply.header("content-range")
  // The device already has every byte, and asked for those after the last.
  if (reply.status === 416 && range === `bytes */${at}`) return Stream.empty
  const continues = reply.status === 206 && readContentRange(range)?.start === at
  if (continues || (reply.status === 200 && at === 0))
    return Stream.mapError(reply.body, maybeLater)
  if (reply.status >= 400) return yield* refusal(reply)
  yield* reply.drop
  return yield* new CentralInconsistent({ what: "other bytes than those that were asked for" })
})

/**
 * Carries a device's questions to central inside one process, and puts trouble in between: answers
 * that are lost, questions that arrive twice, pages cut small, an edit while pages are read.
 *
 * What central answers goes through the same verbs as over HTTPS, for the client of this device as
 * central knows it at that moment.
 */
import { Deferred, Effect, Option, Semaphore, Stream } from "effect"
import * as answer from "../../application/answer.ts"
import {
  type Central,
  CentralAway,
  CentralRefused,
  type Client,
  Clients
} from "../../application/ports.ts"
import { receiveRecords } from "../../application/receive-records.ts"
import type { Signed } from "../../domain/enrolment.ts"
import type { FeedPage } from "../../domain/feed.ts"
import type { Digest, OrganisationId } from "../../domain/id.ts"
import { PROGRAM_VERSION, PROTOCOL_VERSION, SUPPORTED_DEVICES } from "../../domain/release.ts"
import type { Submission } from "../../domain/result.ts"
import type { CentralSite } from "./site.ts"

/** Trouble at the n-th call of a synchronisation, counted from 1. */
export interface Trouble {
  readonly at: number
  readonly what:
    | "question lost"
    | "answer lost"
    /** From this call on nothing gets through. */
    | "cut"
    /** Central is asked twice; the device gets the second answer. */
    | "asked twice"
    /** A content breaks off half-way; other answers are lost. */
    | "broken off"
    /** No answer ever comes: somebody is about to interrupt. */
    | "silence"
    /** The same, but central has heard the question. */
    | "silent after"
    /** Somebody works at central just then. */
    | "edited"
}

/** The way between one device and central; tests change it as they go. */
export interface Line {
  /** The client at central that this device is. */
  client: string
  calls: number
  trouble: Trouble | undefined
  /** What `edited` does. */
  edit: Effect.Effect<void>
  /** Most changes of a page; central's own limit when it is larger. */
  pageChanges: number
  /** Looks on at each call, before it is answered. */
  onCall: Effect.Effect<void>
  /** Looks at each page that goes to the device. */
  onPage: (organisation: OrganisationId, page: FeedPage) => Effect.Effect<void>
  /** Done when the silence begins. */
  silent: Deferred.Deferred<void>
  /** Looks at each receipt that central signed, whether it arrives or not. */
  onReceipt: (submission: Submission, receipt: Signed) => Effect.Effect<void>
}

export const openLine = (): Line => ({
  client: "",
  calls: 0,
  trouble: undefined,
  edit: Effect.void,
  pageChanges: Number.POSITIVE_INFINITY,
  onCall: Effect.void,
  onPage: () => Effect.void,
  silent: Deferred.makeUnsafe(),
  onReceipt: () => Effect.void
})

export const carry = (central: CentralSite, line: Line): Central["Service"] => {
  // One content at a time, so that the same dice make the same trouble.
  const turns = Semaphore.makeUnsafe(1)

  const ask = <A, E>(question: Effect.Effect<A, E>): Effect.Effect<A, E | CentralAway> =>
    Effect.gen(function* () {
      const what = yield* nextCall(line)
      if (what === "question lost" || what === "cut") return yield* away("unreachable")
      if (what === "asked twice") yield* Effect.exit(question)
      const answered = yield* question
      if (what === "silent after") return yield* silence(line)
      return what === "answer lost" || what === "broken off" ? yield* away("timeout") : answered
    })

  const content = Effect.fnUntraced(function* (digest: Digest, offset: number) {
    const what = yield* nextCall(line)
    if (what === "question lost" || what === "cut" || what === "answer lost") {
      return yield* away("unreachable")
    }
    const bytes = yield* asClient(central, line, (client) => bytesOf(client, digest, offset))
    const half = Math.ceil(bytes.byteLength / 2)
    const rest =
      what === "broken off"
        ? Stream.fromEffect(away("interrupted"))
        : Stream.make(bytes.subarray(half))
    return Stream.concat(Stream.make(bytes.subarray(0, half)), rest)
  })

  return {
    capabilities: ask(
      Effect.succeed({
        program: PROGRAM_VERSION,
        protocols: [PROTOCOL_VERSION],
        devices: SUPPORTED_DEVICES,
        time: 0
      })
    ),
    page: (organisation, since) =>
      ask(
        asClient(central, line, (client) => answer.page(client, organisation, since)).pipe(
          Effect.map((page) => shortened(page, line.pageChanges)),
          Effect.tap((page) => line.onPage(organisation, page))
        )
      ),
    buckets: (organisation) =>
      ask(asClient(central, line, (client) => answer.buckets(client, organisation))),
    bucket: (organisation, bucket) =>
      ask(asClient(central, line, (client) => answer.bucket(client, organisation, bucket))),
    entities: (organisation, keys) =>
      ask(asClient(central, line, (client) => answer.entities(client, organisation, keys))).pipe(
        Effect.map(({ changes }) => changes)
      ),
    blob: (digest, offset) => Stream.unwrap(turns.withPermits(1)(content(digest, offset))),
    submit: (submission) => ask(handOver(central, line, submission))
  }
}

/** Records that reach central as requests of this device, now or long after. */
export const handOver = (central: CentralSite, line: Line, submission: Submission) =>
  asClient(central, line, (client) =>
    receiveRecords(client, submission, { carrier: "https", standing: "good" })
  ).pipe(Effect.tap((receipt) => line.onReceipt(submission, receipt)))

/** Counts a call and says what trouble it meets; waits for ever where that is silence. */
const nextCall = Effect.fnUntraced(function* (line: Line) {
  line.calls += 1
  yield* line.onCall
  const { trouble } = line
  const meets =
    trouble !== undefined &&
    (trouble.what === "cut" ? line.calls >= trouble.at : line.calls === trouble.at)
  if (!meets) return undefined
  if (trouble.what === "silence") return yield* silence(line)
  if (trouble.what === "edited") yield* line.edit
  return trouble.what
})

const silence = (line: Line) =>
  Effect.andThen(Deferred.succeed(line.silent, undefined), Effect.never)

/** Does what a client of central's may do, if central still lets it in. */
const asClient = <A, E, R>(
  central: CentralSite,
  line: Line,
  act: (client: Client) => Effect.Effect<A, E, R>
) =>
  central.run(
    Effect.gen(function* () {
      const clients = yield* Clients
      const client = Option.getOrUndefined(yield* clients.find(line.client))
      if (client?.state !== "active") return yield* refused("E_NOT_ADMITTED")
      return yield* Effect.catchIf(
        act(client),
        (error) => error instanceof answer.NotFound,
        () => refused("E_NOT_FOUND")
      )
    })
  )

const bytesOf = Effect.fnUntraced(function* (client: Client, digest: Digest, offset: number) {
  const { read, size } = yield* answer.blob(client, digest)
  const parts = yield* Stream.runCollect(read({ offset, length: size - offset }))
  return new Uint8Array(Buffer.concat(parts))
})

const shortened = (page: FeedPage, changes: number): FeedPage =>
  page.changes.length <= changes
    ? page
    : { ...page, changes: page.changes.slice(0, changes), more: true }

const away = (reason: CentralAway["reason"]) =>
  Effect.fail(new CentralAway({ reason, detail: "the line has trouble" }))

const refused = (code: string) =>
  Effect.fail(new CentralRefused({ code, title: "Refused", detail: "Central said no." }))

/**
 * Speaks with central in problem documents and JSON: sorts answers into values, refusals and reasons
 * to try again, trusts nothing about them, and tries again with patience (protocol §8, §9).
 */
import { Clock, Data, Duration, Effect, Option, Schedule, Schema, Stream } from "effect"
import {
  CentralAway,
  CentralInconsistent,
  CentralRefused,
  FeedReset
} from "../application/ports.ts"
import { PROGRAM_VERSION, PROTOCOL_VERSION } from "../domain/release.ts"
import { DEVICE_HEADER, PROBLEM_TYPE, Problem } from "./http-answers.ts"
import type { Exchange, Reply, Request } from "./http-exchange.ts"

/** Central is away, but may be back: `waitMillis` is how long it asked to be left alone. */
export class TryLater extends Data.TaggedError("TryLater")<{
  readonly away: CentralAway
  readonly waitMillis: number
}> {}

export type TalkFailure = TryLater | CentralAway | CentralRefused | CentralInconsistent | FeedReset

export interface Talk {
  /** Sends a request; the reply may have any status. */
  readonly send: (request: Request) => Effect.Effect<Reply, TryLater | CentralAway>
  /** Sends a request and reads the value that a good answer carries. */
  readonly json: <A, I>(
    schema: Schema.Codec<A, I>,
    request: Request
  ) => Effect.Effect<A, TalkFailure>
}

/** The largest answer: a page of 8 Mi characters, each of which JSON may write as six. */
const ANSWER_BYTES_MAX = 64 * 1_048_576
const PROBLEM_BYTES_MAX = 65_536
/** However long central asks to wait, somebody is sitting before the device. */
const WAIT_MILLIS_MAX = 60_000
/** Beyond it, proofs fail and tests open at the wrong time: a person should set the clock. */
const CLOCK_OFFSET_MAX = 5 * 60_000

/** Half a second, one, two … up to fifteen; six tries in all. */
export const RETRY: Schedule.Schedule<unknown> = Schedule.min([
  Schedule.exponential("500 millis"),
  Schedule.spaced("15 seconds")
]).pipe(Schedule.jittered, Schedule.upTo({ times: 5 }))

export const makeTalk = (
  exchange: Exchange,
  onClockOffset: (millis: number) => Effect.Effect<void>
): Talk => {
  const send = Effect.fnUntraced(
    function* (request: Request) {
      const headers = {
        ...request.headers,
        [DEVICE_HEADER]: `${PROGRAM_VERSION}/${PROTOCOL_VERSION}`
      }
      const reply = yield* exchange({ ...request, headers })
      const offset = clockOffset(reply.header("date"), yield* Clock.currentTimeMillis)
      if (Math.abs(offset) > CLOCK_OFFSET_MAX) yield* onClockOffset(offset)
      return reply
    },
    Effect.mapError((away) => maybeLater(away))
  )
  const json: Talk["json"] = (schema, request) =>
    Effect.flatMap(send(request), (reply) => readValue(schema, reply))
  return { send, json }
}

/** Tries again what may work later, by a schedule, and no sooner than central asked for. */
export const patiently =
  (schedule: Schedule.Schedule<unknown>) =>
  <A, R>(effect: Effect.Effect<A, TalkFailure, R>) =>
    Effect.retry(effect, {
      schedule: patient(schedule),
      while: (error) => error instanceof TryLater
    }).pipe(Effect.mapError((error) => (error instanceof TryLater ? error.away : error)))

/** The schedule, but with the waits that central asked for. */
export const patient = (schedule: Schedule.Schedule<unknown>) =>
  Schedule.modifyDelay(schedule, ({ input, duration }) => {
    const asked = input instanceof TryLater ? input.waitMillis : 0
    return Effect.succeed(Duration.max(duration, Duration.millis(asked)))
  })

/** A value of the schema, from an answer with status 200 and JSON in it. */
export const readValue = Effect.fnUntraced(function* <A, I>(
  schema: Schema.Codec<A, I>,
  reply: Reply
) {
  if (reply.status !== 200) return yield* refusal(reply)
  if (!isType(reply, "application/json")) {
    yield* reply.drop
    return yield* new CentralInconsistent({ what: "the answer is not JSON" })
  }
  const text = yield* readText(reply, ANSWER_BYTES_MAX)
  return yield* Effect.try(() => JSON.parse(text)).pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(schema)),
    Effect.mapError(() => new CentralInconsistent({ what: "the answer has another form" }))
  )
})

/** What an answer with a bad status means. */
export const refusal = Effect.fnUntraced(function* (
  reply: Reply
): Effect.fn.Return<never, TalkFailure> {
  const later = reply.status === 429 || reply.status >= 500
  const problem = yield* readProblem(reply)
  if (Option.isNone(problem)) {
    const detail = `something that is not central answered with status ${reply.status}`
    const away = new CentralAway({ reason: "unavailable", detail })
    return yield* later ? new TryLater({ away, waitMillis: waitOf(reply) }) : away
  }
  const { code, title, detail, epoch } = problem.value
  if (later) {
    const away = new CentralAway({ reason: "unavailable", detail: `${title}. ${detail}` })
    return yield* new TryLater({ away, waitMillis: waitOf(reply) })
  }
  if (code === "feed-reset" && epoch !== undefined) return yield* new FeedReset({ epoch })
  return yield* new CentralRefused({ code, title, detail })
})

const readProblem = Effect.fnUntraced(function* (reply: Reply) {
  if (!isType(reply, PROBLEM_TYPE)) {
    yield* reply.drop
    return Option.none<Problem>()
  }
  const text = yield* readText(reply, PROBLEM_BYTES_MAX)
  return Schema.decodeUnknownOption(Schema.fromJsonString(Problem))(text)
})

const readText = (reply: Reply, bytesMax: number) =>
  Stream.runFoldEffect(
    reply.body,
    () => ({ size: 0, parts: [] as Uint8Array[] }),
    (read, part) => {
      read.size += part.byteLength
      read.parts.push(part)
      return read.size > bytesMax
        ? Effect.fail(new CentralInconsistent({ what: "the answer is too large" }))
        : Effect.succeed(read)
    }
  ).pipe(
    Effect.map(({ parts }) => Buffer.concat(parts).toString("utf8")),
    Effect.mapError((error) => (error instanceof CentralAway ? maybeLater(error) : error))
  )

/** A wrong certificate stays wrong; everything else may pass. */
export const maybeLater = (away: CentralAway): TryLater | CentralAway =>
  away.reason === "certificate" ? away : new TryLater({ away, waitMillis: 0 })

const isType = (reply: Reply, type: string): boolean =>
  reply.header("content-type")?.split(";", 1)[0]?.trim().toLowerCase() === type

/** Retry-After in seconds; the form with a date is not used by central. */
const waitOf = (reply: Reply): number => {
  const header = reply.header("retry-after") ?? ""
  return /^\d{1,6}$/u.test(header) ? Math.min(Number(header) * 1_000, WAIT_MILLIS_MAX) : 0
}

/** How much the device's clock is ahead of central's; 0 when central did not say. */
const clockOffset = (date: string | undefined, now: number): number => {
  const theirs = Date.parse(date ?? "")
  return Number.isNaN(theirs) ? 0 : now - theirs
}

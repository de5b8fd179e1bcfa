/** Connects what a test runner asks to the verbs of sitting. */
import { Effect, Result } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { handIn } from "../application/play.ts"
import { Moments } from "../application/session-ports.ts"
import { ownSession } from "../application/session-step.ts"
import { begin, enter, files, mayRead, offered, pause, save, saved } from "../application/sit.ts"
import type { Session } from "../domain/session.ts"
import { RunnerApi } from "../infrastructure/runner-api.ts"
import { Here, type SessionAnswer } from "../infrastructure/runner-door.ts"
import { leave, personOf } from "./runner-access.ts"
import { fileOf } from "./runner-files.ts"
import { answered, type Failure } from "./runner-troubles.ts"

export const layerRunner = HttpApiBuilder.group(RunnerApi, "runner", (handlers) =>
  handlers.handleAll({
    logout: () => leave,
    me: () => Effect.map(Here, ({ visitor }) => personOf(visitor)),
    deliveries: () => answered(asVisitor(deliveries)),
    begin: ({ payload: { delivery, eligibility } }) =>
      answered(asVisitor((visitor) => told(begin(visitor, { delivery, eligibility })))),
    session: ({ params }) => own(params, ownSession),
    start: ({ params }) => own(params, enter),
    pause: ({ params }) => own(params, pause),
    finish: ({ params }) => own(params, handIn),
    saved: ({ params: { execution } }) =>
      answered(
        asVisitor((visitor) =>
          Effect.map(saved(visitor, execution), (parts) => ({
            parts: parts.map((part) => ({ ...part, state: JSON.parse(part.state) }))
          }))
        )
      ),
    save: ({ params: { execution, part }, payload: { seq, state, variables } }) =>
      answered(
        asVisitor((visitor) =>
          Effect.as(
            save(visitor, execution, {
              part,
              seq,
              state: JSON.stringify(state ?? null),
              variables: variables ?? []
            }),
            { part, seq }
          )
        )
      ),
    files: ({ params: { execution } }) =>
      answered(
        asVisitor((visitor) =>
          Effect.map(files(visitor, execution), ({ sizes }) => ({
            files: [...sizes].map(([path, size]) => ({ path, size }))
          }))
        )
      ),
    file: ({ headers, params }) =>
      answered(
        asVisitor((visitor) =>
          Effect.flatMap(files(visitor, params.execution), (open) =>
            Effect.andThen(
              mayRead(visitor, params.execution, params["*"]),
              fileOf(open, params, headers.range)
            )
          )
        )
      )
  })
)

export type Visitor = (typeof Here)["Service"]["visitor"]

export const asVisitor = <A, E, R>(verb: (visitor: Visitor) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Here, ({ visitor }) => verb(visitor))

const own = <R>(
  { execution }: { readonly execution: Session["execution"] },
  verb: (visitor: Visitor, execution: Session["execution"]) => Effect.Effect<Session, Failure, R>
) => answered(asVisitor((visitor) => told(verb(visitor, execution))))

/** A session as it is told, with the device's clocks. */
export const told = <E, R>(verb: Effect.Effect<Session, E, R>) =>
  Effect.gen(function* () {
    const moments = yield* Moments
    const session = yield* verb
    return answerOf(session, yield* moments.now)
  })

export const answerOf = (session: Session, now: SessionAnswer["now"]): SessionAnswer => ({
  execution: session.execution,
  organisation: session.organisation,
  delivery: session.delivery,
  eligibility: session.eligibility,
  contentVersion: session.content.version,
  attempt: session.attempt,
  stage: session.stage,
  proctored: session.proctored,
  pausedBy: session.pausedBy,
  extraMillis: session.extraMillis ?? 0,
  createdAt: session.createdAt,
  startedAt: session.startedAt,
  finishedAt: session.finishedAt,
  now
})

const deliveries = Effect.fnUntraced(function* (visitor: Visitor) {
  const moments = yield* Moments
  const now = yield* moments.now
  const all = yield* offered(visitor)
  return {
    deliveries: all.map(({ admitted, delivery, eligibility, organisation, session }) => ({
      delivery: delivery.id,
      eligibility: eligibility.id,
      organisation,
      label: delivery.label,
      proctored: delivery.proctored || eligibility.proctored,
      denied: Result.isFailure(admitted) ? admitted.failure : null,
      from: later(delivery.period.from, eligibility.period.from),
      to: earlier(delivery.period.to, eligibility.period.to),
      session: session === undefined ? null : answerOf(session, now)
    }))
  }
})

const later = (a: number | undefined, b: number | undefined): number | null =>
  a === undefined && b === undefined ? null : Math.max(a ?? 0, b ?? 0)
const earlier = (a: number | undefined, b: number | undefined): number | null =>
  a === undefined || b === undefined ? (a ?? b ?? null) : Math.min(a, b)

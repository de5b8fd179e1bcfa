/** Connects what a proctor's page asks to the verbs of proctoring. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { endAsProctor } from "../application/end-session.ts"
import { grantTime } from "../application/extra-time.ts"
import { type Act, act, markIrregularity, watched } from "../application/proctor.ts"
import { Moments } from "../application/session-ports.ts"
import type { ExecutionId } from "../domain/result.ts"
import { type ReasonPost, RunnerApi } from "../infrastructure/runner-api.ts"
import { Here } from "../infrastructure/runner-door.ts"
import { leave } from "./runner-access.ts"
import { answerOf, told } from "./runner-routes.ts"
import { answered } from "./runner-troubles.ts"

export const layerProctor = HttpApiBuilder.group(RunnerApi, "proctor", (handlers) =>
  handlers.handleAll({
    logout: () => leave,
    sessions: () => answered(list),
    authorise: acting("authorise"),
    withdraw: acting("withdraw"),
    pause: acting("pause"),
    resume: acting("resume"),
    cancel: ending("cancel"),
    terminate: ending("terminate"),
    extraTime: ({ params: { execution }, payload: { minutes, reason } }) =>
      answered(
        Effect.flatMap(Here, ({ visitor }) =>
          told(grantTime(visitor, execution, minutes, reasonOf(reason)))
        )
      ),
    irregularity: ({ params: { execution }, payload: { reason } }) =>
      answered(
        Effect.flatMap(Here, ({ visitor }) =>
          told(markIrregularity(visitor, execution, reasonOf(reason)))
        )
      )
  })
)

interface Asked {
  readonly params: { readonly execution: ExecutionId }
  readonly payload: { readonly reason?: typeof ReasonPost.Type | null }
}

const acting =
  (name: Act) =>
  ({ params: { execution }, payload: { reason } }: Asked) =>
    answered(
      Effect.flatMap(Here, ({ visitor }) =>
        told(act(visitor, execution, name, reason ? reasonOf(reason) : null))
      )
    )

const ending =
  (name: "terminate" | "cancel") =>
  ({ params: { execution }, payload: { reason } }: Asked) =>
    answered(
      Effect.flatMap(Here, ({ visitor }) =>
        told(endAsProctor(visitor, execution, name, reason ? reasonOf(reason) : null))
      )
    )

/** A browser may cut a character in two: what can't be written is replaced. */
const reasonOf = ({ category, comment, subcategory }: typeof ReasonPost.Type) => ({
  category,
  subcategory: subcategory ?? null,
  comment: comment?.toWellFormed() ?? null
})

const list = Effect.gen(function* () {
  const { visitor } = yield* Here
  const moments = yield* Moments
  const now = yield* moments.now
  const all = yield* watched(visitor)
  return {
    sessions: all.map(({ center, delivery, progress, session, since, testTaker }) => ({
      ...answerOf(session, now),
      testCenter: session.testCenter,
      center,
      label: delivery,
      since,
      progress,
      testTaker: {
        id: session.testTaker,
        login: testTaker?.login ?? null,
        label: testTaker?.label ?? null
      }
    }))
  }
})

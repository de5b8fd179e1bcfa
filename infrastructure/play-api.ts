/**
 * Describes how a page plays a test that the device sequences: below an execution that was started.
 * Handlers are in `entrypoints/play-routes.ts`.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Known } from "../domain/item-save.ts"
import {
  EXECUTION,
  LoggedIn,
  one,
  P400,
  P403,
  P404,
  P409,
  P410,
  P413,
  P423,
  P503,
  P507,
  SessionAnswer
} from "./runner-door.ts"

/** Items ask one or a few things each; the largest form seen has 60 fields. */
const RESPONSES_MAX = 1_000
/** As long as a part of a session may be named. */
const REF_MAX = 256

const Ref = Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(REF_MAX))
const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
const Maybe = Schema.NullOr(Schema.Int)

const Rules = Schema.Struct({
  canMoveBackward: Schema.Boolean,
  allowSkipping: Schema.Boolean,
  validateResponses: Schema.Boolean,
  allowReview: Schema.Boolean,
  showFeedback: Schema.Boolean,
  allowComment: Schema.Boolean,
  maxAttempts: Schema.Int,
  remainingAttempts: Maybe
}).annotate({ identifier: "PlayRules" })

const Timer = Schema.Struct({
  scope: Schema.Literals(["test", "part", "section", "item"]),
  identifier: Schema.String,
  spentMillis: Schema.Int,
  minMillis: Schema.Int,
  maxMillis: Maybe,
  remainingMillis: Maybe,
  allowLate: Schema.Boolean
})

/** Where the test-taker stands. `revision` grows with each change; `serverTime` is the device's. */
export const PlayAnswer = Schema.Struct({
  revision: Schema.Int,
  serverTime: Schema.Int,
  title: Schema.String,
  parts: Schema.Array(
    Schema.Struct({
      identifier: Schema.String,
      navigationMode: Schema.Literals(["linear", "nonlinear"]),
      submissionMode: Schema.Literals(["individual", "simultaneous"])
    })
  ),
  items: Schema.Array(
    Schema.Struct({
      ref: Schema.String,
      position: Schema.Int,
      title: Schema.NullOr(Schema.String),
      part: Schema.String,
      sections: Schema.Array(Schema.String),
      state: Schema.Literals(["initial", "interacting", "suspended", "closed"]),
      answered: Schema.Boolean,
      flagged: Schema.Boolean,
      canOpen: Schema.Boolean
    })
  ),
  current: Schema.NullOr(Schema.String),
  /** Nothing is left but to complete. */
  over: Schema.Boolean,
  isLast: Schema.Boolean,
  isLastOfPart: Schema.Boolean,
  rules: Schema.NullOr(Rules),
  timers: Schema.Array(Timer),
  progress: Schema.Struct({
    items: Schema.Int,
    answered: Schema.Int,
    flagged: Schema.Int,
    position: Schema.Int
  })
}).annotate({ identifier: "Play" })

/** An item without its keys, and what was kept of it. The next save's `seq` is above `saved.seq`. */
export const ItemAnswer = Schema.Struct({
  revision: Schema.Int,
  ref: Schema.String,
  xml: Schema.String,
  /** What the test says above this item, each in a body like the item's own. */
  rubrics: Schema.Array(Schema.String),
  saved: Schema.Struct({
    seq: Schema.Int,
    responses: Schema.Array(Known),
    playerState: Schema.Json
  }),
  templates: Schema.Array(Known),
  attempt: Schema.Int,
  state: Schema.Literals(["interacting", "closed"]),
  rules: Rules
}).annotate({ identifier: "PlayItem" })

/** All responses of the item, each time. `valid`: what the player says of them, if it says anything. */
const ResponsesPut = Schema.Struct({
  seq: Count,
  responses: Schema.Array(Known).check(Schema.isMaxLength(RESPONSES_MAX)),
  playerState: Schema.optionalKey(Schema.Json),
  valid: Schema.optionalKey(Schema.Boolean)
}).annotate({ identifier: "ResponsesPut" })

const ResponsesKept = Schema.Struct({
  ref: Schema.String,
  seq: Schema.Int,
  revision: Schema.Int
}).annotate({ identifier: "ResponsesKept" })

/** `from`: the item at which the page is. `to`: `next`, `previous`, or an item. */
const MovePost = Schema.Struct({
  from: Ref,
  to: Ref,
  reason: Schema.optionalKey(Schema.Literals(["move", "skip", "timeout"]))
}).annotate({ identifier: "MovePost" })

const PLAY = `${EXECUTION}/play` as const
const item = { ...one, ref: Ref }
const error = [P400, P403, P404, P409, P410, P413, P423, P503, P507] as const

export const Play = HttpApiGroup.make("play")
  .add(
    HttpApiEndpoint.get("view", PLAY, { params: one, success: PlayAnswer, error }),
    HttpApiEndpoint.get("openItem", `${PLAY}/items/:ref`, {
      params: item,
      success: ItemAnswer,
      error
    }),
    HttpApiEndpoint.put("saveResponses", `${PLAY}/items/:ref/responses`, {
      params: item,
      payload: ResponsesPut,
      success: ResponsesKept,
      error
    }),
    HttpApiEndpoint.post("endAttempt", `${PLAY}/items/:ref/end-attempt`, {
      params: item,
      payload: ResponsesPut,
      success: PlayAnswer,
      error
    }),
    HttpApiEndpoint.post("flag", `${PLAY}/items/:ref/flag`, {
      params: item,
      payload: Schema.Struct({ flagged: Schema.Boolean }),
      success: PlayAnswer,
      error
    }),
    HttpApiEndpoint.post("move", `${PLAY}/move`, {
      params: one,
      payload: MovePost,
      success: PlayAnswer,
      error
    }),
    HttpApiEndpoint.post("complete", `${PLAY}/complete`, {
      params: one,
      payload: Schema.Struct({ early: Schema.optionalKey(Schema.Boolean) }),
      success: SessionAnswer,
      error
    })
  )
  .middleware(LoggedIn)

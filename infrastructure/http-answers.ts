/**
 * Says what devices and central's HTTPS door both know of their conversation, so that a device need
 * not load the description of the whole door to speak with it.
 */
import { Schema } from "effect"
import { Signed } from "../domain/enrolment.ts"
import { Change } from "../domain/feed.ts"
import { ROOTS_MAX } from "../domain/root.ts"

/** Names program and protocol version of a device: `0.1.0/1`. */
export const DEVICE_HEADER = "testferry-device"

/** `expires` is the same moment as `expires_in`, in seconds since 1970, for clients of older systems. */
export const TokenAnswer = Schema.Struct({
  access_token: Schema.String,
  token_type: Schema.Literal("Bearer"),
  expires_in: Schema.Int,
  expires: Schema.Int
}).annotate({ identifier: "TokenAnswer" })

/** `asked`: how many of the keys, from the first, the answer speaks of. Ask again for the rest. */
export const EntitiesAnswer = Schema.Struct({
  asked: Schema.Int,
  changes: Schema.Array(Change)
}).annotate({ identifier: "EntitiesAnswer" })

export const BucketAnswer = Schema.Struct({ changes: Schema.Array(Change) }).annotate({
  identifier: "BucketAnswer"
})

export const RootsAnswer = Schema.Struct({
  roots: Schema.Array(Signed).check(Schema.isMaxLength(ROOTS_MAX))
}).annotate({ identifier: "RootsAnswer" })

/** Whether it was news: an older report that arrives late is not. */
export const ReportAnswer = Schema.Struct({ kept: Schema.Boolean }).annotate({
  identifier: "ReportAnswer"
})

export const PROBLEM_TYPE = "application/problem+json"

/** The form of every error; other members may come with some codes. */
export const Problem = Schema.Struct({
  type: Schema.String,
  title: Schema.String,
  status: Schema.Int,
  code: Schema.String,
  detail: Schema.String,
  epoch: Schema.optionalKey(Schema.String)
})
export type Problem = typeof Problem.Type

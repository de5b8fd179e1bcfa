/** Connects what a page asks while it plays a test to the verbs of playing. */
import { HttpApiBuilder } from "effect/http-api"
import {
  complete,
  endAttempt,
  flag,
  move,
  openItem,
  saveResponses,
  view
} from "../application/play.ts"
import type { ExecutionId } from "../domain/result.ts"
import { RunnerApi } from "../infrastructure/runner-api.ts"
import { fileUrl } from "./runner-files.ts"
import { asVisitor, told } from "./runner-routes.ts"
import { answered } from "./runner-troubles.ts"

export const layerPlay = HttpApiBuilder.group(RunnerApi, "play", (handlers) =>
  handlers.handleAll({
    view: ({ params: { execution } }) => answered(asVisitor((visitor) => view(visitor, execution))),
    openItem: ({ params: { execution, ref } }) =>
      answered(asVisitor((visitor) => openItem(visitor, execution, ref, contentUrl(execution)))),
    saveResponses: ({ params: { execution, ref }, payload }) =>
      answered(
        asVisitor((visitor) => saveResponses(visitor, execution, ref, { ...NOTHING, ...payload }))
      ),
    endAttempt: ({ params: { execution, ref }, payload }) =>
      answered(
        asVisitor((visitor) => endAttempt(visitor, execution, ref, { ...NOTHING, ...payload }))
      ),
    flag: ({ params: { execution, ref }, payload: { flagged } }) =>
      answered(asVisitor((visitor) => flag(visitor, execution, ref, flagged))),
    move: ({ params: { execution }, payload: { from, reason, to } }) =>
      answered(
        asVisitor((visitor) => move(visitor, execution, { from, to, reason: reason ?? "move" }))
      ),
    complete: ({ params: { execution }, payload: { early } }) =>
      answered(asVisitor((visitor) => told(complete(visitor, execution, early ?? false))))
  })
)

/** Where a page says nothing of the player, there is nothing to say. */
const NOTHING = { playerState: null, valid: true }

const contentUrl =
  (execution: ExecutionId) =>
  (path: string): string =>
    fileUrl(execution, path)

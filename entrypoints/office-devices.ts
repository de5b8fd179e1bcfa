/** What administrators do at the office's page about devices that asked by stick. */
import { Clock, Effect, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { knownOrganisations, type OrganisationUnclear } from "../application/approve-device.ts"
import { Standing } from "../application/bundle-ports.ts"
import type { DeviceBlocked } from "../application/certify.ts"
import {
  type AlreadyDecided,
  answerOf,
  approveWaiting,
  bringRequests,
  type NoSuchRequest,
  refuseWaiting,
  waitingDevices,
  waitingRequest
} from "../application/waiting-devices.ts"
import type { Answer } from "../application/waiting-ports.ts"
import type { Digest, OrganisationId } from "../domain/id.ts"
import { saysTheSame } from "../domain/spoken-words.ts"
import { OfficeApi } from "../infrastructure/office-api.ts"
import { officeProblem } from "../infrastructure/office-problem.ts"
import { STICK_FOLDER } from "../infrastructure/stick-folders.ts"
import { noteFiles } from "../infrastructure/stick-notes.ts"
import { packed, zipPieces } from "../infrastructure/zip-writer.ts"
import { wordsOf } from "./approve-commands.ts"
import { asRole, fresh } from "./office-access.ts"

/** As many as a person looks through; more have to be typed. */
const ORGANISATIONS_SHOWN = 500

export const layerOfficeDevices = HttpApiBuilder.group(OfficeApi, "office-devices", (handlers) =>
  handlers.handleAll({
    waiting: () => asRole("administrator", () => Effect.map(everybody, fresh)),
    bring: ({ payload: { requests } }) =>
      asRole("administrator", ({ login }) =>
        Effect.map(
          bringRequests(
            requests.map(({ note }) => note),
            login
          ),
          (outcomes) =>
            fresh({
              brought: requests.map(({ name }, at) => ({ name, outcome: outcomes[at] }))
            })
        )
      ),
    approve: ({ params, payload }) =>
      asRole("administrator", ({ login }) =>
        answered(compared(params.id, { ...payload, who: login }))
      ),
    refuse: ({ params, payload: { reason } }) =>
      asRole("administrator", ({ login }) =>
        answered(
          Effect.as(
            refuseWaiting(params.id, { reason, who: login }),
            HttpServerResponse.empty({ status: 204 })
          )
        )
      ),
    answer: ({ params }) =>
      asRole("administrator", () => answered(Effect.map(answerOf(params.id), archive)))
  })
)

const everybody = Effect.gen(function* () {
  const standing = yield* Standing
  const now = yield* Clock.currentTimeMillis
  const { decided, waiting } = yield* waitingDevices()
  const chain = yield* standing.chain
  return {
    now,
    waiting: waiting.map((one) => ({ ...facts(one), known: one.known })),
    decided: decided.flatMap(({ decision, ...one }) =>
      decision === null
        ? []
        : [
            {
              ...facts(one),
              state: decision.state,
              at: decision.at,
              decidedBy: decision.by,
              device: decision.state === "approved" ? decision.device : null,
              organisations: decision.state === "approved" ? decision.organisations : [],
              reason: decision.state === "refused" ? decision.reason : ""
            }
          ]
    ),
    organisations: yield* knownOrganisations(ORGANISATIONS_SHOWN),
    centralWords: wordsOf(chain[0]?.text ?? "")
  }
})

type Shown = Omit<Effect.Success<ReturnType<typeof waitingDevices>>["waiting"][number], "decision">

const facts = ({ by, cameAt, id, note, request }: Shown) => ({
  id,
  name: request.name,
  words: wordsOf(note.text),
  program: request.program,
  createdAt: request.createdAt,
  cameAt,
  by
})

/** Only whoever has heard the words gets this far: a click alone approves nothing. */
const compared = Effect.fnUntraced(function* (
  id: Digest,
  heard: {
    readonly words: string
    readonly organisation: OrganisationId | null
    readonly who: string
  }
) {
  const { organisation, who, words } = heard
  const { note } = yield* waitingRequest(id)
  if (!saysTheSame(words, wordsOf(note.text))) return officeProblem("wrong-words")
  const approved = yield* approveWaiting(id, {
    organisation: organisation ?? undefined,
    who,
    deliver: () => Effect.void
  })
  return fresh({ device: approved.device, organisations: approved.organisations })
})

/** What belongs onto the stick, under the names that it has there. */
const archive = (answer: Answer) => {
  const files = noteFiles(`${STICK_FOLDER}/${answer.path}`, answer.note).map(({ bytes, name }) =>
    packed(name, bytes)
  )
  const pieces = Stream.fromAsyncIterable(zipPieces(files), (cause) => new Error(String(cause)))
  return HttpServerResponse.stream(Stream.orDie(pieces), {
    contentType: "application/zip",
    headers: {
      "cache-control": "no-store",
      "content-disposition": 'attachment; filename="testferry-answer.zip"'
    }
  })
}

type Failure = NoSuchRequest | AlreadyDecided | OrganisationUnclear | DeviceBlocked

/** Answers what is made of a request, or the problem that it has. */
const answered = <R>(verb: Effect.Effect<HttpServerResponse.HttpServerResponse, Failure, R>) =>
  Effect.catch(verb, (failure) => {
    switch (failure._tag) {
      case "NoSuchRequest":
        return Effect.succeed(officeProblem("no-request"))
      case "AlreadyDecided":
        return Effect.succeed(officeProblem("decided", failure.state))
      case "OrganisationUnclear":
        return Effect.succeed(officeProblem("organisation-unclear", failure.known.join(", ")))
      case "DeviceBlocked":
        return Effect.succeed(officeProblem("device-blocked", failure.device))
    }
  })

/**
 * Takes in over HTTPS what devices hand over (protocol §7). The body is read only once the device
 * was let in, since it may be larger than any other; who sends it is the token's word alone.
 */
import { ByteSize, Effect, Option, Schema } from "effect"
import { HttpIncomingMessage, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { enable } from "effect/schema/SchemaJITCompiler"
import { receiveRecords } from "../application/receive-records.ts"
import { RECORD_BYTES_MAX, Submission } from "../domain/result.ts"
import { Api, Caller } from "../infrastructure/http-api.ts"
import { problemResponse, trouble } from "../infrastructure/http-problem.ts"
import { NOT_FOUND } from "./central-gate.ts"

/** The largest record alone, as text, with its line in the ledger. */
const BODY_BYTES_MAX = ByteSize.bytes(2 * RECORD_BYTES_MAX + 65_536)

export const layerRecords = HttpApiBuilder.group(Api, "records", (handlers) =>
  handlers.handleRaw("submit", () =>
    Effect.gen(function* () {
      const client = yield* Caller
      // A credential made by hand may read, but produces nothing.
      if (client.kind !== "device") return problemResponse(NOT_FOUND)
      const request = yield* HttpServerRequest.HttpServerRequest
      const type = request.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase()
      if (type !== "application/json") return problemResponse(NOT_JSON)
      // What breaks while it is read is told by the gate, as for every route.
      const text = yield* request.text.pipe(
        Effect.provideService(HttpIncomingMessage.MaxBodySize, BODY_BYTES_MAX),
        Effect.orDie
      )
      const submission = decodeSubmission(text)
      if (Option.isNone(submission)) return problemResponse(UNREADABLE)
      const way = { carrier: "https", standing: "good" } as const
      return HttpServerResponse.jsonUnsafe(yield* receiveRecords(client, submission.value, way))
    })
  )
)

// Whole batches of sealed results: compiled code reads them in a third of the time.
enable(Submission.ast)
const decodeSubmission = Schema.decodeUnknownOption(Schema.fromJsonString(Submission))

const NOT_JSON = trouble("unsupported-media-type", "Send application/json.")
const UNREADABLE = trouble("bad-request", "The body is not a submission of records.")

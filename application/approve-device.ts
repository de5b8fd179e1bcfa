/**
 * Enrols at central the devices that asked by stick (format §3.3): reads their requests, and, after a
 * person has compared and said yes, writes certificate and root documents beside each.
 *
 * Nobody vouches with a password here: the operator does, who compared eight words by phone.
 */
import { Effect, Option, Result, Schema, Stream } from "effect"
import { canonical } from "../domain/canonical.ts"
import {
  answerNote,
  type Certificate,
  type EnrolmentAnswer,
  type EnrolmentRequest,
  readAnswer,
  readCertificateText,
  type Signed,
  STICK_REQUEST_ID
} from "../domain/enrolment.ts"
import { type DeviceId, type OrganisationId, organisationNode } from "../domain/id.ts"
import { BundleKeys, Medium } from "./bundle-ports.ts"
import { certifyFor } from "./certify.ts"
import { Authority, Catalogue } from "./ports.ts"

/** A request on a stick. `request` is none when it is not signed by the key that it names. */
export interface FoundRequest {
  readonly path: string
  readonly note: Signed
  readonly request: Option.Option<EnrolmentRequest>
  readonly answered: boolean
}

/** There is no request of this path there, or it is not the one that was compared. */
export class RequestChanged extends Schema.TaggedError<RequestChanged>()("RequestChanged", {
  path: Schema.String
}) {}

/** Which organisation is meant is not clear: none was named, or one that central does not have. */
export class OrganisationUnclear extends Schema.TaggedError<OrganisationUnclear>()(
  "OrganisationUnclear",
  { named: Schema.NullOr(Schema.String), known: Schema.Array(Schema.String) }
) {}

/** Of the organisations of a large central so many are named in a refusal. */
const ORGANISATIONS_NAMED = 10

/** The requests on a medium, in the order of their names; answers are no requests. */
export const requestsOn = Effect.fn("requestsOn")(function* (from: string) {
  const authority = yield* Authority
  const medium = yield* Medium
  const notes = yield* medium.notes(from, "enrol")
  const paths = new Set(notes.map(({ path }) => path))
  const found: Array<FoundRequest> = []
  for (const { note, path } of notes) {
    if (isAnswer(note)) continue
    const request = Option.filter(yield* authority.checkRequest(note), ({ requestId }) =>
      STICK_REQUEST_ID.test(requestId)
    )
    const answered = Option.exists(request, ({ requestId }) => paths.has(answerNote(requestId)))
    found.push({ path, note, request, answered })
  }
  return found
})

const isAnswer = ({ text }: Signed): boolean => Option.isSome(readAnswer(text))

/**
 * Certifies one request and writes the answer beside it. `text` is the request that was compared: if
 * there is another in its place now, that fails with RequestChanged. A second time is harmless: the
 * same key is the same device.
 */
export const approve = Effect.fn("approve")(function* (options: {
  readonly from: string
  readonly path: string
  readonly text: string
  readonly organisation: OrganisationId | undefined
}) {
  const { from, organisation, path, text } = options
  const medium = yield* Medium
  const found = (yield* requestsOn(from)).find((one) => one.path === path)
  const request = Option.getOrUndefined(found?.request ?? Option.none())
  if (request === undefined || found?.note.text !== text) return yield* new RequestChanged({ path })
  const { answer, ...approved } = yield* answerRequest(request, { organisation, who: "operator" })
  yield* medium.putNote(from, answer.path, answer.note)
  return approved
})

export interface Approved {
  readonly device: DeviceId
  readonly organisations: ReadonlyArray<OrganisationId>
}

/**
 * Certifies a checked request whose words were compared, and signs the answer: a note that belongs
 * onto the device's stick. Fails with OrganisationUnclear or DeviceBlocked.
 */
export const answerRequest = Effect.fn("answerRequest")(function* (
  request: EnrolmentRequest,
  options: { readonly organisation: OrganisationId | undefined; readonly who: string }
) {
  const keys = yield* BundleKeys
  const { requestId } = request
  const organisation = yield* organisationFor(options.organisation)
  const proved = { who: options.who, organisations: [organisation] }
  const enrolment = yield* certifyFor(request, proved)
  const answer: EnrolmentAnswer = { schema: "testferry/enrolment/1", requestId, ...enrolment }
  const note = yield* keys.sign("enrolment", canonical({ ...answer }))
  const { device, organisations }: Certificate = Result.getOrThrow(
    readCertificateText(enrolment.certificate.text)
  )
  const approved: Approved = { device, organisations }
  return { ...approved, answer: { path: answerNote(requestId), note } }
})

/** The one that is named, if central has it; or the only one that it has. */
const organisationFor = Effect.fnUntraced(function* (named: OrganisationId | undefined) {
  const catalogue = yield* Catalogue
  if (named !== undefined) {
    const node = organisationNode(named)
    if ((yield* catalogue.byIds([node])).has(node)) return named
  }
  const known = yield* knownOrganisations(ORGANISATIONS_NAMED)
  const [only] = known
  return named === undefined && known.length === 1 && only !== undefined
    ? only
    : yield* new OrganisationUnclear({ named: named ?? null, known })
})

/** So many of the organisations that central has. */
export const knownOrganisations = Effect.fn("knownOrganisations")(function* (limit: number) {
  const catalogue = yield* Catalogue
  const found = yield* Stream.runCollect(Stream.take(catalogue.list("organisation"), limit))
  return found.flatMap((record) => (record.kind === "organisation" ? [record.organisation] : []))
})

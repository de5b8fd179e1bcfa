/**
 * Enrols a device that has no network (format §3.3): it leaves a request on a stick, and takes
 * certificate and root documents from the stick when it comes back. Whoever brings the stick could
 * bring another central's answer: a person compares the words that name central.
 */
import { Clock, Effect, Option, Result } from "effect"
import {
  type EnrolmentAnswer,
  readAnswer,
  readCertificateText,
  readRequestText,
  requestNote
} from "../domain/enrolment.ts"
import { Medium, Standing } from "./bundle-ports.ts"
import { happened } from "./happened.ts"
import { CentralInconsistent, DeviceIdentity } from "./ports.ts"

/** Leaves a request on a medium. Answers its exact text: what both sides compare. */
export const askByStick = Effect.fn("askByStick")(function* (name: string, to: string) {
  const identity = yield* DeviceIdentity
  const medium = yield* Medium
  const note = yield* identity.request(name, yield* Clock.currentTimeMillis)
  const { requestId } = Result.getOrThrow(readRequestText(note.text))
  yield* medium.putNote(to, requestNote(requestId), note)
  return { requestId, text: note.text }
})

/**
 * What central answered this device on a medium, unchecked: the newest, if there are several.
 * `isKnown`: it is of the central that this device trusts already, so that nothing is to compare.
 */
export const answerOn = Effect.fn("answerOn")(function* (from: string) {
  const identity = yield* DeviceIdentity
  const medium = yield* Medium
  const standing = yield* Standing
  const own = Result.getOrThrow(readRequestText((yield* identity.request("this device", 0)).text))
  const mine = (yield* medium.notes(from, "enrol")).flatMap(({ note }) => {
    const answer = Option.getOrUndefined(readAnswer(note.text))
    const certificate = answer && readCertificateText(answer.certificate.text)
    if (answer === undefined || certificate === undefined || Result.isFailure(certificate))
      return []
    return certificate.success.sig === own.sig ? [{ answer, certificate: certificate.success }] : []
  })
  const trusted = (yield* standing.chain)[0]?.text
  const newest = mine.sort((a, b) => b.certificate.serial - a.certificate.serial)[0]
  return Option.map(Option.fromUndefinedOr(newest), ({ answer, certificate }) => ({
    answer,
    certificate,
    firstRoot: answer.roots[0]?.text ?? "",
    isKnown: trusted !== undefined && trusted === answer.roots[0]?.text
  }))
})

/**
 * Takes an answer over. `firstRoot` is the root document that a person compared, or that was trusted
 * before. Fails with CentralInconsistent when the answer is another, or can't be trusted.
 */
export const acceptAnswer = Effect.fn("acceptAnswer")(function* (
  { certificate, roots }: EnrolmentAnswer,
  firstRoot: string
) {
  const identity = yield* DeviceIdentity
  if (roots[0]?.text !== firstRoot) {
    return yield* new CentralInconsistent({ what: "another root document than was compared" })
  }
  const membership = yield* identity.accept({ certificate, roots })
  yield* happened({
    verb: "enrol",
    who: "stick",
    device: membership.device,
    reason: membership.organisations.join(", ")
  })
  return membership
})

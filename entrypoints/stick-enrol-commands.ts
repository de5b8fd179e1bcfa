/** Enrolment by stick on a device: the request that goes out, and the answer that comes back. */
import { Effect, Option, Schema } from "effect"
import { acceptAnswer, answerOn, askByStick } from "../application/enrol-by-stick.ts"
import { Refused } from "../application/refused.ts"
import { DeviceId, OrganisationId } from "../domain/id.ts"
import { fingerprintWords } from "../infrastructure/fingerprint.ts"
import { defineCommand, type ServedCommand } from "./command.ts"
import { fromCentral, unwritable } from "./refusals.ts"
import type { DevicePorts } from "./wiring.ts"

export const enrolRequest = defineCommand({
  name: "device enrol request",
  side: "device",
  args: Schema.Struct({ name: Schema.String, to: Schema.String }),
  report: Schema.Struct({ requestId: Schema.String, words: Schema.String }),
  run: ({ name, to }) =>
    askByStick(name, to).pipe(
      Effect.map(({ requestId, text }) => ({
        requestId,
        words: fingerprintWords(Buffer.from(text))
      })),
      Effect.mapError(({ detail, path }) => unwritable(path, detail))
    )
})

export const enrolAnswer = defineCommand({
  name: "device enrol answer",
  side: "device",
  args: Schema.Struct({ from: Schema.String }),
  report: Schema.Struct({
    device: DeviceId,
    organisations: Schema.Array(OrganisationId),
    firstRoot: Schema.String,
    words: Schema.String,
    /** Of the central that this device trusts already. */
    isKnown: Schema.Boolean
  }),
  run: Effect.fn("enrolAnswer")(function* ({ from }) {
    const found = yield* answerFor(from)
    const { certificate, firstRoot, isKnown } = found
    const { device, organisations } = certificate
    const words = fingerprintWords(Buffer.from(firstRoot))
    return { device, organisations, firstRoot, words, isKnown }
  })
})

export const enrolAccept = defineCommand({
  name: "device enrol accept",
  side: "device",
  args: Schema.Struct({ from: Schema.String, firstRoot: Schema.String }),
  report: Schema.Struct({ device: DeviceId, organisations: Schema.Array(OrganisationId) }),
  run: ({ firstRoot, from }) =>
    answerFor(from).pipe(
      Effect.flatMap(({ answer }) => acceptAnswer(answer, firstRoot)),
      Effect.map(({ device, organisations }) => ({ device, organisations })),
      Effect.mapError((error) =>
        error._tag === "Refused" ? error : fromCentral("The device was not enrolled.", error)
      )
    )
})

const answerFor = (from: string) =>
  Effect.flatMap(
    answerOn(from),
    Option.match({
      onNone: () => Effect.fail(noAnswer(from)),
      onSome: (found) => Effect.succeed(found)
    })
  )

const noAnswer = (from: string) =>
  new Refused({
    code: "E_NO_ANSWER",
    what: "The device was not enrolled.",
    why: `There is no answer for this device in ${from}.`,
    todo:
      "Check that it is the right stick. If the office has not approved the request yet, send it: " +
      '"testferry device enrol --request DIR".'
  })

/** All of them, as the control socket serves them. */
export const stickEnrolCommands: ReadonlyArray<ServedCommand<DevicePorts>> = [
  enrolRequest,
  enrolAnswer,
  enrolAccept
]

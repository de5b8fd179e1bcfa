/** What a person does at a device to enrol it by stick: leave a request, and take the answer. */
import path from "node:path"
import { Effect } from "effect"
import { Refused } from "../application/refused.ts"
import { atDevice } from "./at-device.ts"
import { answer } from "./cli-run.ts"
import { confirm } from "./terminal-prompt.ts"

const load = Effect.promise(() => import("./stick-enrol-commands.ts"))

/** Writes a request, and shows the words by which the office will know that it is this one. */
export const requestByStick = Effect.fnUntraced(function* (name: string, folder: string) {
  const { enrolRequest } = yield* load
  yield* answer({
    run: atDevice(enrolRequest, { name, to: path.resolve(folder) }),
    encode: enrolRequest.encodeReport,
    show: ({ words }) =>
      [
        `The request is on the stick. Its words are:\n\n  ${words}\n`,
        "Take the stick to the office. Before they approve they call you: read these words out.",
        `Then, with the stick back here: testferry device enrol --certificate ${folder}`
      ].join("\n")
  })
})

/** Takes the answer, once a person has compared the words that name central. */
export const acceptByStick = Effect.fnUntraced(function* (folder: string, yes: boolean) {
  const { enrolAccept, enrolAnswer } = yield* load
  const from = path.resolve(folder)
  yield* answer({
    run: Effect.gen(function* () {
      const found = yield* atDevice(enrolAnswer, { from })
      const agreed =
        yes ||
        found.isKnown ||
        (yield* confirm({
          message: `Central is: ${found.words}. Are these the words that the office told you?`,
          flag: "--yes (after you have compared central's words, which a first try with a terminal shows)"
        }))
      if (!agreed) return yield* notConfirmed
      return yield* atDevice(enrolAccept, { from, firstRoot: found.firstRoot })
    }),
    encode: enrolAccept.encodeReport,
    show: ({ device, organisations }) =>
      `Enrolled as ${device} for ${organisations.join(", ")}.\n` +
      `Next: testferry bundle import ${folder}`
  })
})

const notConfirmed = Effect.fail(
  new Refused({
    code: "E_NOT_CONFIRMED",
    what: "The device was not enrolled.",
    why: "The words were not confirmed.",
    todo: "Ask the office for central's words (testferry central root show). If they differ, do not go on."
  })
)

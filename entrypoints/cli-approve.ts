/** What the office does with a stick on which devices ask to be enrolled: compare words, approve. */
import path from "node:path"
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Refused } from "../application/refused.ts"
import { OrganisationId } from "../domain/id.ts"
import type * as ApproveCommands from "./approve-commands.ts"
import { atCentral } from "./at-central.ts"
import { answer } from "./cli-run.ts"
import { table } from "./terminal.ts"
import { confirm } from "./terminal-prompt.ts"

const load = Effect.promise(() => import("./approve-commands.ts"))

type Approved = Effect.Success<ReturnType<(typeof ApproveCommands)["devicesApprove"]["run"]>>

export const approveCommand = Command.make(
  "approve",
  {
    stick: Argument.String("stick").pipe(
      Argument.withDescription("The stick's folder, or one request file on it (enrol/….json)")
    ),
    organisation: Flag.String("organisation").pipe(
      Flag.withSchema(OrganisationId),
      Flag.optional,
      Flag.withDescription("To which the device shall belong; not needed where there is only one")
    ),
    waiting: Flag.Boolean("waiting").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Those that wait at central; the answers go to the stick")
    ),
    yes: Flag.Boolean("yes").pipe(
      Flag.withDefault(false),
      Flag.withDescription("You have compared the words of every request")
    )
  },
  Effect.fnUntraced(function* ({ stick, waiting, yes, ...flags }) {
    const { devicesApprove } = yield* load
    const organisation = Option.getOrNull(flags.organisation)
    const place = path.resolve(stick)
    yield* answer({
      run: Effect.gen(function* () {
        const asked = yield* (waiting ? atOffice : onStick)(place, { organisation, yes })
        if (asked.length === 0) return yield* nobodyAsks(place, waiting)
        const approved = (yield* Effect.all(asked)).flat()
        const isLeft = approved.length < asked.length || approved.some(({ bundle }) => bundle)
        return { approved, ...(isLeft ? { exit: 3 as const } : {}) }
      }),
      encode: ({ approved }) =>
        Effect.map(Effect.forEach(approved, devicesApprove.encodeReport), (all) => ({
          approved: all
        })),
      show: ({ approved }) =>
        approved.length === 0 ? "Nothing was approved." : approved.map(approvedText).join("\n")
    })
  })
).pipe(Command.withDescription("Enrol devices that ask on a stick, after comparing their words"))

interface Given {
  readonly organisation: OrganisationId | null
  /** The words were compared before. */
  readonly yes: boolean
}

/** Approves one request, once somebody has compared its words. */
const compared = Effect.fnUntraced(function* <E, R>(
  { name, words }: { readonly name: string; readonly words: string },
  yes: boolean,
  approve: Effect.Effect<Approved, E, R>
) {
  const agreed =
    yes ||
    (yield* confirm({
      message: `"${name}" asks, with the words: ${words}. Does the device show the same?`,
      flag: "--yes (after you have compared the words)"
    }))
  return agreed ? [yield* approve] : []
})

const onStick = Effect.fnUntraced(function* (place: string, { organisation, yes }: Given) {
  const { devicesApprove, devicesRequests, tampered } = yield* load
  const { file, from } = placeOf(place)
  const { requests } = yield* atCentral(devicesRequests, { from })
  const asked = requests.filter((one) =>
    file === undefined ? !one.answered : path.basename(one.path) === file
  )
  return asked.map(({ name, path, text, words }) =>
    name === null
      ? Effect.fail(tampered(path))
      : compared(
          { name, words },
          yes,
          atCentral(devicesApprove, { from, path, text, organisation })
        )
  )
})

const atOffice = Effect.fnUntraced(function* (to: string, { organisation, yes }: Given) {
  const { devicesApproveWaiting, devicesWaiting } = yield* load
  const { waiting } = yield* atCentral(devicesWaiting, {})
  return waiting.map(({ id, name, words }) =>
    compared({ name, words }, yes, atCentral(devicesApproveWaiting, { id, to, organisation }))
  )
})

/** Who names a request file means that one: it lies in a folder of the stick. */
const placeOf = (given: string) =>
  given.endsWith(".json")
    ? { file: path.basename(given), from: path.dirname(path.dirname(given)) }
    : { file: undefined, from: given }

const approvedText = ({ bundle, device, organisations }: Approved): string =>
  [
    `${device} is enrolled for ${organisations.join(", ")}; the answer is on the stick.`,
    bundle === null
      ? "Its first bundle is on the stick too."
      : `${bundle.what} ${bundle.why} ${bundle.todo}`,
    "At the school, let them compare central's words (testferry central root show) on the phone."
  ].join("\n")

export const requestsCommand = Command.make(
  "requests",
  {
    from: Flag.String("from").pipe(
      Flag.optional,
      Flag.withDescription("Those on a stick; otherwise those that wait at central")
    )
  },
  Effect.fnUntraced(function* ({ from }) {
    const { devicesRequests, devicesWaiting } = yield* load
    if (Option.isSome(from)) {
      return yield* answer({
        run: atCentral(devicesRequests, { from: path.resolve(from.value) }),
        encode: devicesRequests.encodeReport,
        show: ({ requests }) =>
          table(
            ["REQUEST", "NAME", "WORDS", ""],
            requests.map(({ answered, name, path, words }) => [
              path,
              name ?? "(not signed by its own key)",
              words,
              answered ? "answered" : ""
            ])
          )
      })
    }
    yield* answer({
      run: atCentral(devicesWaiting, {}),
      encode: devicesWaiting.encodeReport,
      show: ({ waiting }) =>
        table(
          ["NAME", "WORDS", "ASKED", "BROUGHT", "BY"],
          waiting.map(({ by, cameAt, createdAt, name, words }) => [
            name,
            words,
            new Date(createdAt).toISOString(),
            new Date(cameAt).toISOString(),
            by
          ])
        )
    })
  })
).pipe(Command.withDescription("List devices that ask by stick, with their eight words"))

const nobodyAsks = (place: string, waiting: boolean) =>
  Effect.fail(
    new Refused({
      code: "E_NO_REQUEST",
      what: "No device was approved.",
      why: waiting
        ? "No request waits at central."
        : `There is no request in ${place} that was not answered yet.`,
      todo: waiting
        ? "Bring requests at /office. For those on a stick, leave --waiting out."
        : 'Name the folder that holds TESTFERRY. At the device: "testferry device enrol --request DIR".'
    })
  )

/** Enrolment by stick at central: what asks on a stick, and the approval of one request. */
import { Effect, Option, Schema } from "effect"
import {
  type Approved as Approval,
  approve,
  type OrganisationUnclear,
  requestsOn
} from "../application/approve-device.ts"
import { type MediaFailed, Medium } from "../application/bundle-ports.ts"
import type { DeviceBlocked } from "../application/certify.ts"
import { rootInForce } from "../application/change-root.ts"
import { exportToDevice } from "../application/export-bundle.ts"
import { Refused } from "../application/refused.ts"
import { CUT_DEFAULTS } from "../application/send-bundle.ts"
import { approveWaiting, waitingDevices } from "../application/waiting-devices.ts"
import { DeviceId, Digest, OrganisationId } from "../domain/id.ts"
import { fingerprintWords } from "../infrastructure/fingerprint.ts"
import { fromBundle } from "./bundle-refusals.ts"
import { defineCommand, ItemsLeft, type ServedCommand } from "./command.ts"
import { fromNoSpace, unwritable } from "./refusals.ts"
import { fromNoRoot } from "./root-commands.ts"
import type { CentralPorts } from "./wiring.ts"

/** Words of a request: what its device shows, and what is compared by phone. */
export const wordsOf = (text: string): string => fingerprintWords(Buffer.from(text))

const Request = Schema.Struct({
  path: Schema.String,
  /** Null when the request is not signed by the key that it names. */
  name: Schema.NullOr(Schema.String),
  text: Schema.String,
  words: Schema.String,
  answered: Schema.Boolean
})

export const devicesRequests = defineCommand({
  name: "central devices requests",
  side: "central",
  args: Schema.Struct({ from: Schema.String }),
  report: Schema.Struct({ requests: Schema.Array(Request) }),
  run: Effect.fn("devicesRequests")(function* ({ from }) {
    const found = yield* requestsOn(from)
    return {
      requests: found.map(({ answered, note: { text }, path, request }) => ({
        path,
        name: Option.getOrNull(Option.map(request, ({ name }) => name)),
        text,
        words: wordsOf(text),
        answered
      }))
    }
  })
})

const Waiting = Schema.Struct({
  id: Digest,
  name: Schema.String,
  words: Schema.String,
  createdAt: Schema.Int,
  cameAt: Schema.Int,
  by: Schema.String
})

/** Those that were brought at the office's page. */
export const devicesWaiting = defineCommand({
  name: "central devices waiting",
  side: "central",
  args: Schema.Struct({}),
  report: Schema.Struct({ waiting: Schema.Array(Waiting) }),
  run: Effect.fn("devicesWaiting")(function* () {
    const { waiting } = yield* waitingDevices()
    return {
      waiting: waiting.map(({ by, cameAt, id, note, request: { createdAt, name } }) => ({
        id,
        name,
        words: wordsOf(note.text),
        createdAt,
        cameAt,
        by
      }))
    }
  })
})

const Approved = Schema.Struct({
  device: DeviceId,
  organisations: Schema.Array(OrganisationId),
  /** Why the first bundle is not on the stick, though the device is approved. */
  bundle: Schema.NullOr(Refused),
  exit: ItemsLeft
})

/** The same as `devicesApprove`, of a request that waits here; the answer goes to any stick. */
export const devicesApproveWaiting = defineCommand({
  name: "central devices approve waiting",
  side: "central",
  args: Schema.Struct({
    id: Digest,
    to: Schema.String,
    organisation: Schema.NullOr(OrganisationId)
  }),
  report: Approved,
  run: Effect.fn("devicesApproveWaiting")(function* ({ id, organisation, to }) {
    const medium = yield* Medium
    yield* Effect.mapError(rootInForce, fromNoRoot)
    const { device, organisations } = yield* approveWaiting(id, {
      organisation: organisation ?? undefined,
      who: "operator",
      deliver: ({ note, path }) => medium.putNote(to, path, note)
    }).pipe(
      Effect.catchTags({
        NoSuchRequest: () => Effect.fail(notWaiting),
        AlreadyDecided: () => Effect.fail(notWaiting),
        ...COMMON
      })
    )
    return yield* withBundle({ device, organisations }, to)
  })
})

export const devicesApprove = defineCommand({
  name: "central devices approve",
  side: "central",
  args: Schema.Struct({
    from: Schema.String,
    path: Schema.String,
    text: Schema.String,
    organisation: Schema.NullOr(OrganisationId)
  }),
  report: Approved,
  run: Effect.fn("devicesApprove")(function* ({ organisation, ...args }) {
    yield* Effect.mapError(rootInForce, fromNoRoot)
    const { device, organisations } = yield* approve({
      ...args,
      organisation: organisation ?? undefined
    }).pipe(
      Effect.catchTags({
        RequestChanged: ({ path }) => Effect.fail(tampered(path)),
        ...COMMON
      })
    )
    return yield* withBundle({ device, organisations }, args.from)
  })
})

/** What both approvals may fail with. */
const COMMON = {
  OrganisationUnclear: (error: OrganisationUnclear) => Effect.fail(unclear(error)),
  DeviceBlocked: ({ device }: DeviceBlocked) => Effect.fail(blocked(device)),
  MediaFailed: ({ detail, path }: MediaFailed) => Effect.fail(unwritable(path, detail))
}

const withBundle = Effect.fnUntraced(function* (approved: Approval, to: string) {
  const bundle = yield* firstBundle(approved.device, to)
  return { ...approved, bundle, ...(bundle === null ? {} : { exit: 3 as const }) }
})

/** The device is approved whatever becomes of the bundle: it can follow with the next stick. */
const firstBundle = (device: DeviceId, to: string) =>
  exportToDevice(device, { ...CUT_DEFAULTS, to, full: true, dryRun: false }).pipe(
    Effect.as(null),
    Effect.catchTags({
      BundleRefused: (error) => Effect.succeed(fromBundle(NO_BUNDLE, error)),
      NoSpace: (error) => Effect.succeed(fromNoSpace(error)),
      MediaFailed: ({ detail, path }) => Effect.succeed(unwritable(path, detail)),
      ExportOvertaken: () =>
        Effect.succeed(
          new Refused({
            code: "E_EXPORT_OVERTAKEN",
            what: NO_BUNDLE,
            why: "Another bundle for this device was made at the same moment.",
            todo: "Export to this device again."
          })
        )
    })
  )

const NO_BUNDLE = "The device is approved, but its first bundle was not written."

const notWaiting = new Refused({
  code: "E_NO_REQUEST",
  what: "The device was not approved.",
  why: "Its request does not wait any more: somebody at the office has decided about it.",
  todo: "See /office, or bring the request again."
})

export const tampered = (path: string) =>
  new Refused({
    code: "E_ENROL_POP",
    what: "The device was not approved.",
    why: `${path} is not signed by the key that it names, or is not what was compared.`,
    todo: 'Have the request made anew ("testferry device enrol --request DIR"), and compare again.'
  })

const unclear = ({ known, named }: OrganisationUnclear) =>
  new Refused({
    code: "E_ORGANISATION",
    what: "The device was not approved.",
    why:
      named === null
        ? "It is not said to which organisation it belongs."
        : `Central has no organisation "${named}".`,
    todo:
      known.length === 0
        ? "Import people or test centers of an organisation first."
        : `Give --organisation, for instance ${known.join(", ")}.`
  })

const blocked = (device: string) =>
  new Refused({
    code: "E_DEVICE_BLOCKED",
    what: "The device was not approved.",
    why: `It is ${device}, which was blocked or revoked here.`,
    todo: `Run "testferry central devices unblock ${device}" if it may come back. Revoked is for good.`
  })

/** All of them, as the control socket serves them. */
export const approveCommands: ReadonlyArray<ServedCommand<CentralPorts>> = [
  devicesRequests,
  devicesWaiting,
  devicesApprove,
  devicesApproveWaiting
]

/** Enrolment by stick at central: what asks on a stick, and the approval of one request. */
import { Effect, Option, Schema } from "effect"
import { approve, type OrganisationUnclear, requestsOn } from "../application/approve-device.ts"
import { rootInForce } from "../application/change-root.ts"
import { exportToDevice } from "../application/export-bundle.ts"
import { Refused } from "../application/refused.ts"
import { CUT_DEFAULTS } from "../application/send-bundle.ts"
import { DeviceId, OrganisationId } from "../domain/id.ts"
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

export const devicesApprove = defineCommand({
  name: "central devices approve",
  side: "central",
  args: Schema.Struct({
    from: Schema.String,
    path: Schema.String,
    text: Schema.String,
    organisation: Schema.NullOr(OrganisationId)
  }),
  report: Schema.Struct({
    device: DeviceId,
    organisations: Schema.Array(OrganisationId),
    /** Why the first bundle is not on the stick, though the device is approved. */
    bundle: Schema.NullOr(Refused),
    exit: ItemsLeft
  }),
  run: Effect.fn("devicesApprove")(function* ({ organisation, ...args }) {
    yield* Effect.mapError(rootInForce, fromNoRoot)
    const { device, organisations } = yield* approve({
      ...args,
      organisation: organisation ?? undefined
    }).pipe(
      Effect.catchTags({
        RequestChanged: ({ path }) => Effect.fail(tampered(path)),
        OrganisationUnclear: (error) => Effect.fail(unclear(error)),
        DeviceBlocked: ({ device }) => Effect.fail(blocked(device)),
        MediaFailed: ({ detail, path }) => Effect.fail(unwritable(path, detail))
      })
    )
    const bundle = yield* firstBundle(device, args.from)
    return { device, organisations, bundle, ...(bundle === null ? {} : { exit: 3 as const }) }
  })
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
  devicesApprove
]

/** Sets up a device in a data directory, and settles whom it trusts as central. */
import { Effect, Option, Schema } from "effect"
import { DeviceIdentity } from "../application/ports.ts"
import { Refused } from "../application/refused.ts"
import { peerCertificate } from "../infrastructure/tls-peer.ts"
import { busy } from "./central-init.ts"
import { DEVICE_DEFAULTS, type DeviceSettings, readDevice, sideOf, write } from "./settings.ts"
import { readSetup } from "./setup-file.ts"
import { confirm } from "./terminal-prompt.ts"
import { acquire, layerDevice } from "./wiring.ts"

export const DeviceInitReport = Schema.Struct({
  directory: Schema.String,
  rootUrl: Schema.String,
  name: Schema.String,
  created: Schema.Boolean
})
export type DeviceInitReport = typeof DeviceInitReport.Type

export const initDevice = Effect.fn("initDevice")(function* (options: {
  readonly directory: string
  readonly setup: Option.Option<string>
  readonly rootUrl: Option.Option<string>
  readonly name: Option.Option<string>
}) {
  const { directory } = options
  const side = sideOf(directory)
  if (side === "central") {
    return yield* refuse(
      "E_OTHER_SIDE",
      `${directory} belongs to a central.`,
      "Set up the device in another folder, with --data."
    )
  }
  yield* Effect.mapError(acquire(directory), () => busy(directory))
  const setup = yield* readSetup(options.setup)
  const before = side === undefined ? DEVICE_DEFAULTS : yield* readDevice(directory)
  const asked = Option.getOrUndefined(options.rootUrl) ?? setup.rootUrl ?? before.rootUrl
  const rootUrl = asked.replace(/\/+$/u, "")
  if (!URL.canParse(rootUrl) || !/^https?:/u.test(rootUrl)) {
    return yield* refuse(
      "E_URL",
      rootUrl === "" ? "Central's address is missing." : `"${rootUrl}" is not a web address.`,
      "Give it with --root-url https://…"
    )
  }
  const settings: DeviceSettings = {
    ...before,
    rootUrl,
    name: Option.getOrUndefined(options.name) ?? setup.name ?? before.name,
    language: setup.language ?? before.language,
    timeZone: setup.timeZone ?? before.timeZone,
    engine: setup.engine ?? before.engine,
    ...(setup.stickFolders === undefined ? {} : { stickFolders: setup.stickFolders }),
    ...setup.sending
  }
  yield* write(directory, settings)
  // Makes the keys and the database, so that whatever is wrong with the disk shows now.
  yield* Effect.asVoid(DeviceIdentity).pipe(Effect.provide(layerDevice(directory, settings)))
  return { directory, rootUrl, name: settings.name, created: side === undefined }
}, Effect.scoped)

/**
 * Settles whom the device trusts as central, before the first secret is sent: the system's
 * authorities where they vouch, else the certificate with the fingerprint that a person confirms.
 */
export const settleTrust = Effect.fn("settleTrust")(function* (
  directory: string,
  given: Option.Option<string>
) {
  const settings = yield* readDevice(directory)
  const url = new URL(settings.rootUrl)
  if (url.protocol === "http:") {
    return loopback(url.hostname)
      ? undefined
      : yield* refuse(
          "E_INSECURE",
          `${settings.rootUrl} is not encrypted, and the password would travel in the clear.`,
          "Use central's https address."
        )
  }
  if (settings.fingerprint !== null && Option.isNone(given)) return settings.fingerprint
  const peer = yield* Effect.mapError(
    peerCertificate(url),
    ({ detail }) =>
      new Refused({
        code: "E_CENTRAL_UNREACHABLE",
        what: "The device was not enrolled.",
        why: `Central can't be reached at ${settings.rootUrl} (${detail}).`,
        todo: "Check the network and central's address, then try again."
      })
  )
  if (peer.vouched && Option.isNone(given)) return undefined
  const expected = Option.map(given, normalised)
  if (Option.isSome(expected) && expected.value !== normalised(peer.fingerprint)) {
    return yield* refuse(
      "E_FINGERPRINT",
      `Central shows the certificate ${peer.fingerprint}, not the one you named.`,
      "Do not go on. Ask the office which fingerprint is right, on another way than this network."
    )
  }
  const agreed =
    Option.isSome(expected) ||
    (yield* confirm({
      message: `Central's certificate is ${peer.fingerprint}. Is that what the office told you?`,
      flag: "--fingerprint (ask the office for central's certificate fingerprint)"
    }))
  if (!agreed) {
    return yield* refuse("E_FINGERPRINT", "The certificate was not confirmed.", "Ask the office.")
  }
  yield* write(directory, { ...settings, fingerprint: peer.fingerprint })
  return peer.fingerprint
})

const normalised = (fingerprint: string): string =>
  fingerprint.replace(/[^0-9a-f]/giu, "").toLowerCase()

const loopback = (host: string): boolean =>
  ["localhost", "127.0.0.1", "[::1]"].includes(host.toLowerCase())

const refuse = (code: string, why: string, todo: string) =>
  Effect.fail(new Refused({ code, what: "The device was not set up.", why, todo }))

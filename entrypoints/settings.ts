/**
 * Reads and writes the settings of an installation: `central.json` or `device.json` in the data
 * directory, made by `init`. Which of the two is there says what the directory belongs to.
 */
import fs from "node:fs"
import path from "node:path"
import { Effect, Schema } from "effect"
import type { SendingRules } from "../application/record-ports.ts"
import { Refused } from "../application/refused.ts"
import { COST_DEFAULT, Cost } from "../domain/cost.ts"
import { CLIENT_NAME_MAX, PublicKey } from "../domain/enrolment.ts"
import { Text } from "../domain/id.ts"
import { EndStage, SENT_BY_DEFAULT } from "../domain/lifecycle.ts"
import { BATCH_RECORDS_MAX } from "../domain/result.ts"

export const CentralSettings = Schema.Struct({
  side: Schema.Literal("central"),
  name: Schema.String,
  /** Central's public address: devices know it by this name, without a slash at the end. */
  url: Schema.String,
  language: Schema.String,
  timeZone: Schema.String,
  /** "embedded", or the URL of a PostgreSQL database. */
  database: Schema.String,
  engine: Schema.Literals(["sqljs", "node"]),
  passwordCost: Cost,
  /** Who signs the root documents, where these keys are not on central's disk. */
  rootHolders: Schema.optionalKey(
    Schema.Struct({
      keys: Schema.Array(Schema.Struct({ id: Schema.String, raw: PublicKey })),
      threshold: Schema.Int
    })
  )
})
export type CentralSettings = typeof CentralSettings.Type

/** How results are sent, by TAO's names; devices that were set up before these came have none. */
export const SENDING_SETTINGS = {
  chunkSize: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: BATCH_RECORDS_MAX }))
  ),
  statusExecutionsToSync: Schema.optionalKey(Schema.Array(EndStage)),
  deleteAfterSend: Schema.optionalKey(Schema.Boolean)
}

export const DeviceSettings = Schema.Struct({
  side: Schema.Literal("device"),
  name: Text(CLIENT_NAME_MAX),
  rootUrl: Schema.String,
  language: Schema.String,
  timeZone: Schema.String,
  engine: Schema.Literals(["sqljs", "node"]),
  /** SHA-256 of central's certificate, pinned at enrolment; null: whom the system trusts. */
  fingerprint: Schema.NullOr(Schema.String),
  /** Folders that the page offers beside what is plugged in: they stand for sticks. */
  stickFolders: Schema.optionalKey(Schema.Array(Schema.String)),
  ...SENDING_SETTINGS
})
export type DeviceSettings = typeof DeviceSettings.Type

export const CENTRAL_DEFAULTS: CentralSettings = {
  side: "central",
  name: "Testferry central",
  url: "https://localhost:8443",
  language: "en-US",
  timeZone: "UTC",
  database: "embedded",
  engine: "sqljs",
  passwordCost: COST_DEFAULT
}

export const DEVICE_DEFAULTS: DeviceSettings = {
  side: "device",
  name: "Testferry device",
  rootUrl: "",
  language: "en-US",
  timeZone: "UTC",
  engine: "sqljs",
  fingerprint: null
}

/** TAO's defaults, but for the ends: it forgets two of them. */
export const sendingRules = (settings: DeviceSettings): SendingRules => ({
  chunkSize: settings.chunkSize ?? 10,
  statusExecutionsToSync: settings.statusExecutionsToSync ?? SENT_BY_DEFAULT,
  deleteAfterSend: settings.deleteAfterSend ?? false
})

const file = (directory: string, side: "central" | "device") => path.join(directory, `${side}.json`)

/** What a data directory belongs to; undefined when nothing was set up in it. */
export const sideOf = (directory: string): "central" | "device" | undefined => {
  if (fs.existsSync(file(directory, "central"))) return "central"
  return fs.existsSync(file(directory, "device")) ? "device" : undefined
}

export const readCentral = (directory: string) => read(directory, "central", CentralSettings)
export const readDevice = (directory: string) => read(directory, "device", DeviceSettings)

const read = <A, I>(
  directory: string,
  side: "central" | "device",
  schema: Schema.Codec<A, I>
): Effect.Effect<A, Refused> =>
  Effect.gen(function* () {
    if (!fs.existsSync(file(directory, side))) return yield* notSetUp(directory, side)
    const text = yield* Effect.sync(() => fs.readFileSync(file(directory, side), "utf8"))
    return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(schema), {
      onExcessProperty: "error"
    })(text).pipe(Effect.mapError((error) => unreadable(file(directory, side), error.message)))
  })

const notSetUp = (directory: string, side: "central" | "device") => {
  const other = sideOf(directory)
  return new Refused({
    code: "E_NOT_SET_UP",
    what: "The command was not run.",
    why:
      other === undefined
        ? `There is no ${side} in ${directory}.`
        : `${directory} belongs to a ${other}, not to a ${side}.`,
    todo: `Name the right folder with --data, or set one up with "testferry ${side} init".`
  })
}

const unreadable = (name: string, why: string) =>
  new Refused({
    code: "E_SETTINGS",
    what: "The command was not run.",
    why: `${name} can't be understood: ${why}`,
    todo: "Correct the file, or restore it from a backup."
  })

/** Writes settings so that either the old or the new ones are there after whatever happens. */
export const write = (directory: string, settings: CentralSettings | DeviceSettings) =>
  Effect.sync(() => {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    const target = file(directory, settings.side)
    const aside = `${target}.partial`
    const fd = fs.openSync(aside, "w", 0o600)
    fs.writeSync(fd, `${JSON.stringify(settings, null, 2)}\n`)
    fs.fsyncSync(fd)
    fs.closeSync(fd)
    fs.renameSync(aside, target)
  })

/** Keeps in SQL what central last heard of each device, and what of theirs it put aside. */
import { Effect, Layer, Option, Schema } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"
import { Devices } from "../application/bundle-ports.ts"
import { BundleCode } from "../domain/bundle-refusal.ts"
import { canonical } from "../domain/canonical.ts"
import { DeviceReport } from "../domain/device-report.ts"
import { Digest } from "../domain/id.ts"

const QuarantineRow = Schema.Struct({
  manifest: Digest,
  device: Schema.String,
  at_ms: Schema.Int,
  code: BundleCode,
  detail: Schema.String,
  files: Schema.fromJsonString(Schema.Record(Schema.String, Digest)),
  released_ms: Schema.NullOr(Schema.Int),
  released_reason: Schema.NullOr(Schema.String)
})

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const reports = SqlSchema.findAll({
    Request: Schema.String,
    Result: Schema.Struct({ report: Schema.fromJsonString(DeviceReport) }),
    execute: (device) => sql`SELECT report FROM device_reports WHERE device = ${device}`
  })
  const quarantine = SqlSchema.findAll({
    Request: Schema.Void,
    Result: QuarantineRow,
    execute: () => sql`
      SELECT manifest, device, at_ms, code, detail, files, released_ms, released_reason
      FROM quarantine
      ORDER BY at_ms, manifest`
  })
  return Devices.of({
    report: (device) =>
      Effect.orDie(Effect.map(reports(device), ([row]) => Option.fromUndefinedOr(row?.report))),
    putReport: (report) =>
      Effect.orDie(
        Effect.asVoid(sql`
          INSERT INTO device_reports (device, report)
          VALUES (${report.device}, ${canonical({ ...report })})
          ON CONFLICT (device) DO UPDATE SET report = excluded.report`)
      ),
    forgetReport: (device) =>
      Effect.orDie(Effect.asVoid(sql`DELETE FROM device_reports WHERE device = ${device}`)),
    quarantine: ({ at, code, detail, device, files, manifest }) =>
      Effect.orDie(
        Effect.asVoid(sql`
          INSERT INTO quarantine (manifest, device, at_ms, code, detail, files)
          VALUES (${manifest}, ${device}, ${at}, ${code}, ${detail},
            ${canonical(Object.fromEntries(files))})
          ON CONFLICT (manifest) DO NOTHING`)
      ),
    quarantined: Effect.orDie(
      Effect.map(quarantine(undefined), (rows) =>
        rows.map(({ at_ms, files, released_ms, released_reason, ...rest }) => ({
          ...rest,
          at: at_ms,
          files: new Map(Object.entries(files)),
          released: released_ms === null ? null : { at: released_ms, reason: released_reason ?? "" }
        }))
      )
    ),
    noteReleased: (manifest, at, reason) =>
      Effect.orDie(
        Effect.asVoid(sql`
          UPDATE quarantine SET released_ms = ${at}, released_reason = ${reason}
          WHERE manifest = ${manifest}`)
      )
  })
})

export const layer = Layer.effect(Devices, make)

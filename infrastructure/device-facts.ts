/** Tells what a device says of itself: the room on its disk, and a number for each of its reports. */
import { statfs } from "node:fs/promises"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { DeviceFacts } from "../application/bundle-ports.ts"
import { changeSetting, setting } from "./sql-settings.ts"

const SERIAL = "report.serial"

export const layer = (directory: string) =>
  Layer.effect(
    DeviceFacts,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return DeviceFacts.of({
        disk: Effect.promise(async () => {
          const { bavail, blocks, bsize } = await statfs(directory)
          return { free: bavail * bsize, total: blocks * bsize }
        }),
        nextSerial: Effect.fn("DeviceFacts.nextSerial")(
          function* (now) {
            const last = Number((yield* setting(sql, SERIAL)) ?? 0)
            const next = Math.max(last + 1, now)
            yield* changeSetting(sql, SERIAL, String(next))
            return next
          },
          sql.withTransaction,
          Effect.orDie
        )
      })
    })
  )

/**
 * Writes the passwords that central made to a file for its operator, readable for nobody else.
 *
 * Lines are durable before the keys that they open are kept, so an interrupted import can leave a
 * line whose key was never kept; the import that goes on adds another, and `finish` leaves the last
 * line of each login.
 */
import fs from "node:fs"
import { parse } from "csv-parse/sync"
import { Effect, Schema } from "effect"
import type { PasswordSheet } from "../application/import-people.ts"

/** The sheet can't be written, or others may read it. */
export class SheetRefused extends Schema.TaggedError<SheetRefused>()("SheetRefused", {
  file: Schema.String,
  reason: Schema.Literals(["open-to-others", "not-a-sheet", "unwritable"])
}) {}

const HEADER = "login,password\n"

export const openSheet = Effect.fn("openSheet")(function* (file: string) {
  yield* Effect.try({
    try: () => {
      if (fs.existsSync(file)) return
      const fd = fs.openSync(file, "wx", 0o600)
      fs.writeSync(fd, HEADER)
      fs.fsyncSync(fd)
      fs.closeSync(fd)
    },
    catch: () => new SheetRefused({ file, reason: "unwritable" })
  })
  const { mode, isFile } = yield* Effect.sync(() => {
    const stat = fs.lstatSync(file)
    return { mode: stat.mode, isFile: stat.isFile() }
  })
  if (!isFile || !fs.readFileSync(file, "utf8").startsWith(HEADER)) {
    return yield* new SheetRefused({ file, reason: "not-a-sheet" })
  }
  if ((mode & 0o077) !== 0) return yield* new SheetRefused({ file, reason: "open-to-others" })
  const sheet: PasswordSheet = {
    append: (lines) =>
      Effect.sync(() => {
        const fd = fs.openSync(file, "a")
        fs.writeSync(fd, lines.map(({ login, password }) => line(login, password)).join(""))
        fs.fsyncSync(fd)
        fs.closeSync(fd)
      }),
    finish: Effect.sync(() => {
      const last = new Map<string, string>()
      for (const [login, password] of records(file)) last.set(login ?? "", password ?? "")
      const aside = `${file}.partial`
      const fd = fs.openSync(aside, "w", 0o600)
      fs.writeSync(
        fd,
        HEADER + [...last].map(([login, password]) => line(login, password)).join("")
      )
      fs.fsyncSync(fd)
      fs.closeSync(fd)
      fs.renameSync(aside, file)
    })
  }
  return sheet
})

const records = (file: string): ReadonlyArray<ReadonlyArray<string>> =>
  parse(fs.readFileSync(file), { from_line: 2 })

const line = (login: string, password: string) => `${quoted(login)},${quoted(password)}\n`

const quoted = (text: string) => (/[",\r\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

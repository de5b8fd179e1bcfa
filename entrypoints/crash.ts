/**
 * Turns what nobody expected into a refusal that a person can act on.
 *
 * A full disk or a forbidden folder is told as such. Everything else is a fault of the program: the
 * whole trace goes to `<data>/crash.log`, and the person gets a short code that stands for it,
 * never a stack (design §9).
 */
import { createHash } from "node:crypto"
import { appendFileSync, mkdtempSync, renameSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Cause, DateTime, Effect, Predicate } from "effect"
import { Refused } from "../application/refused.ts"

/** A crash log may not fill the disk: beyond this it is set aside as crash.log.old. */
const CRASH_LOG_BYTES_MAX = 1_000_000
/** Causes are nested a few deep; a cycle must end. */
const CAUSE_DEPTH_MAX = 8

/** Explains a cause that is not a refusal, after writing the trace of a fault to the crash log. */
export const crashRefusal = Effect.fnUntraced(function* (
  cause: Cause.Cause<unknown>,
  directory: string,
  version: string
) {
  const trouble = machineTrouble(Cause.squash(cause))
  if (trouble !== undefined) return trouble
  const at = DateTime.formatIso(yield* DateTime.now)
  const code = supportCode(cause)
  const header = `--- ${at} testferry ${version} node ${process.version} ${process.platform} ${code}`
  const file = yield* Effect.sync(() =>
    writeCrash(directory, `${header}\n${Cause.pretty(cause)}\n\n`)
  )
  return new Refused({
    code: "E_UNEXPECTED",
    what: `Something went wrong inside testferry (support code ${code}).`,
    why: "This is a fault of the program, not yours.",
    todo:
      file === undefined
        ? "Run the command again. If it happens again, tell your support the code."
        : `Run the command again. If it happens again, send your support the code and ${file}.`
  })
})

/**
 * Derives eight characters from where the program failed: the same fault has the same code on
 * every machine, whatever the message says and wherever the program is installed.
 */
export const supportCode = (cause: Cause.Cause<unknown>): string => {
  const defect = Cause.squash(cause)
  const text = defect instanceof Error ? (defect.stack ?? defect.name) : Cause.pretty(cause)
  const frames = text
    .split("\n")
    .filter((line) => /^\s+at /u.test(line))
    .map((line) =>
      line.replace(/\(?(?:file:\/\/)?\/\S*?\/(?=(?:node_modules|[^/\s]+\/[^/\s]+:\d))/u, "")
    )
  const name = defect instanceof Error ? defect.name : typeof defect
  const hash = createHash("sha256")
    .update([name, ...frames].join("\n"))
    .digest("hex")
  return `${hash.slice(0, 4)}-${hash.slice(4, 8)}`.toUpperCase()
}

/** Writes beside the data, or else into a fresh temporary folder; undefined when neither works. */
const writeCrash = (directory: string, text: string): string | undefined => {
  for (const folder of [() => directory, () => mkdtempSync(join(tmpdir(), "testferry-crash-"))]) {
    try {
      const file = join(folder(), "crash.log")
      setAsideIfLarge(file)
      appendFileSync(file, text, { mode: 0o600 })
      return file
    } catch {
      // The data directory may be what is broken; the message matters more than the log.
    }
  }
  return undefined
}

const setAsideIfLarge = (file: string) => {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > CRASH_LOG_BYTES_MAX) renameSync(file, `${file}.old`)
}

const machineTroubles: Readonly<Record<string, readonly [string, string, string]>> = {
  ENOSPC: ["E_DISK_FULL", "The disk is full", "Free some space, then run the command again."],
  EDQUOT: ["E_DISK_FULL", "The disk quota is used up", "Free some space, then run it again."],
  EROFS: [
    "E_NOT_WRITABLE",
    "The disk can't be written to",
    "Unlock or replace it, then run it again."
  ],
  EACCES: [
    "E_NOT_PERMITTED",
    "A file may not be used by this user",
    "Run it as the owner of the file."
  ],
  EPERM: [
    "E_NOT_PERMITTED",
    "A file may not be used by this user",
    "Run it as the owner of the file."
  ],
  EIO: [
    "E_DISK_ERROR",
    "The disk reported an error",
    "Check the disk or the stick, or use another."
  ],
  EMFILE: [
    "E_TOO_MANY_FILES",
    "Too many files are open",
    "Close other programs, then run it again."
  ],
  ENFILE: [
    "E_TOO_MANY_FILES",
    "Too many files are open",
    "Close other programs, then run it again."
  ]
}

/** Finds trouble of the machine behind a defect: no fault of the program, and a person can help. */
const machineTrouble = (defect: unknown): Refused | undefined => {
  let at = defect
  for (let depth = 0; depth < CAUSE_DEPTH_MAX && Predicate.isObject(at); depth += 1) {
    const system = Predicate.hasProperty(at, "code") ? String(at.code) : ""
    const known = machineTroubles[system]
    if (known !== undefined) {
      const [code, why, todo] = known
      const path = Predicate.hasProperty(at, "path") ? ` (${String(at.path)})` : ""
      return new Refused({
        code,
        what: "The command was not finished.",
        why: `${why}${path}.`,
        todo
      })
    }
    at = nextCause(at)
  }
  return undefined
}

const nextCause = (at: object): unknown => {
  if (Predicate.hasProperty(at, "reason") && Predicate.isObject(at.reason)) return at.reason
  return Predicate.hasProperty(at, "cause") ? at.cause : undefined
}

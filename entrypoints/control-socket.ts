/**
 * Says where the control socket of a data directory is, and what is spoken through it.
 *
 * The socket is `<data>/control.sock`. Where that path is too long for a Unix socket, it is
 * `control.sock` in a private folder under the temporary directory, and `<data>/control.path`
 * names it. Whoever holds the lock of the directory may remove both: they are left-overs.
 *
 * One request, `POST /command` with an `Ask`; the answer is one JSON line per progress event and a
 * last line with the report or the refusal.
 */
import { chmodSync, lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { Effect, Schema } from "effect"
import { Refused } from "../application/refused.ts"
import { ProgressEvent } from "../domain/progress.ts"

export const Ask = Schema.Struct({
  /** Of the caller's program: arguments and reports of another version may differ. */
  version: Schema.String,
  name: Schema.String,
  args: Schema.Json
})

export const Line = Schema.Union([
  Schema.Struct({ progress: ProgressEvent }),
  Schema.Struct({ report: Schema.Json }),
  Schema.Struct({ refused: Refused })
])
export type Line = typeof Line.Type

/** The text form of a line, without the line break. */
export const LineText = Schema.fromJsonString(Schema.toCodecJson(Line))

/** The owner names its version in this header, before it reads the request. */
export const VERSION_HEADER = "testferry-version"

/** The shortest limit of the systems we run on (macOS 104, Linux 108), less the closing zero. */
export const SOCKET_PATH_BYTES_MAX = 103

const socketFile = (directory: string) => join(resolve(directory), "control.sock")
const pointerFile = (directory: string) => join(resolve(directory), "control.path")

/**
 * Prepares the place for a new socket and tidies up when the scope closes. Only the owner of the
 * directory may call this: it removes what an earlier owner left behind, however that one ended.
 */
export const makeSocketPlace = (directory: string) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      clear(directory)
      const direct = socketFile(directory)
      if (Buffer.byteLength(direct) <= SOCKET_PATH_BYTES_MAX) return Effect.succeed(direct)
      const elsewhere = join(mkdtempSync(join(tmpdir(), "testferry-")), "control.sock")
      if (Buffer.byteLength(elsewhere) > SOCKET_PATH_BYTES_MAX) {
        rmSync(dirname(elsewhere), { recursive: true, force: true })
        return Effect.fail(pathTooLong(directory))
      }
      chmodSync(dirname(elsewhere), 0o700)
      writeFileSync(pointerFile(directory), elsewhere, { mode: 0o600 })
      return Effect.succeed(elsewhere)
    }),
    () => Effect.sync(() => clear(directory))
  )

/**
 * Finds the socket of a directory. A place named by `control.path` counts only when nobody but the
 * owner of the directory can have put a socket there: temporary folders are swept and re-made, and
 * a password may go through the socket.
 */
export const findSocket = (directory: string): string => {
  const elsewhere = pointedTo(directory)
  return elsewhere ?? socketFile(directory)
}

const pointedTo = (directory: string): string | undefined => {
  try {
    const pointer = pointerFile(directory)
    const socket = readFileSync(pointer, "utf8").trim()
    const folder = lstatSync(dirname(socket))
    const isPrivate = folder.isDirectory() && (folder.mode & 0o077) === 0
    return isPrivate && folder.uid === lstatSync(pointer).uid ? socket : undefined
  } catch {
    return undefined
  }
}

/** Tells that server and caller are of different versions; said by whichever notices first. */
export const otherVersion = (server: string, caller: string) =>
  Effect.fail(
    new Refused({
      code: "E_OTHER_VERSION",
      what: "The command was not run.",
      why: `The running server is testferry ${server}, this command is testferry ${caller}.`,
      todo: "Restart the server, then run the command again."
    })
  )

const clear = (directory: string) => {
  const elsewhere = pointedTo(directory)
  if (elsewhere !== undefined && /\/testferry-[^/]+\/control\.sock$/u.test(elsewhere)) {
    rmSync(dirname(elsewhere), { recursive: true, force: true })
  }
  rmSync(pointerFile(directory), { force: true })
  rmSync(socketFile(directory), { force: true })
}

const pathTooLong = (directory: string): Refused =>
  new Refused({
    code: "E_CONTROL_PATH",
    what: "The server was not started.",
    why: `The paths of ${directory} and of the temporary directory ${tmpdir()} are too long for a socket.`,
    todo: "Set TMPDIR to a short path such as /tmp, or give a shorter --data."
  })

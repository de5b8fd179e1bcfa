/**
 * Lets one process at a time own a directory or a file.
 *
 * The lock is an open `BEGIN EXCLUSIVE` of node:sqlite on an empty sidecar file: a lock of the
 * kernel, which a killed process cannot leave behind. The sidecar itself stays, and must not be
 * opened or deleted by anything else while it is held (closing any descriptor of it would free it).
 */

import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Effect, Schema, type Scope } from "effect"

/** Another process (or another part of this one) owns the directory. */
export class DataDirectoryOwned extends Schema.TaggedError<DataDirectoryOwned>()(
  "DataDirectoryOwned",
  { directory: Schema.String }
) {
  override get message() {
    return `another process is using ${this.directory}`
  }
}

/** The sidecar `file` could not be locked: it is held, or it cannot be opened at all. */
export class NotLocked extends Schema.TaggedError<NotLocked>()("NotLocked", {
  file: Schema.String,
  held: Schema.Boolean,
  detail: Schema.String
}) {}

/**
 * Owns `directory` until the scope closes, by the file `lock` in it.
 *
 * Fails with DataDirectoryOwned; dies when the directory is missing or not writable.
 */
export const own = (directory: string): Effect.Effect<void, DataDirectoryOwned, Scope.Scope> =>
  lock(join(directory, "lock")).pipe(
    Effect.catchTag("NotLocked", (refused) =>
      refused.held
        ? Effect.fail(new DataDirectoryOwned({ directory }))
        : Effect.die(new Error(`${refused.file}: ${refused.detail}`))
    )
  )

/** Holds the sidecar `file` until the scope closes. Fails with NotLocked. */
export const lock = (file: string): Effect.Effect<void, NotLocked, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({ try: () => hold(file), catch: (cause) => refusal(file, cause) }),
    (database) => Effect.sync(() => database.close())
  )

// Two that start together may both find the file busy for a moment: the wait lets one of them win.
const WAIT_MILLIS = 100

const hold = (file: string): DatabaseSync => {
  const database = new DatabaseSync(file, { timeout: WAIT_MILLIS })
  try {
    // without a journal beside it: nothing is ever written
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")
    return database
  } catch (cause) {
    database.close()
    throw cause
  }
}

const SQLITE_BUSY = 5

const refusal = (file: string, cause: unknown): NotLocked => {
  const held = cause instanceof Error && "errcode" in cause && cause.errcode === SQLITE_BUSY
  return new NotLocked({
    file,
    held,
    detail: cause instanceof Error ? cause.message : String(cause)
  })
}

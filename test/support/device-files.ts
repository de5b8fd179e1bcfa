/** Looks at a device's data directory from outside, as its files are on the disk. */
import { createHash } from "node:crypto"
import fs from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert } from "@effect/vitest"

/** What a device holds, where it stands, and how much it keeps aside. The database must be sound. */
export const stateOf = (device: string) =>
  query(device, (all) => {
    assert.strictEqual(all("PRAGMA integrity_check"), '[{"integrity_check":"ok"}]')
    assert.strictEqual(all("PRAGMA foreign_key_check"), "[]")
    return {
      held: all("SELECT organisation, id, digest, held, body FROM holdings ORDER BY 1, 2"),
      cursor: all("SELECT organisation, epoch, version FROM cursors WHERE version > 0"),
      staged: all("SELECT count(*) AS n FROM staged")
    }
  })

/** The access token that a device keeps; empty when it has none. */
export const tokenOf = (device: string): string =>
  query(device, (all) => /eyJ[\w.-]+/u.exec(all("SELECT * FROM settings"))?.[0] ?? "")

const query = <A>(device: string, ask: (all: (text: string) => string) => A): A => {
  // A copy, so that the journal stays for the engine itself.
  const copy = join(device, "looked-at.db")
  for (const suffix of ["", "-wal"]) {
    const file = join(device, `device.db${suffix}`)
    if (fs.existsSync(file)) fs.copyFileSync(file, copy + suffix)
  }
  const database = new DatabaseSync(copy)
  try {
    return ask((text) => JSON.stringify(database.prepare(text).all()))
  } finally {
    database.close()
    for (const suffix of ["", "-wal", "-shm"]) fs.rmSync(copy + suffix, { force: true })
  }
}

/** The names of a folder's files, without what the next process takes away before it begins. */
export const filesIn = (folder: string): ReadonlyArray<string> =>
  fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => fs.statSync(join(folder, name)).isFile())
    .filter((name) => !name.startsWith("device.db.self-test"))
    .sort()

/** A content is there whole or not at all; what is not whole lies aside. */
export const assertContents = (device: string): void => {
  const blobs = join(device, "blobs")
  for (const name of filesIn(blobs).filter((file) => !file.startsWith("partial"))) {
    const digest = createHash("sha256")
      .update(fs.readFileSync(join(blobs, name)))
      .digest("hex")
    assert.strictEqual(name, join(digest.slice(0, 2), digest))
  }
}

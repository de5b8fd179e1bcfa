/**
 * Tries once whether sql.js really keeps what it writes on this machine.
 *
 * Our file layer replaces SQLite's system calls by name; a wrong name, a new build or a strange file
 * system must stop the program at its start, not lose a result at a power cut. So a scratch file is
 * written, its syncs are counted, and the other engine reads it back.
 */
import fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { openFile } from "./sqljs-files.ts"

/** Writes and removes `file`. Rejects with what went wrong. */
export const selfTest = async (file: string): Promise<void> => {
  remove(file)
  try {
    await write(file)
    read(file)
  } finally {
    remove(file)
  }
}

const ROWS = 100
const SUM = (ROWS * (ROWS + 1)) / 2

const write = async (file: string): Promise<void> => {
  const { database, disk, close } = await openFile(file)
  try {
    database.run("PRAGMA locking_mode = EXCLUSIVE")
    // only the commit on trial has to reach the disk: a slow one takes 10 ms a sync
    database.run("PRAGMA synchronous = OFF")
    database.run("PRAGMA journal_mode = WAL")
    database.run("CREATE TABLE trial (number INTEGER NOT NULL, body BLOB NOT NULL) STRICT")
    database.run("PRAGMA synchronous = FULL")
    const before = disk.syncs
    database.run(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
       INSERT INTO trial SELECT i, zeroblob(i) FROM n`
    )
    if (disk.syncs === before)
      throw new Error("a commit did not reach the disk: nothing was synced")
    database.run("PRAGMA synchronous = OFF")
    if (fs.statSync(`${file}-wal`).size === 0) throw new Error("a commit is not in its journal")
  } finally {
    close()
  }
}

const read = (file: string): void => {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    const check = database.prepare("PRAGMA integrity_check").get()?.integrity_check
    if (check !== "ok") throw new Error(`what was written reads as damaged: ${check}`)
    const sum = database.prepare("SELECT sum(number) AS sum FROM trial").get()?.sum
    if (sum !== SUM) throw new Error("what was written does not read back the same")
  } finally {
    database.close()
  }
}

const remove = (file: string): void => {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) fs.rmSync(file + suffix, { force: true })
}

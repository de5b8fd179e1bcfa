/** Writes CSV files for one test file, in a folder that goes when its tests are done. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"

export const folder = mkdtempSync(join(tmpdir(), "testferry-csv-"))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
export const fileOf = (content: string | Uint8Array): string => {
  const file = join(folder, `${files++}.csv`)
  writeFileSync(file, content)
  return file
}

/** Writes CSV files into a folder of the whole run, which goes with it. */
import { mkdtempSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { inject } from "vitest"

export const folder = mkdtempSync(join(inject("runFolder"), "csv-"))

let files = 0
export const fileOf = (content: string | Uint8Array): string => {
  const file = join(folder, `${files++}.csv`)
  writeFileSync(file, content)
  return file
}

/**
 * Runs what all test files of a run share, and tells them where it is: one PostgreSQL server
 * (`database.ts` uses it), and one folder for what is prepared once (`prepared.ts` uses it).
 */
import fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { startPostgres } from "./postgres-cluster.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly postgresUrl: string
    readonly runFolder: string
  }
}

export default async function setup(project: TestProject) {
  const { url, stop } = await startPostgres()
  const folder = fs.mkdtempSync(join(tmpdir(), "testferry-run-"))
  project.provide("postgresUrl", url)
  project.provide("runFolder", folder)
  return async () => {
    fs.rmSync(folder, { recursive: true, force: true })
    await stop()
  }
}

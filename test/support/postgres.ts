/** Runs one PostgreSQL server beside the tests, and tells them its URL (`database.ts` uses it). */
import type { TestProject } from "vitest/node"
import { startPostgres } from "./postgres-cluster.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly postgresUrl: string
  }
}

export default async function setup(project: TestProject) {
  const { url, stop } = await startPostgres()
  project.provide("postgresUrl", url)
  return stop
}

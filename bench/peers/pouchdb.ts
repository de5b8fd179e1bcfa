/**
 * Measures PouchDB: express-pouchdb as central, and a device that replicates from it into a local
 * LevelDB. Both keep their documents on disk, but PouchDB does not ask LevelDB to sync a write:
 * what it stored survives a crash of the process, not a loss of power. It is therefore measured
 * more kindly than the contenders that sync. Its answers are compressed, as it does by itself.
 */

import { createServer, type RequestListener } from "node:http"
import { createRequire } from "node:module"
import { canonical, type Json } from "../../domain/canonical.ts"
import type { Central, Device, Place } from "../calls.ts"
import { twoProcesses } from "../processes.ts"

/** As it comes, and with batches as large as the ceiling's pages, which suit it better here. */
export const contenders = [
  twoProcesses("PouchDB", new URL("?batch=100", import.meta.url)),
  twoProcesses("PouchDB 500", new URL("?batch=500", import.meta.url))
]

/** As much of PouchDB as is used here; it brings no types, so that nothing checks these. */
interface Database {
  bulkDocs(documents: ReadonlyArray<object>): Promise<ReadonlyArray<{ error?: unknown }>>
  allDocs(options: { keys?: ReadonlyArray<string>; include_docs?: boolean }): Promise<{
    rows: ReadonlyArray<{ id: string; value: { rev: string; deleted?: boolean }; doc: Json }>
  }>
  replicate: {
    from(
      url: string,
      options: { batch_size: number }
    ): Promise<{ ok: boolean; docs_written: number }>
  }
  close(): Promise<void>
}
interface Pouch {
  new (name: string): Database
  defaults(options: { prefix: string }): Pouch
}

const require = createRequire(import.meta.url)
const loadPouch = (): Pouch => require("pouchdb")

export const openCentral = async ({ directory }: Place): Promise<Central> => {
  const express: () => { use(path: string, handler: unknown): void } & RequestListener =
    require("express")
  const expressPouch: (pouch: Pouch, options: object) => unknown = require("express-pouchdb")
  const Pouch = loadPouch().defaults({ prefix: `${directory}/` })
  const app = express()
  app.use("/", expressPouch(Pouch, { mode: "minimumForPouchDB", inMemoryConfig: true }))
  const server = createServer(app)
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, "127.0.0.1", resolve)
  await promise
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  const database = new Pouch("catalogue")
  return {
    url: `http://127.0.0.1:${address.port}/catalogue`,
    put: async (entities) => {
      const revisionById = await revisions(
        database,
        entities.map(({ id }) => id)
      )
      await write(
        database,
        entities.map(({ id, body }) => ({ ...JSON.parse(body), ...revisionById.get(id), _id: id }))
      )
    },
    remove: async (ids) => {
      const revisionById = await revisions(database, ids)
      await write(
        database,
        ids.map((id) => ({ ...revisionById.get(id), _id: id, _deleted: true }))
      )
    },
    close: async () => {
      server.closeAllConnections()
      server.close()
      await database.close()
    }
  }
}

const revisions = async (database: Database, keys: ReadonlyArray<string>) => {
  const { rows } = await database.allDocs({ keys })
  return new Map(rows.filter((row) => row.value).map((row) => [row.id, { _rev: row.value.rev }]))
}

const write = async (database: Database, documents: ReadonlyArray<object>) => {
  const failed = (await database.bulkDocs(documents)).find((answer) => answer.error)
  if (failed !== undefined) throw new Error(`PouchDB refused: ${JSON.stringify(failed)}`)
}

export const openDevice = async ({ directory, url }: Place): Promise<Device> => {
  const database = new (loadPouch())(`${directory}/pouch`)
  const batch_size = Number(new URL(import.meta.url).searchParams.get("batch"))
  return {
    sync: async () => {
      const { ok, docs_written } = await database.replicate.from(url, { batch_size })
      if (!ok) throw new Error("the replication did not complete")
      return docs_written
    },
    entities: async () => {
      const { rows } = await database.allDocs({ include_docs: true })
      return new Map(rows.map(({ id, doc }) => [id, canonical(withoutRevision(doc))]))
    },
    close: () => database.close()
  }
}

const withoutRevision = (document: Json): Json =>
  Object.fromEntries(
    Object.entries(document ?? {}).filter(([key]) => key !== "_id" && key !== "_rev")
  )

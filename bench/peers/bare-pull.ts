/**
 * Measures the ceiling: the least that a durable synchronisation can do. Central numbers every
 * change; the device asks for what came after its cursor, 500 lines a page, and stores each page
 * with its cursor in one synced transaction. Nothing is validated, scoped, signed or encrypted.
 */
import { Agent, createServer, get } from "node:http"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Central, Device, Place } from "../calls.ts"
import { twoProcesses } from "../processes.ts"

export const contender = twoProcesses("bare pull", new URL(import.meta.url))

const PAGE = 500
/** Longer than any pause of a run: a connection closed under a request would need a retry. */
const IDLE_MILLIS = 600_000

interface Line {
  readonly seq: number
  readonly id: string
  readonly body: string | null
}

export const openCentral = async (place: Place): Promise<Central> => {
  const database = openDatabase(place)
  database.exec("CREATE TABLE change (id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, body TEXT)")
  const upsert = database.prepare(
    `INSERT INTO change (id, seq, body)
     VALUES (?, (SELECT coalesce(max(seq), 0) + 1 FROM change), ?)
     ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, body = excluded.body`
  )
  const page = database.prepare(
    "SELECT seq, id, body FROM change WHERE seq > ? ORDER BY seq LIMIT ?"
  )
  const server = createServer((request, response) => {
    const rows = page.all(Number(request.url?.slice(1)), PAGE)
    response.setHeader("content-type", "application/x-ndjson")
    response.end(rows.map((row) => JSON.stringify(row)).join("\n"))
  })
  server.keepAliveTimeout = IDLE_MILLIS
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, "127.0.0.1", resolve)
  await promise
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  return {
    url: `http://127.0.0.1:${address.port}`,
    put: async (entities) =>
      inTransaction(database, () => {
        for (const { id, body } of entities) upsert.run(id, body)
      }),
    remove: async (ids) =>
      inTransaction(database, () => {
        for (const id of ids) upsert.run(id, null)
      }),
    close: async () => {
      server.closeAllConnections()
      server.close()
      database.close()
    }
  }
}

export const openDevice = async (place: Place): Promise<Device> => {
  const database = openDatabase(place)
  database.exec(`
    CREATE TABLE entity (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE cursor (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL);
    INSERT INTO cursor VALUES (1, 0)`)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const store = storing(database)
  const cursor = database.prepare("SELECT seq FROM cursor")
  return {
    sync: async () => {
      let changed = 0
      let seq = Number(cursor.get()?.seq)
      for (;;) {
        const lines = await fetchPage(agent, `${place.url}/${seq}`)
        if (lines.length === 0) return changed
        store(lines)
        changed += lines.length
        seq = lines.at(-1)!.seq
        if (lines.length < PAGE) return changed
      }
    },
    entities: async () => {
      const rows = database.prepare("SELECT id, body FROM entity").all()
      return new Map(rows.map((row) => [String(row.id), String(row.body)]))
    },
    close: async () => {
      agent.destroy()
      database.close()
    }
  }
}

const storing = (database: DatabaseSync) => {
  const upsert = database.prepare(
    "INSERT INTO entity VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
  )
  const remove = database.prepare("DELETE FROM entity WHERE id = ?")
  const advance = database.prepare("UPDATE cursor SET seq = ?")
  return (lines: ReadonlyArray<Line>) =>
    inTransaction(database, () => {
      for (const { id, body } of lines) {
        if (body === null) remove.run(id)
        else upsert.run(id, body)
      }
      advance.run(lines.at(-1)!.seq)
    })
}

/** The ceiling does not validate: what central says is taken for lines. */
const fetchPage = async (agent: Agent, url: string): Promise<ReadonlyArray<Line>> => {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  get(url, { agent }, (response) => {
    let text = ""
    response.setEncoding("utf8")
    response.on("data", (part: string) => {
      text += part
    })
    response.on("end", () => resolve(text))
    response.on("error", reject)
  }).on("error", reject)
  const text = await promise
  return text === "" ? [] : text.split("\n").map((line) => JSON.parse(line))
}

const openDatabase = ({ directory }: Place) => {
  const database = new DatabaseSync(join(directory, "bare.sqlite"))
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
  return database
}

const inTransaction = (database: DatabaseSync, work: () => void) => {
  database.exec("BEGIN IMMEDIATE")
  try {
    work()
    database.exec("COMMIT")
  } catch (error) {
    database.exec("ROLLBACK")
    throw error
  }
}

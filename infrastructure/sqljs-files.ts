/**
 * Opens sql.js databases on real files, through Emscripten's `instantiateWasm` hook.
 *
 * Each file gets a WebAssembly instance of its own: a crash inside one cannot touch another, and its
 * memory goes when it is closed. The release build's import names are minified, so their meaning is
 * known for one exact file only (by SHA-256); any other file falls back to the debug build, which
 * keeps the real names and is about a third slower in bulk.
 */
import { createHash } from "node:crypto"
import fs from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import type { Database, InitSqlJsStatic } from "sql.js"
import { Disk, type Memory } from "./sqljs-disk.ts"
import { type Call, replace } from "./sqljs-syscalls.ts"

export interface FileDatabase {
  readonly database: Database
  /** Counts syncs and remembers the first that failed. */
  readonly disk: Disk
  /** Checkpoints, closes and frees everything; safe to call twice. Throws what SQLite reports. */
  readonly close: () => void
}

// An instance maps one file once: two in one process would corrupt it, as their locks always succeed.
const opened = new Set<string>()

/**
 * Opens `file`, creating it if it is missing. The caller holds the process lock on it.
 *
 * Rejects when the file is already open in this process, or sql.js cannot be loaded. The build is
 * chosen by `chooseBuild` unless given.
 */
export const openFile = async (file: string, build?: Build): Promise<FileDatabase> => {
  if (opened.has(file)) throw new Error(`${file} is already open in this process`)
  opened.add(file)
  const disk = new Disk(file)
  try {
    const SQL = await instantiate(disk, build)
    // An empty placeholder in memory takes the unlink that sql.js does when it closes.
    const database = new SQL.Database([])
    return { database, disk, close: once(() => closeFile(file, database, disk)) }
  } catch (cause) {
    disk.closeAll()
    opened.delete(file)
    throw cause
  }
}

const once = (run: () => void) => {
  let done = false
  return () => {
    if (done) return
    done = true
    run()
  }
}

const closeFile = (file: string, database: Database, disk: Disk): void => {
  try {
    database.close()
  } finally {
    disk.closeAll()
    opened.delete(file)
  }
}

/** What the letters mean in sql.js 1.16.0's `sql-wasm.wasm`, read off its import object. */
const RELEASE_SHA256 = "43bbcdd44287e5a2db3b6b5af34b1a3485a7a441285d247976c1ebe3c61f8dbf"
const RELEASE_NAMES: Readonly<Record<string, string>> = {
  D: "faccessat",
  E: "fd_seek",
  J: "ftruncate64",
  K: "fd_sync",
  L: "newfstatat",
  M: "lstat64",
  N: "stat64",
  b: "fcntl64",
  e: "fd_close",
  g: "fstat64",
  h: "fchown32",
  j: "fchmod",
  m: "fd_fdstat_get",
  o: "unlinkat",
  q: "fd_write",
  s: "readlinkat",
  t: "fd_read",
  x: "openat"
}

export type Build = "sql-wasm" | "sql-wasm-debug"

/** Picks the build whose import names are known, by the bytes of the release build. */
export const chooseBuild = (release: Uint8Array): Build =>
  createHash("sha256").update(release).digest("hex") === RELEASE_SHA256
    ? "sql-wasm"
    : "sql-wasm-debug"

interface Loaded {
  readonly glue: string
  readonly module: object
  /** Gives an import its system call's name, where it has one. */
  readonly name: (key: string) => string
}

type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>

interface Instance {
  readonly exports: Readonly<Record<string, unknown>>
}

/** The part of WebAssembly used here: TypeScript describes it in the browser's library only. */
const wasm: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: Imports) => Instance
  readonly Memory: new (descriptor: { readonly initial: number }) => Memory
} = Reflect.get(globalThis, "WebAssembly")

const require = createRequire(import.meta.url)

const load = (wanted: Build | undefined): Loaded => {
  const distribution = join(require.resolve("sql.js"), "..")
  const build = wanted ?? chooseBuild(fs.readFileSync(join(distribution, "sql-wasm.wasm")))
  return {
    glue: join(distribution, `${build}.js`),
    module: new wasm.Module(fs.readFileSync(join(distribution, `${build}.wasm`))),
    name:
      build === "sql-wasm"
        ? (key) => RELEASE_NAMES[key] ?? key
        : (key) => key.replace(/^__syscall_/, "")
  }
}

// compiling costs about 30 ms, instantiating about 1 ms
let chosen: Loaded | undefined

const instantiate = async (disk: Disk, build: Build | undefined) => {
  chosen ??= load(undefined)
  const { glue, module, name } = build === undefined ? chosen : load(build)
  // The glue keeps its first instance for ever, so each database evaluates it anew.
  delete require.cache[glue]
  const initSqlJs: InitSqlJsStatic = require(glue)
  forget(glue)
  return await initSqlJs({
    instantiateWasm: (imports, done) => {
      const instance = new wasm.Instance(module, wrap(imports, name, disk))
      const memory = Object.values(instance.exports).find((e) => e instanceof wasm.Memory)
      if (memory === undefined) throw new Error("sql.js exports no memory")
      disk.attach(memory)
      done(instance)
      return {}
    }
  })
}

/** Node keeps every module that another has loaded, and with this one the instance's memory. */
const forget = (glue: string): void => {
  const loaded = require.cache[glue]
  const siblings = loaded?.parent?.children
  if (loaded !== undefined) siblings?.splice(siblings.indexOf(loaded), 1)
}

const wrap = (imports: Imports, name: (key: string) => string, disk: Disk): Imports =>
  Object.fromEntries(
    Object.entries(imports).map(([space, values]) => [
      space,
      Object.fromEntries(
        Object.entries(values).map(([key, value]) => [
          key,
          // the boundary to WebAssembly: all imports of this module are plain functions of numbers
          typeof value === "function" ? replace(disk, name(key), value as Call) : value
        ])
      )
    ])
  )

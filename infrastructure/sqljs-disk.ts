/**
 * Holds the real files behind one mapped sql.js database, and looks into its module's memory.
 *
 *     /dbfile_123        the mapped file           /            its directory, for directory syncs
 *     /dbfile_123-wal    its neighbours            /real/a/b    the real path /a/b (VACUUM INTO)
 */
import fs from "node:fs"
import { dirname } from "node:path"

/** WebAssembly's memory; growing it replaces the buffer. */
export interface Memory {
  readonly buffer: ArrayBuffer
}

export interface SyncFailure {
  readonly path: string
  /** SQLite ignores a failed directory sync, so the engine has to report it. */
  readonly directory: boolean
  readonly message: string
}

export interface Handle {
  readonly fd: number
  readonly path: string
  readonly directory: boolean
  position: number
}

/** Paths under this prefix name real files; SQL text uses it for `VACUUM INTO`. */
export const REAL_PREFIX = "/real"

// Emscripten numbers its own descriptors from 3 on: these must never meet.
const FIRST_DESCRIPTOR = 1 << 20
// Exam data: readable by the owner alone.
const FILE_MODE = 0o600

const MAIN = /^\/dbfile_\d+(-journal|-wal|-shm)?$/
const decoder = new TextDecoder()

/** Holds the open descriptors of one mapped database and looks into the module's memory. */
export class Disk {
  readonly #file: string
  readonly #handles = new Map<number, Handle>()
  #next = FIRST_DESCRIPTOR
  #memory: Memory | undefined
  #bytes = new Uint8Array()
  #view = new DataView(this.#bytes.buffer)

  /** Successful file syncs so far; the self-test counts them. */
  syncs = 0
  /** The first sync that failed: nothing written since the last good one may be on the disk. */
  failure: SyncFailure | undefined

  constructor(file: string) {
    this.#file = file
  }

  attach(memory: Memory): void {
    this.#memory = memory
  }

  get bytes(): Uint8Array {
    this.#refresh()
    return this.#bytes
  }

  get view(): DataView {
    this.#refresh()
    return this.#view
  }

  /** Growing the memory replaces its buffer, which detaches every older view. */
  #refresh(): void {
    const buffer = this.#memory?.buffer
    if (buffer === undefined || this.#bytes.buffer === buffer) return
    this.#bytes = new Uint8Array(buffer)
    this.#view = new DataView(buffer)
  }

  handle(descriptor: number | bigint | undefined): Handle | undefined {
    return this.#handles.get(Number(descriptor))
  }

  /** The real path behind the virtual path at `pointer`; nothing for Emscripten's own files. */
  real(pointer: number | bigint | undefined): string | undefined {
    const start = Number(pointer)
    const end = this.bytes.indexOf(0, start)
    const path = `/${decoder.decode(this.bytes.subarray(start, end))}`.replace(/^\/+/, "/")
    if (path === "/" || path === "/.") return dirname(this.#file)
    if (path.startsWith(`${REAL_PREFIX}/`)) return path.slice(REAL_PREFIX.length)
    const match = MAIN.exec(path)
    return match === null ? undefined : this.#file + (match[1] ?? "")
  }

  open(path: string, flags: number): number {
    const fd = fs.openSync(path, hostFlags(flags), FILE_MODE)
    const directory = fs.fstatSync(fd).isDirectory()
    this.#handles.set(this.#next, { fd, path, directory, position: 0 })
    return this.#next++
  }

  close(descriptor: number | bigint | undefined): number {
    const handle = this.#handles.get(Number(descriptor))
    if (handle === undefined) return 0
    this.#handles.delete(Number(descriptor))
    fs.closeSync(handle.fd)
    return 0
  }

  sync(handle: Handle): number {
    try {
      fs.fsyncSync(handle.fd)
      if (!handle.directory) this.syncs++
      return 0
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause)
      this.failure ??= { path: handle.path, directory: handle.directory, message }
      throw cause
    }
  }

  /** Lets go of whatever a failed close left open. */
  closeAll(): void {
    for (const descriptor of [...this.#handles.keys()]) this.close(descriptor)
  }
}

// openat's flags are those of Linux, whatever the host is
const hostFlags = (flags: number): number => {
  const access = [fs.constants.O_RDONLY, fs.constants.O_WRONLY, fs.constants.O_RDWR][flags & 3]
  return (
    (access ?? fs.constants.O_RDWR) |
    (flags & 0o100 ? fs.constants.O_CREAT : 0) |
    (flags & 0o200 ? fs.constants.O_EXCL : 0) |
    (flags & 0o1000 ? fs.constants.O_TRUNC : 0)
  )
}

/**
 * Answers SQLite's system calls for one database file from the real disk.
 *
 * sql.js keeps its files in memory and turns fsync into nothing. Here the calls that concern the
 * mapped database, its journals and its directory go to `node:fs`; all others (temporary files,
 * the environment) stay in Emscripten's memory. SQLite's own WAL then gives atomic, durable commits.
 *
 *     /dbfile_123        the mapped file           /            its directory, for directory syncs
 *     /dbfile_123-wal    its neighbours            /real/a/b    the real path /a/b (VACUUM INTO)
 *
 * Advisory locks always succeed: the caller holds a process lock on the file (process-lock.ts).
 * Failures of the disk are answered as error numbers, so that SQLite rolls back and reports them.
 */
import fs from "node:fs"
import { dirname } from "node:path"

/** A system call as WebAssembly sees it. File offsets arrive as bigint or number by build. */
export type Call = (...arguments_: ReadonlyArray<number | bigint>) => unknown

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

interface Handle {
  readonly fd: number
  readonly path: string
  readonly directory: boolean
  position: number
}

type Replacement = (disk: Disk, original: Call) => Call

/** Paths under this prefix name real files; SQL text uses it for `VACUUM INTO`. */
export const REAL_PREFIX = "/real"

/** Wraps every call of the table that `disk` has to answer; unknown names pass unchanged. */
export const replace = (disk: Disk, name: string, original: Call): Call =>
  replacements[name]?.(disk, original) ?? original

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

// WASI's error numbers, by which SQLite tells a full disk from a broken one
const NUMBERS: Readonly<Record<string, number>> = {
  EACCES: 2,
  EBADF: 8,
  EBUSY: 10,
  EDQUOT: 19,
  EEXIST: 20,
  EFBIG: 22,
  EINVAL: 28,
  EIO: 29,
  EISDIR: 31,
  EMFILE: 33,
  ENOENT: 44,
  ENOSPC: 51,
  ENOTDIR: 54,
  EPERM: 63,
  EROFS: 69
}
const EINVAL = 28
const EIO = 29

const numberOf = (cause: unknown): number =>
  (cause instanceof Error && "code" in cause ? NUMBERS[String(cause.code)] : undefined) ?? EIO

/** Kernel calls answer a negative error number, WASI calls a positive one. */
const kernel = (f: () => number): number => {
  try {
    return f()
  } catch (cause) {
    return -numberOf(cause)
  }
}
const wasi = (f: () => number): number => {
  try {
    return f()
  } catch (cause) {
    return numberOf(cause)
  }
}

const onPath =
  (argument: number, answer: (disk: Disk, path: string, call: Array<number>) => number) =>
  (disk: Disk, original: Call): Call =>
  (...call) => {
    const path = disk.real(call[argument])
    return path === undefined
      ? original(...call)
      : kernel(() => answer(disk, path, call.map(Number)))
  }

const onHandle =
  (guard: typeof kernel, answer: (disk: Disk, handle: Handle, call: Array<number>) => number) =>
  (disk: Disk, original: Call): Call =>
  (...call) => {
    const handle = disk.handle(call[0])
    return handle === undefined
      ? original(...call)
      : guard(() => answer(disk, handle, call.map(Number)))
  }

type Transfer = (fd: number, bytes: Uint8Array, at: number, length: number, from: number) => number

const transfer = (move: () => Transfer) =>
  onHandle(wasi, (disk, handle, [, vectors = 0, count = 0, answer = 0]) => {
    let total = 0
    for (let i = 0; i < count; i++) {
      const at = disk.view.getUint32(vectors + i * 8, true)
      const length = disk.view.getUint32(vectors + i * 8 + 4, true)
      const moved = length && move()(handle.fd, disk.bytes, at, length, handle.position)
      handle.position += moved
      total += moved
      if (moved < length) break
    }
    disk.view.setUint32(answer, total, true)
    return 0
  })

/** Writes Emscripten's `struct stat` (96 bytes, wasm32). */
const writeStat = (view: DataView, at: number, stat: fs.Stats): number => {
  view.setUint32(at, stat.dev >>> 0, true)
  view.setUint32(at + 4, stat.mode, true)
  view.setUint32(at + 8, stat.nlink, true)
  view.setUint32(at + 12, stat.uid, true)
  view.setUint32(at + 16, stat.gid, true)
  view.setUint32(at + 20, 0, true)
  view.setBigInt64(at + 24, BigInt(stat.size), true)
  view.setInt32(at + 32, 4096, true)
  view.setInt32(at + 36, stat.blocks, true)
  for (const time of [40, 56, 72]) {
    view.setBigInt64(at + time, BigInt(Math.floor(stat.mtimeMs / 1000)), true)
    view.setUint32(at + time + 8, 0, true)
  }
  view.setBigInt64(at + 88, BigInt(stat.ino), true)
  return 0
}

const stat = (path: number, buffer: number) =>
  onPath(path, (disk, real, call) => writeStat(disk.view, call[buffer] ?? 0, fs.statSync(real)))

const WHENCE_SET = 0
const WHENCE_CURRENT = 1
const FILETYPE_DIRECTORY = 3
const FILETYPE_REGULAR = 4
const F_GETFL = 3
const F_GETLK = 12
const F_UNLCK = 2
const O_RDWR = 2
const ACCESS_BITS = 7

const replacements: Readonly<Record<string, Replacement>> = {
  openat: onPath(1, (disk, path, call) => disk.open(path, call[2] ?? 0)),
  unlinkat: onPath(1, (_, path) => {
    fs.unlinkSync(path)
    return 0
  }),
  faccessat: onPath(1, (_, path, call) => {
    fs.accessSync(path, (call[2] ?? 0) & ACCESS_BITS)
    return 0
  }),
  readlinkat: onPath(1, () => -EINVAL),
  stat64: stat(0, 1),
  lstat64: stat(0, 1),
  newfstatat: stat(1, 2),
  fstat64: onHandle(kernel, (disk, handle, call) =>
    writeStat(disk.view, call[1] ?? 0, fs.fstatSync(handle.fd))
  ),
  ftruncate64: onHandle(kernel, (_, handle, call) => {
    fs.ftruncateSync(handle.fd, call[1])
    return 0
  }),
  fchmod: onHandle(kernel, () => 0),
  fchown32: onHandle(kernel, () => 0),
  fcntl64: onHandle(kernel, (disk, _, [, command, argument = 0]) => {
    if (command === F_GETFL) return O_RDWR
    if (command === F_GETLK) {
      disk.view.setInt16(disk.view.getUint32(argument, true), F_UNLCK, true)
    }
    return 0
  }),
  fd_close: onHandle(wasi, (disk, _, call) => disk.close(call[0])),
  fd_read: transfer(() => fs.readSync),
  fd_write: transfer(() => fs.writeSync),
  fd_sync: onHandle(wasi, (disk, handle) => disk.sync(handle)),
  fd_seek: onHandle(wasi, (disk, handle, [, offset = 0, whence, answer = 0]) => {
    const size = () => fs.fstatSync(handle.fd).size
    const start = whence === WHENCE_SET ? 0 : whence === WHENCE_CURRENT ? handle.position : size()
    handle.position = start + offset
    disk.view.setBigInt64(answer, BigInt(handle.position), true)
    return 0
  }),
  fd_fdstat_get: onHandle(wasi, (disk, handle, [, buffer = 0]) => {
    disk.bytes.fill(0, buffer, buffer + 24)
    disk.bytes[buffer] = handle.directory ? FILETYPE_DIRECTORY : FILETYPE_REGULAR
    return 0
  })
}

/**
 * Answers SQLite's system calls for one database file from the real disk.
 *
 * sql.js keeps its files in memory and turns fsync into nothing. Here the calls that concern the
 * mapped database, its journals and its directory go to `node:fs`; all others (temporary files,
 * the environment) stay in Emscripten's memory. SQLite's own WAL then gives atomic, durable commits.
 *
 * Advisory locks always succeed: the caller holds a process lock on the file (process-lock.ts).
 * Failures of the disk are answered as error numbers, so that SQLite rolls back and reports them.
 */
import fs from "node:fs"
import type { Disk, Handle } from "./sqljs-disk.ts"

/** A system call as WebAssembly sees it. File offsets arrive as bigint or number by build. */
export type Call = (...arguments_: ReadonlyArray<number | bigint>) => unknown

type Replacement = (disk: Disk, original: Call) => Call

/** Wraps every call of the table that `disk` has to answer; unknown names pass unchanged. */
export const replace = (disk: Disk, name: string, original: Call): Call =>
  replacements[name]?.(disk, original) ?? original

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

/** Writes zip archives byte by byte, also such as no honest program writes. */
import { crc32, deflateRawSync } from "node:zlib"

export interface RawEntry {
  readonly name: string | Uint8Array
  readonly data?: Uint8Array | string
  readonly method?: number
  readonly flags?: number
  readonly mode?: number
  /** What the directory claims instead of the truth. */
  readonly size?: number
  readonly compressedSize?: number
  readonly crc?: number
  readonly offset?: number
  /** What the file's own header says instead. */
  readonly localName?: string
  readonly localSize?: number
  readonly localMethod?: number
  readonly localFlags?: number
  readonly localCrc?: number
  readonly localExtra?: Uint8Array
  /** What follows its data, instead of nothing, or of a descriptor when flag 3 is set. */
  readonly behind?: Uint8Array
  readonly extra?: Uint8Array
  readonly comment?: string
  readonly disk?: number
  /** The packed bytes, instead of the packed data. */
  readonly packed?: Uint8Array
}

export interface RawEnd {
  readonly count?: number
  readonly countHere?: number
  readonly disk?: number
  readonly directorySize?: number
  readonly directoryOffset?: number
  readonly comment?: Uint8Array
}

export const rawZip = (entries: ReadonlyArray<RawEntry>, end: RawEnd = {}): Buffer => {
  const locals: Array<Buffer> = []
  const headers: Array<Buffer> = []
  let offset = 0
  for (const entry of entries) {
    const local = localPart(entry)
    locals.push(local)
    headers.push(header(entry, offset))
    offset += local.length
  }
  const directory = Buffer.concat(headers)
  const record = Buffer.alloc(22)
  record.writeUInt32LE(0x06054b50, 0)
  record.writeUInt16LE(end.disk ?? 0, 4)
  record.writeUInt16LE(end.countHere ?? end.count ?? entries.length, 8)
  record.writeUInt16LE(end.count ?? entries.length, 10)
  record.writeUInt32LE(end.directorySize ?? directory.length, 12)
  record.writeUInt32LE(end.directoryOffset ?? offset, 16)
  record.writeUInt16LE(end.comment?.length ?? 0, 20)
  return Buffer.concat([...locals, directory, record, end.comment ?? Buffer.alloc(0)])
}

const parts = (entry: RawEntry) => {
  const data = Buffer.from(entry.data ?? "")
  const method = entry.method ?? 8
  const packed = Buffer.from(entry.packed ?? (method === 8 ? deflateRawSync(data) : data))
  const name = Buffer.from(entry.name)
  return {
    name,
    packed,
    method,
    flags: entry.flags ?? 0x800,
    size: entry.size ?? data.length,
    compressedSize: entry.compressedSize ?? packed.length,
    crc: entry.crc ?? crc32(data),
    isLater: ((entry.flags ?? 0) & 8) !== 0
  }
}

/** The data descriptor behind an entry whose flag 3 is set. */
export const descriptor = (crc: number, compressedSize: number, size: number): Buffer => {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32LE(0x08074b50, 0)
  bytes.writeUInt32LE(crc, 4)
  bytes.writeUInt32LE(compressedSize, 8)
  bytes.writeUInt32LE(size, 12)
  return bytes
}

const localPart = (entry: RawEntry): Buffer => {
  const { packed, method, flags, size, compressedSize, crc, isLater, ...rest } = parts(entry)
  const name = entry.localName === undefined ? rest.name : Buffer.from(entry.localName)
  const local = Buffer.alloc(30)
  local.writeUInt32LE(0x04034b50, 0)
  local.writeUInt16LE(20, 4)
  local.writeUInt16LE(entry.localFlags ?? flags, 6)
  local.writeUInt16LE(entry.localMethod ?? method, 8)
  local.writeUInt16LE(33, 12)
  local.writeUInt32LE(isLater ? 0 : (entry.localCrc ?? crc), 14)
  local.writeUInt32LE(isLater ? 0 : (entry.localSize ?? compressedSize), 18)
  local.writeUInt32LE(isLater ? 0 : (entry.localSize ?? size), 22)
  local.writeUInt16LE(name.length, 26)
  const extra = entry.localExtra ?? Buffer.alloc(0)
  local.writeUInt16LE(extra.length, 28)
  const later = isLater ? descriptor(crc, packed.length, packed.length) : Buffer.alloc(0)
  return Buffer.concat([local, name, extra, packed, entry.behind ?? later])
}

const header = (entry: RawEntry, offset: number): Buffer => {
  const { name, method, flags, size, compressedSize, crc } = parts(entry)
  const bytes = Buffer.alloc(46)
  bytes.writeUInt32LE(0x02014b50, 0)
  bytes.writeUInt16LE(0x0314, 4)
  bytes.writeUInt16LE(20, 6)
  bytes.writeUInt16LE(flags, 8)
  bytes.writeUInt16LE(method, 10)
  bytes.writeUInt16LE(33, 14)
  bytes.writeUInt32LE(crc, 16)
  bytes.writeUInt32LE(compressedSize, 20)
  bytes.writeUInt32LE(size, 24)
  bytes.writeUInt16LE(name.length, 28)
  const extra = entry.extra ?? Buffer.alloc(0)
  const comment = Buffer.from(entry.comment ?? "")
  bytes.writeUInt16LE(extra.length, 30)
  bytes.writeUInt16LE(comment.length, 32)
  bytes.writeUInt16LE(entry.disk ?? 0, 34)
  bytes.writeUInt32LE(((entry.mode ?? 0o100644) << 16) >>> 0, 38)
  bytes.writeUInt32LE(entry.offset ?? offset, 42)
  return Buffer.concat([bytes, name, extra, comment])
}

/**
 * Opens whole age files that are sealed to hybrid recipients, with node:crypto alone, and tells why
 * one did not open (format §3.7, §5.1 row 71). What `age-file.ts` does with the library, for the one
 * place where thousands of files a second are opened with few keys.
 */
import { timingSafeEqual } from "node:crypto"
import { headerEnd } from "./age-file.ts"
import {
  HYBRID_STANZA,
  type HybridKey,
  SHARE_BYTES,
  unwrapHybrid,
  WRAPPED_BYTES
} from "./age-hybrid.ts"
import { openChunk, PAYLOAD_NONCE_BYTES, payloadKey, SEALED_CHUNK_BYTES } from "./age-payload.ts"
import { hkdfSha256, hmacSha256 } from "./hmac-sha256.ts"

/**
 * Opens a file with the first key that fits. "wrong-key": the header is well formed and for somebody
 * else, or its wrapped key was damaged. "altered": the rest of the file is not what was sealed.
 */
export const openHybrid = (
  keys: ReadonlyArray<HybridKey>,
  bytes: Uint8Array
): Uint8Array | "wrong-key" | "altered" => {
  const header = parseHeader(bytes)
  if (header === undefined) return "altered"
  const fileKey = firstUnwrapped(keys, header.stanzas)
  if (typeof fileKey === "string") return fileKey
  const mac = hmacSha256(hkdfSha256(fileKey, new Uint8Array(), "header"), header.signed)
  if (header.mac.length !== mac.length || !timingSafeEqual(mac, header.mac)) return "altered"
  return openPayload(fileKey, bytes.subarray(header.end)) ?? "altered"
}

const openPayload = (fileKey: Uint8Array, payload: Uint8Array): Uint8Array | undefined => {
  if (payload.length < PAYLOAD_NONCE_BYTES) return undefined
  const key = payloadKey(fileKey, payload.subarray(0, PAYLOAD_NONCE_BYTES))
  const plain: Array<Uint8Array> = []
  for (let at = PAYLOAD_NONCE_BYTES; at < payload.length || plain.length === 0; ) {
    const end = at + SEALED_CHUNK_BYTES
    const isLast = end >= payload.length
    const chunk = openChunk(key, plain.length, isLast, payload.subarray(at, end))
    if (chunk === undefined) return undefined
    plain.push(chunk)
    at = end
  }
  return plain.length === 1 ? plain[0] : new Uint8Array(Buffer.concat(plain))
}

interface Stanza {
  readonly args: ReadonlyArray<string>
  readonly body: Uint8Array
}

const firstUnwrapped = (
  keys: ReadonlyArray<HybridKey>,
  stanzas: ReadonlyArray<Stanza>
): Uint8Array | "wrong-key" | "altered" => {
  for (const { args, body } of stanzas) {
    if (args[0] !== HYBRID_STANZA) continue
    const share = base64(args[1] ?? "")
    if (args.length !== 2 || share?.length !== SHARE_BYTES || body.length !== WRAPPED_BYTES) {
      return "altered"
    }
    for (const key of keys) {
      try {
        const fileKey = unwrapHybrid(key, share, body)
        if (fileKey !== undefined) return fileKey
      } catch {
        return "altered"
      }
    }
  }
  return "wrong-key"
}

interface Header {
  readonly stanzas: ReadonlyArray<Stanza>
  readonly mac: Uint8Array
  /** What the MAC is over: up to and with "---". */
  readonly signed: Uint8Array
  readonly end: number
}

/** Characters of a full line of a stanza's body; a shorter one, or an empty one, ends it. */
const LINE = 64

/** Takes a header apart (C2SP age.md, "Header"); undefined unless it is strictly of that form. */
const parseHeader = (bytes: Uint8Array): Header | undefined => {
  const end = headerEnd(bytes)
  if (typeof end === "string") return undefined
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, end).toString("latin1")
  const lines = text.slice(0, -1).split("\n")
  const stanzas: Array<Stanza> = []
  let at = 1
  for (; lines[at]?.startsWith("-> ") === true; ) {
    const args = (lines[at] ?? "").slice(3).split(" ")
    if (args.some((arg) => !/^[!-~]+$/.test(arg))) return undefined
    const first = at + 1
    for (at = first; lines[at]?.length === LINE; ) at += 1
    const parts = lines.slice(first, at + 1).map(base64)
    const whole = parts.filter((part) => part !== undefined)
    if (at >= lines.length || whole.length !== parts.length) return undefined
    if ((lines[at] ?? "").length > LINE) return undefined
    stanzas.push({ args, body: Buffer.concat(whole) })
    at += 1
  }
  const last = lines[at] ?? ""
  const mac = base64(last.slice(4))
  if (at !== lines.length - 1 || !last.startsWith("--- ") || mac === undefined) return undefined
  const signed = bytes.subarray(0, end - last.length - 1 + 3)
  return stanzas.length === 0 ? undefined : { stanzas, mac, signed, end }
}

/** Base64 without padding, in its one form. */
const base64 = (text: string): Buffer | undefined => {
  const bytes = Buffer.from(text, "base64")
  return bytes.toString("base64").replace(/=+$/, "") === text ? bytes : undefined
}

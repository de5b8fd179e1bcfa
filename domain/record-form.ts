/**
 * Judges the form of a record that came home (format §3.7), without any key: whether its body is
 * what its kind says, and whether it speaks of the device and the organisations that sent it. What
 * does not fit is put aside with the bytes and a reason, never dropped (invariant 12).
 */
import { Option, Result, Schema } from "effect"
import { parseCanonical } from "./canonical.ts"
import type { DeviceId, Digest, OrganisationId } from "./id.ts"
import { type HomeRecord, LogBody, LtiUserBody, SessionBody } from "./result.ts"

/** Why a record was put aside, or not taken: stable codes, for programs and for `results list`. */
export const RecordFault = Schema.Literals([
  "E_RECORD_DIGEST",
  "E_RECORD_FORM",
  "E_RECORD_DEVICE",
  "E_RECORD_SCOPE",
  "E_DEVICE_BLOCKED"
])
export type RecordFault = typeof RecordFault.Type

/** Of whose word the record is: the device that sent it, as central knows it. */
export interface Sender {
  readonly device: DeviceId
  readonly organisations: ReadonlyArray<OrganisationId>
}

export interface Judged {
  readonly fault: RecordFault | null
  /** What a session says, when it is one of this device; its organisation may be another's. */
  readonly session: SessionBody | null
}

/** `sha256`: the digest of the body as it came. */
export const judgeRecord = (
  { body, ledger }: HomeRecord,
  sha256: Digest,
  sender: Sender
): Judged => {
  if (sha256 !== ledger.sha256) return fault("E_RECORD_DIGEST")
  if (ledger.kind === "result") return isSealed(body) ? FITS : fault("E_RECORD_FORM")
  const parsed = Option.getOrUndefined(Result.getSuccess(parseCanonical(body)))
  if (ledger.kind === "test-session") {
    const session = Option.getOrUndefined(decodeSession(parsed))
    if (session === undefined) return fault("E_RECORD_FORM")
    if (session.device !== sender.device) return fault("E_RECORD_DEVICE")
    const isOurs = sender.organisations.includes(session.organisation)
    return { fault: isOurs ? null : "E_RECORD_SCOPE", session }
  }
  const decode = ledger.kind === "result-log" ? decodeLog : decodeUser
  const read = Option.getOrUndefined(decode(parsed))
  if (read === undefined) return fault("E_RECORD_FORM")
  return read.device === sender.device ? FITS : fault("E_RECORD_DEVICE")
}

const FITS: Judged = { fault: null, session: null }
const fault = (code: RecordFault): Judged => ({ fault: code, session: null })

const STRICT = { onExcessProperty: "error" } as const
const decodeSession = Schema.decodeUnknownOption(SessionBody, STRICT)
const decodeLog: (input: unknown) => Option.Option<{ readonly device: DeviceId }> =
  Schema.decodeUnknownOption(LogBody, STRICT)
const decodeUser: (input: unknown) => Option.Option<{ readonly device: DeviceId }> =
  Schema.decodeUnknownOption(LtiUserBody, STRICT)

/** Like every reader of age files here: ours have two recipients and 5 KB (format §4.3). */
const HEADER_CHARACTERS_MAX = 65_536
const STANZAS_MAX = 32
/** A nonce of 16 bytes, and at least the tag of one empty chunk. */
const PAYLOAD_BYTES_MIN = 32
const HEADER =
  /^age-encryption\.org\/v1\n((?:-> [^\n]+\n(?:[A-Za-z0-9+/]+\n)+)+)--- [A-Za-z0-9+/]{43}\n/u

/** Whether text is an age file in base64, as far as one can see who must not open it. */
export const isSealed = (box: string): boolean => {
  const bytes = bytesOf(box)
  const found = HEADER.exec(bytes.slice(0, HEADER_CHARACTERS_MAX))
  if (found === null) return false
  const [header, stanzas = ""] = found
  const all = stanzas.match(/^-> /gmu) ?? []
  const known = stanzas.match(/^-> (?:X25519|mlkem768x25519) /gmu) ?? []
  const fits = known.length === all.length && all.length <= STANZAS_MAX
  return fits && bytes.length - header.length >= PAYLOAD_BYTES_MIN
}

/**
 * The bytes of base64, one character each; "" for what is none. The decoder is many times faster than
 * a pattern, but overlooks blanks: then it yields less than the length promises.
 */
const bytesOf = (base64: string): string => {
  try {
    const bytes = atob(base64)
    const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0
    return bytes.length === (base64.length / 4) * 3 - padding ? bytes : ""
  } catch {
    return ""
  }
}

/**
 * Reads the lines of a bundle, each of canonical JSON and ended by a line feed (format §2.5): changes
 * on the way out, records on the way home. Counts, measures and digests as it goes; memory holds one line and one chunk.
 *
 * Lines come out before the end is known to be right: whoever acts on them must have read them once
 * to the end before.
 */
import { createHash } from "node:crypto"
import { Effect, Result, Schema, Stream } from "effect"
import { BundleRefused } from "../application/bundle-ports.ts"
import {
  ChangeLine,
  LINE_CHARACTERS_MAX,
  type Lines,
  RECORD_LINE_BYTES_MAX,
  RecordLine
} from "../domain/bundle-index.ts"
import type { BundleCode, Refusal } from "../domain/bundle-refusal.ts"
import { parseCanonical } from "../domain/canonical.ts"
import type { Change } from "../domain/feed.ts"
import type { HomeRecord } from "../domain/result.ts"

/** What one line is, and how long it may be. */
interface Form<Line> {
  readonly decode: (input: unknown) => Result.Result<Line, unknown>
  readonly bytesMax: number
  /** For people: "line 3 is no change". */
  readonly name: string
}

const STRICT = { onExcessProperty: "error" } as const

export const CHANGES: Form<Change> = {
  decode: Schema.decodeUnknownResult(ChangeLine, STRICT),
  bytesMax: LINE_CHARACTERS_MAX,
  name: "change"
}

export const RECORDS: Form<HomeRecord> = {
  decode: Schema.decodeUnknownResult(RecordLine, STRICT),
  bytesMax: RECORD_LINE_BYTES_MAX,
  name: "record"
}

/** Reads opened bytes in batches. Fails with E_PLAIN_LIMIT or one of E_RECORD_*, by line number. */
export const readLines = <Line>(
  form: Form<Line>,
  plain: Stream.Stream<Uint8Array, BundleRefused>,
  expected: Omit<Lines, "file">
): Stream.Stream<ReadonlyArray<Line>, BundleRefused> =>
  Stream.suspend(() => {
    const reader = makeReader(form, expected)
    return plain.pipe(
      Stream.mapEffect((bytes) => settled(reader.push(bytes))),
      Stream.concat(Stream.fromEffect(Effect.suspend(() => settled(reader.end())))),
      Stream.filter((changes) => changes.length > 0)
    )
  })

const LINE_FEED = 0x0a

type Read<Line> = Result.Result<ReadonlyArray<Line>, Refusal>

const makeReader = <Line>(form: Form<Line>, expected: Omit<Lines, "file">) => {
  const hash = createHash("sha256")
  let size = 0
  let line = 0
  /** The beginning of a line whose end has not come yet. */
  let begun: Array<Uint8Array> = []
  let begunBytes = 0

  const push = (bytes: Uint8Array): Read<Line> => {
    size += bytes.length
    hash.update(bytes)
    if (size > expected.plainSize) return refuse("E_PLAIN_LIMIT", "there are more bytes than said")
    const lines: Array<Line> = []
    for (let from = 0; ; ) {
      const end = bytes.indexOf(LINE_FEED, from)
      const piece = bytes.subarray(from, end < 0 ? bytes.length : end)
      begun.push(piece)
      begunBytes += piece.length
      if (begunBytes > form.bytesMax) {
        return refuse("E_RECORD_LIMIT", `line ${line + 1} is too long`)
      }
      if (end < 0) return Result.succeed(lines)
      line += 1
      const read = readLine(form, Buffer.concat(begun))
      if (read === undefined) return refuse("E_RECORD_SCHEMA", `line ${line} is no ${form.name}`)
      if (line > expected.count) return refuse("E_RECORD_COUNT", "there are more lines than said")
      lines.push(read)
      begun = []
      begunBytes = 0
      from = end + 1
    }
  }

  const end = (): Read<Line> => {
    if (begunBytes > 0) return refuse("E_RECORD_SCHEMA", `line ${line + 1} has no end`)
    if (line !== expected.count) {
      return refuse("E_RECORD_COUNT", `there are ${line} lines of ${expected.count}`)
    }
    return size === expected.plainSize && hash.digest("hex") === expected.plainSha256
      ? Result.succeed([])
      : refuse("E_RECORD_DIGEST", "the lines are not those that the index names")
  }

  return { push, end }
}

const readLine = <Line>(form: Form<Line>, bytes: Uint8Array): Line | undefined => {
  try {
    const parsed = parseCanonical(UTF8.decode(bytes))
    if (Result.isFailure(parsed)) return undefined
    return Result.getOrUndefined(form.decode(parsed.success))
  } catch {
    return undefined
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const refuse = (code: BundleCode, detail: string) => Result.fail({ code, detail })

const settled = <Line>(read: Read<Line>) =>
  Effect.mapError(
    Effect.fromResult(read),
    (refusal) => new BundleRefused({ ...refusal, damages: [], missing: [] })
  )

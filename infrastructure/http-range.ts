/** Reads and writes byte ranges (RFC 9110 §14): one range per request, for resumed downloads. */
import { Result } from "effect"

/** Bytes from `start` to `end`, both included, of a content of `size` bytes. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/**
 * Reads a Range header. Undefined when there is none, or one that a server should ignore (another
 * unit, several ranges, no numbers); a failure when it lies outside of the content.
 */
export const readRange = (
  header: string | undefined,
  size: number
): Result.Result<ByteRange, "outside"> | undefined => {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/u.exec(header ?? "")
  const [, from = "", to = ""] = match ?? []
  if (from === "" && to === "") return undefined
  const start = from === "" ? Math.max(0, size - Number(to)) : Number(from)
  const end = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1)
  if (from !== "" && to !== "" && Number(from) > Number(to)) return undefined
  return start > end ? Result.fail("outside") : Result.succeed({ start, end })
}

export const contentRange = ({ start, end }: ByteRange, size: number): string =>
  `bytes ${start}-${end}/${size}`

/** Reads a Content-Range header of an answer; `size` is the whole content's. */
export const readContentRange = (
  header: string | undefined
): (ByteRange & { readonly size: number }) | undefined => {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/u.exec(header ?? "")
  if (match === null) return undefined
  const [start, end, size] = match.slice(1).map(Number)
  return start === undefined || end === undefined || size === undefined
    ? undefined
    : { start, end, size }
}

/**
 * Gives a JSON value its one byte form: RFC 8785 for the subset that Testferry signs and digests
 * (no floats). Two programs that agree on the value agree on the digest.
 */
import { Result } from "effect"

export type Json =
  | null
  | boolean
  | number
  | string
  | ReadonlyArray<Json>
  | { readonly [key: string]: Json }

/**
 * Writes a value in canonical form. Throws a RangeError for what the subset forbids: numbers that
 * are not safe integers, and strings with a lone surrogate. Such a value is a bug in the caller.
 */
export const canonical = (value: Json): string => {
  if (value === null || typeof value === "boolean") return String(value)
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new RangeError(`not a safe integer: ${value}`)
    return String(value)
  }
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw new RangeError("a string has a lone surrogate")
    return JSON.stringify(value)
  }
  if (isList(value)) return `[${value.map(canonical).join(",")}]`
  const keys = Object.keys(value).sort(byCodeUnit)
  return `{${keys.map((key) => `${canonical(key)}:${canonical(value[key] ?? null)}`).join(",")}}`
}

/** Parses text and demands that it was canonical; the failure says nothing but that. */
export const parseCanonical = (text: string): Result.Result<Json, "not canonical"> => {
  try {
    const value: Json = JSON.parse(text)
    return canonical(value) === text ? Result.succeed(value) : Result.fail("not canonical")
  } catch {
    return Result.fail("not canonical")
  }
}

const isList = (value: Json): value is ReadonlyArray<Json> => Array.isArray(value)

const byCodeUnit = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

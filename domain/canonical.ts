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
    return isCanonical(value, text) ? Result.succeed(value) : Result.fail("not canonical")
  } catch {
    return Result.fail("not canonical")
  }
}

/**
 * What JSON.stringify writes back letter for letter is canonical if its keys are in order and its
 * numbers whole: seeing that takes a third of the time of writing it. It writes lone surrogates as
 * escapes, so a text with any is written the long way, as is one that it would write otherwise.
 */
const isCanonical = (value: Json, text: string): boolean =>
  !text.includes("\\ud") && isOrdered(value) && JSON.stringify(value) === text
    ? true
    : canonical(value) === text

const isOrdered = (value: Json): boolean => {
  if (typeof value === "number") return Number.isSafeInteger(value)
  if (typeof value !== "object" || value === null) return true
  if (isList(value)) return value.every(isOrdered)
  let before = ""
  for (const key in value) {
    if (key < before || !isOrdered(value[key] ?? null)) return false
    before = key
  }
  return true
}

const isList = (value: Json): value is ReadonlyArray<Json> => Array.isArray(value)

const byCodeUnit = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

/**
 * Converts values between the program and PostgreSQL, exactly or with an error.
 *
 * postgres.js guesses an array's type from its first element and is wrong for booleans, bytes, dates
 * and bigints; it also turns every number for a boolean column into false, silently. So arrays are
 * written out here as PostgreSQL's own array text, whose type the `::type[]` cast in the statement
 * decides, and the converters of the types below are ours.
 */

/**
 * Turns a parameter into what postgres.js sends: arrays into array text, undefined into NULL.
 *
 * Throws for nested arrays, objects, NaN and integers beyond 2^53 - 1 (except as bigint).
 */
export const toParameter = (value: unknown): Parameter => {
  if (Array.isArray(value)) return arrayText(value)
  switch (typeof value) {
    case "string":
    case "boolean":
      return value
    case "bigint":
      return String(value)
    case "number":
      return exact(value)
    case "undefined":
      return null
    default:
      if (value === null || value instanceof Uint8Array || value instanceof Date) return value
  }
  throw new TypeError(`PostgreSQL cannot take this parameter: ${kind(value)}`)
}

type Parameter = string | number | boolean | null | Uint8Array | Date

// only the kind is named: the value could be personal data in a log
const kind = (value: unknown) => Object.prototype.toString.call(value)

const exact = (value: number): number => {
  if (Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value)) return value
  throw new TypeError(`PostgreSQL cannot take this number exactly: ${value}`)
}

const arrayText = (values: ReadonlyArray<unknown>): string => `{${values.map(element).join(",")}}`

const element = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return quoted(value)
    case "number":
      return String(exact(value))
    case "bigint":
      return String(value)
    case "boolean":
      return value ? "t" : "f"
    case "undefined":
      return "NULL"
    default:
      if (value === null) return "NULL"
      if (value instanceof Uint8Array) return `"\\\\x${hex(value)}"`
      if (value instanceof Date) return `"${value.toISOString()}"`
  }
  throw new TypeError(`PostgreSQL cannot take this array element: ${kind(value)}`)
}

/**
 * Quotes text as an array's element. JSON's quotes are the same but for control characters and lone
 * surrogates, and made ten times faster: documents and sealed bodies pass here by the hundred.
 */
const quoted = (value: string): string => {
  // Base64 and most other text: looking is far cheaper than copying.
  if (!value.includes('"') && !value.includes("\\")) return `"${value}"`
  return CONTROL.test(value) || !value.isWellFormed()
    ? `"${value.replace(/["\\]/g, "\\$&")}"`
    : JSON.stringify(value)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROL = /[\u0000-\u001f]/

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")

/** Reads int8 and numeric. Throws when an integer would not be exact. */
const parseNumber = (text: string): number => {
  const value = Number(text)
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new RangeError(`${text} is too large to be exact`)
  }
  return value
}

const serializeBoolean = (value: unknown): string => {
  if (value === true || value === 1) return "t"
  if (value === false || value === 0) return "f"
  throw new TypeError(`PostgreSQL cannot take this for a boolean: ${kind(value)}`)
}

const serializeBytes = (value: unknown): string => {
  if (value instanceof Uint8Array) return `\\x${hex(value)}`
  throw new TypeError(`PostgreSQL cannot take this for bytes: ${kind(value)}`)
}

const BOOL = 16
const BYTEA = 17
const INT8 = 20
const NUMERIC = 1700

/** What the converted types are read as. */
export interface Converted extends Record<string, unknown> {
  readonly boolean: boolean
  readonly bytea: Uint8Array
  readonly bigint: number
  readonly numeric: number
}

/** postgres.js's option `types`. Bytes come back as a plain Uint8Array, not as a pooled Buffer. */
export const types = {
  boolean: {
    to: BOOL,
    from: [BOOL],
    serialize: serializeBoolean,
    parse: (text: string) => text === "t"
  },
  bytea: {
    to: BYTEA,
    from: [BYTEA],
    serialize: serializeBytes,
    parse: (text: string): Uint8Array => new Uint8Array(Buffer.from(text.slice(2), "hex"))
  },
  bigint: { to: INT8, from: [INT8], serialize: String, parse: parseNumber },
  numeric: { to: NUMERIC, from: [NUMERIC], serialize: String, parse: parseNumber }
}

/** What a test says about an answer, in QTI's words: variables of items and of the whole test. */
import { Schema } from "effect"
import { Millis } from "./id.ts"

/** QTI identifiers are short; the rest is room for what packages invent. */
const IDENTIFIER_MAX = 256
/** An essay; drawings and files go beside the document. */
const VALUE_MAX = 1_048_576
const VALUES_MAX = 10_000

const Identifier = Schema.String.check(Schema.isNonEmpty(), Schema.isMaxLength(IDENTIFIER_MAX))

export const Cardinality = Schema.Literals(["single", "multiple", "ordered", "record"])
export const BaseType = Schema.Literals([
  "boolean",
  "directedPair",
  "duration",
  "file",
  "float",
  "identifier",
  "integer",
  "pair",
  "point",
  "string",
  "uri"
])

/** One value, written as QTI writes it: "A B" for a pair, "x y" for a point, seconds for a duration. */
export const Value = Schema.Struct({
  value: Schema.String.check(Schema.isMaxLength(VALUE_MAX)),
  /** Of a record: which field, and of which type. */
  field: Schema.optionalKey(Identifier),
  baseType: Schema.optionalKey(BaseType)
})

/** `null` values are QTI's null; an empty list is an empty container. They differ. */
export const Variable = Schema.Struct({
  kind: Schema.Literals(["response", "outcome", "trace"]),
  identifier: Identifier,
  cardinality: Cardinality,
  baseType: Schema.NullOr(BaseType),
  values: Schema.NullOr(Schema.Array(Value).check(Schema.isMaxLength(VALUES_MAX))),
  at: Millis
})
export type Variable = typeof Variable.Type

/** The variables of one attempt at one item, or of the whole test when `item` is null. */
export const VariableSet = Schema.Struct({
  item: Schema.NullOr(Identifier),
  /** Position in the test, from 1; 0 for the test itself. */
  position: Schema.Int,
  attempt: Schema.Int,
  variables: Schema.Array(Variable).check(Schema.isMaxLength(10_000))
})
export type VariableSet = typeof VariableSet.Type

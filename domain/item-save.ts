/**
 * Describes what is kept of one item that is played: its answers by attempt, what the player wants to
 * find again, and what was drawn for it. It is a saved part of the session, named by the item.
 */
import { Schema } from "effect"
import { Digest } from "./id.ts"
import type { ItemState } from "./test-state.ts"
import { Variable, type VariableSet } from "./variable.ts"

/** A value as processing sees it: who declared it and when it was written are not its concern. */
export const Known = Schema.Struct({
  identifier: Variable.fields.identifier,
  cardinality: Variable.fields.cardinality,
  baseType: Variable.fields.baseType,
  values: Variable.fields.values
})
export type Known = typeof Known.Type

export const ItemSave = Schema.Struct({
  schema: Schema.Literal("testferry/item/1"),
  /** The page's number of its last save, and what that was: the same may come twice. */
  seq: Schema.Int,
  digest: Schema.NullOr(Digest),
  /** The number with which the page ended an attempt last. */
  ended: Schema.NullOr(Schema.Int),
  playerState: Schema.Json,
  /** Values of template variables, drawn once; null: not drawn yet. */
  templates: Schema.NullOr(Schema.Array(Known))
})
export type ItemSave = typeof ItemSave.Type

/** An item as it is kept: `number` is that of its part, which grows with each change. */
export interface ItemPart {
  readonly number: number
  readonly save: ItemSave
  /** By attempt; the last is the one that is shown. */
  readonly sets: ReadonlyArray<VariableSet>
}

export const NEW_PART: ItemPart = {
  number: 0,
  save: {
    schema: "testferry/item/1",
    seq: 0,
    digest: null,
    ended: null,
    playerState: null,
    templates: null
  },
  sets: []
}

/** A part may not have the name of the whole session's, whatever a package calls its items. */
export const partName = (key: string): string => (key === "session" ? "item session" : key)

export const isAnswer = ({ values }: Known): boolean =>
  values?.some(({ value }) => value !== "") ?? false

/** Values of one kind in the newest attempt. */
export const knownOf = (
  { sets }: ItemPart,
  kind: Variable["kind"] = "response"
): ReadonlyArray<Known> =>
  (sets.at(-1)?.variables ?? [])
    .filter((one) => one.kind === kind && !BUILT_IN.has(one.identifier))
    .map(({ baseType, cardinality, identifier, values }) => ({
      identifier,
      cardinality,
      baseType,
      values
    }))

/** What every item has (QTI 3.0 ASI §2.10); a trace says what nobody could compute. */
const BUILT_IN = new Set(["numAttempts", "duration", "completionStatus"])
export const PENDING = "pendingResponseProcessing"
/** Somebody else scores it: until then what they give has no value. */
export const PENDING_EXTERNAL = "pendingExternalScoring"

interface Said {
  readonly item: ItemState
  readonly index: number
  readonly attempt: number
  readonly responses: ReadonlyArray<Known>
  readonly outcomes: ReadonlyArray<Known>
  readonly templates: ReadonlyArray<Known>
  readonly completed: boolean
  readonly pending: boolean
  readonly external: boolean
  readonly millis: number
  readonly at: number
}

/** Where attempts have no limit, the oldest go: a session holds so much and no more. */
const ATTEMPTS_MAX = 20

/** The part with the variables of an attempt, those of others kept. */
export const withSet = (part: ItemPart, said: Said): ItemPart => ({
  ...part,
  sets: [...part.sets.filter(({ attempt }) => attempt !== said.attempt), setOf(said)].slice(
    -ATTEMPTS_MAX
  )
})

const setOf = (said: Said): VariableSet => {
  const of = listed(said.at)
  return {
    item: said.item.key,
    position: said.index + 1,
    attempt: said.attempt,
    variables: [
      ...of("response", [
        ...said.responses.filter(({ identifier }) => !BUILT_IN.has(identifier)),
        single("numAttempts", "integer", String(said.attempt)),
        single("duration", "duration", String(said.millis / 1_000))
      ]),
      ...of("outcome", [
        ...said.outcomes.filter(({ identifier }) => !BUILT_IN.has(identifier)),
        single("completionStatus", "identifier", said.completed ? "completed" : "incomplete")
      ]),
      ...of("trace", [
        ...said.templates,
        ...(said.pending ? [single(PENDING, "boolean", "true")] : []),
        ...(said.external ? [single(PENDING_EXTERNAL, "boolean", "true")] : [])
      ])
    ]
  }
}

/** What is said of the whole test. `undecided`: conditions that nobody could evaluate. */
export const testSet = (said: {
  readonly outcomes: ReadonlyArray<Known>
  readonly pending: boolean
  /** An item of it is scored by somebody else: what was added up is not all. */
  readonly external: boolean
  readonly undecided: number
  readonly millis: number
  readonly at: number
}): VariableSet => {
  const of = listed(said.at)
  const { external, pending, undecided } = said
  return {
    item: null,
    position: 0,
    attempt: 1,
    variables: [
      ...of("response", [single("duration", "duration", String(said.millis / 1_000))]),
      ...of("outcome", said.outcomes),
      ...of("trace", [
        ...(pending ? [single("pendingOutcomeProcessing", "boolean", "true")] : []),
        ...(external ? [single(PENDING_EXTERNAL, "boolean", "true")] : []),
        ...(undecided > 0 ? [single("undecidedConditions", "integer", String(undecided))] : [])
      ])
    ]
  }
}

const listed =
  (at: number) =>
  (kind: Variable["kind"], all: ReadonlyArray<Known>): ReadonlyArray<Variable> =>
    all.map((one) => ({ kind, ...one, at }))

const single = (identifier: string, baseType: Variable["baseType"], value: string): Known => ({
  identifier,
  cardinality: "single",
  baseType,
  values: [{ value }]
})

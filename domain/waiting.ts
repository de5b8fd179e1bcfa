/** Names what becomes of a note that somebody brought to the office on a stick. */
import { Schema } from "effect"

/** Of the first three a request is kept; an answer is on the stick beside its request. */
export const Brought = Schema.Literals([
  "waiting",
  "known",
  "decided",
  "answer",
  "too-large",
  "no-request",
  "not-signed",
  "too-many"
])
export type Brought = typeof Brought.Type

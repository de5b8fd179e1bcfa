/**
 * Says no in words that a person can act on.
 *
 * Every command ends in a report or in one of these: what did not happen, why, and what to do
 * next, each a plain sentence. The code is stable (scripts match on it); the sentences are not.
 */
import { Schema } from "effect"

export const RefusalCode = Schema.String.check(Schema.isPattern(/^E_[A-Z][A-Z0-9_]{1,60}$/u))

/**
 * Exit status of a refusal: 1 refused or failed, 2 wrong usage, 3 done but with items left
 * (design §9).
 */
export const RefusalExit = Schema.Literals([1, 2, 3])

/** A command did not do what was asked. Crosses the control socket and `--json` unchanged. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  /** Stable, for scripts: `E_CENTRAL_AWAY`. */
  code: RefusalCode,
  /** What did not happen: "The results were not sent." */
  what: Schema.String,
  /** The cause, as far as it is known: "Central did not answer within 30 seconds." */
  why: Schema.String,
  /** The next step: "Check the network cable, then run sync again." */
  todo: Schema.String,
  /** How much it is about, by kind of entity: for doors that say it in other words. */
  kinds: Schema.optionalKey(Schema.Record(Schema.String, Schema.Int)),
  /** 1 unless said otherwise. */
  exit: Schema.optionalKey(RefusalExit)
}) {
  override get message() {
    return this.what
  }
}

/** Tells the exit status of a refusal: its own, or 1. */
export const refusalStatus = (refused: Refused): 1 | 2 | 3 => refused.exit ?? 1

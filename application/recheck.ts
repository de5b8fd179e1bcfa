/**
 * Looks at the bytes of everything that a device holds, and condemns what is no longer sound.
 *
 * The sums that a pull compares are of the digests beside the bodies; a body that changes on the
 * disk leaves them as they are, and so does a row that is lost to the disk. So each body is digested
 * and decoded anew, and the sums are added up anew: when the sums differ, when something can't be
 * read, and otherwise once a day. What is condemned differs from what
 * central offers until the audit has fetched it again. Nothing of this is silent.
 */
import { Clock, Effect, Stream } from "effect"
import { keyText, lookups } from "../domain/entity.ts"
import type { EntityId, OrganisationId } from "../domain/id.ts"
import { checkChange } from "./check.ts"
import { happened } from "./happened.ts"
import { Atomic, Hashing, type Held, HoldingDamaged, Holdings } from "./ports.ts"

/** How old the last look may be: 20,000 bodies take half a second, a pull without news 10 ms. */
const RECHECK_MILLIS = 24 * 3_600_000

/** Of what was condemned the history names so many. */
const NAMED_MAX = 5

/** Rechecks when the last time is a day ago, or later than now: then a clock was set back. */
export const recheckWhenDue = Effect.fn("recheckWhenDue")(function* (organisation: OrganisationId) {
  const holdings = yield* Holdings
  const last = yield* holdings.recheckedAt(organisation)
  const now = yield* Clock.currentTimeMillis
  if (last <= now && now < last + RECHECK_MILLIS) return false
  yield* recheck(organisation)
  return true
})

/** Answers how many entities were condemned now. */
export const recheck = Effect.fn("recheck")(function* (organisation: OrganisationId) {
  const atomic = yield* Atomic
  const hashing = yield* Hashing
  const holdings = yield* Holdings
  const began = yield* Clock.currentTimeMillis
  // In one transaction: what is written meanwhile must not be condemned for what was there before.
  return yield* atomic.run(
    Effect.gen(function* () {
      const wrong: Array<{ readonly id: EntityId; readonly text: string }> = []
      yield* Stream.runForEachArray(holdings.rows(organisation), (rows) =>
        Effect.sync(() => {
          for (const row of rows) {
            if (isSound(row, hashing.sha256)) continue
            wrong.push({ id: row.change.id, text: keyText(row.change) })
          }
        })
      )
      yield* holdings.sumAnew(organisation)
      const now = yield* Clock.currentTimeMillis
      yield* holdings.rechecked(organisation, now)
      if (wrong.length === 0) return 0
      yield* holdings.condemn(
        organisation,
        wrong.map(({ id }) => id)
      )
      const named = wrong.slice(0, NAMED_MAX).map(({ text }) => text)
      yield* happened({
        at: now,
        verb: "audit",
        who: "device",
        organisation,
        outcome: "incomplete",
        millis: Math.max(0, now - began),
        reason: `${wrong.length} damaged on the disk: ${named.join(", ")}${wrong.length > NAMED_MAX ? ", …" : ""}`
      })
      return wrong.length
    })
  )
})

const isSound = ({ change, reader, tag }: Held, sha256: Hashing["Service"]["sha256"]): boolean => {
  const checked = checkChange(change, sha256)
  if (typeof checked === "string") return false
  const found = lookups(checked.entity)
  return found.tag === tag && found.reader === reader
}

/**
 * Runs an effect; when it meets something that can't be read, rechecks these organisations and runs
 * it once more without that. Fails with HoldingDamaged when it can't do without it.
 */
export const rechecking =
  (organisations: ReadonlyArray<OrganisationId>) =>
  <A, E, R>(effect: Effect.Effect<A, E | HoldingDamaged, R>) =>
    Effect.catchIf(
      effect,
      (error) => error instanceof HoldingDamaged,
      () => Effect.andThen(Effect.forEach(organisations, recheck), effect)
    )

/** The same for what can do without anything that was condemned; it is a defect if it can't. */
export const recheckingAlways =
  (organisations: ReadonlyArray<OrganisationId>) =>
  <A, E, R>(effect: Effect.Effect<A, E | HoldingDamaged, R>) =>
    Effect.catchIf(
      rechecking(organisations)(effect),
      (error) => error instanceof HoldingDamaged,
      (error) => Effect.die(error)
    )

/** Says whether a delivery may be sat now, from the delivery's and the eligibility's words. */
import type { Delivery, Eligibility, Period } from "./entity.ts"

export type Sitting = "open" | "not-yet" | "over"

/** Both periods must be open: the delivery's for everybody, the eligibility's for this center. */
export const sitting = (
  now: number,
  delivery: Pick<Delivery, "period">,
  eligibility: Pick<Eligibility, "period">
): Sitting => {
  const states = [stateOf(now, delivery.period), stateOf(now, eligibility.period)]
  if (states.includes("over")) return "over"
  return states.includes("not-yet") ? "not-yet" : "open"
}

const stateOf = (now: number, { from, to }: Period): Sitting => {
  if (to !== undefined && now >= to) return "over"
  return from !== undefined && now < from ? "not-yet" : "open"
}

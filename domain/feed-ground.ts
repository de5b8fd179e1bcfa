/**
 * Judges whether the changes that a bundle brings for an organisation can be built upon what a
 * device holds: nothing may be missing in between, and central's life may not go back (format §2.6).
 */
import { Result } from "effect"
import type { FeedPart } from "./bundle-index.ts"
import type { BundleCode, Refusal } from "./bundle-refusal.ts"
import { type Cursor, isLaterLife } from "./feed.ts"

/** `ahead`: the device has come further by another road, and there is nothing to take. */
export type FeedJudgement = "pull" | "ahead"

/** Refuses with E_EPOCH or E_GAP. `cursor` is what the device has applied. */
export const judgeFeed = (
  feed: FeedPart,
  cursor: Cursor
): Result.Result<FeedJudgement, Refusal> => {
  const { base, epoch, head, organisation } = feed
  if (cursor.version === 0) {
    return base === 0 ? Result.succeed("pull") : gap(organisation, base, "nothing")
  }
  if (cursor.epoch !== epoch) {
    if (!isLaterLife(epoch, cursor.epoch)) {
      return refuse("E_EPOCH", `its data of ${organisation} is from an earlier life of central`)
    }
    return base === 0 ? Result.succeed("pull") : gap(organisation, base, "another life of central")
  }
  if (cursor.version < base) return gap(organisation, base, `version ${cursor.version}`)
  return Result.succeed(cursor.version > head ? "ahead" : "pull")
}

const gap = (organisation: string, base: number, held: string) =>
  refuse("E_GAP", `its data of ${organisation} follows version ${base}, and here is ${held}`)

const refuse = (code: BundleCode, detail: string) => Result.fail({ code, detail })

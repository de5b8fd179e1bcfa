/**
 * Saves answers one after the other, the newest last, and again until the device says that they are
 * on its disk. Nobody goes on past an answer that is not. What the device refuses is not sent again:
 * it would be refused for ever.
 */
import { isRefusal } from "./api.mjs"

/** So that a word is saved, not each of its letters; a cut of the power costs no more than this. */
const QUIET_MILLIS = 400
const AGAIN_MILLIS = 4_000

/**
 * `send()` saves what is answered now; `told("saving" | "saved" | trouble)` shows how it went. After
 * a refusal nothing is pending any more.
 */
export const makeSaver = ({ send, told }) => {
  let wanted = 0
  let kept = 0
  let running = null
  let timer = null
  const run = async () => {
    clearTimeout(timer)
    timer = null
    while (kept < wanted) {
      const at = wanted
      told("saving")
      try {
        await send()
        kept = at
        if (kept === wanted) told("saved")
      } catch (trouble) {
        if (isRefusal(trouble)) kept = wanted
        else timer = setTimeout(quietly, AGAIN_MILLIS)
        told(trouble)
        throw trouble
      }
    }
  }
  const start = () => {
    running ??= run().finally(() => {
      running = null
    })
    return running
  }
  const quietly = () => start().catch(() => {})
  const drop = () => {
    clearTimeout(timer)
    timer = null
    wanted = kept
  }
  return {
    changed: () => {
      wanted += 1
      if (timer === null) timer = setTimeout(quietly, QUIET_MILLIS)
    },
    /** Ends when everything is saved; fails when it could not be. */
    flush: async () => {
      while (kept < wanted) await start()
    },
    again: quietly,
    isPending: () => kept < wanted,
    stop: drop
  }
}

/** Does what a proctor presses: asks for a reason where one is needed, and tells how it went. */
import { confirmIn } from "./dialogs.mjs"
import { number } from "./units.mjs"
import { askForReason, chooseAct } from "./watch-dialogs.mjs"
import { focusPerson, minutesOf, moreOf, nameOf } from "./watch-rows.mjs"
import { t } from "./words.mjs"

/** Where the act of the page is named otherwise at the door. */
const DOORS = { extra: "extra-time" }
const PROBLEMS = {
  "wrong-stage": "p_stage",
  stale: "p_stage",
  ended: "p_ended",
  "not-found": "p_gone",
  locked: "p_locked",
  "disk-full": "p_disk",
  "too-large": "p_large",
  "no-results-key": "p_keys",
  "not-enrolled": "p_keys"
}

/** `tell(problems, done)` shows what failed, or what was done; `left()` is called where nobody is logged in any more. */
export const makeActs = ({ left, look, post, tell }) => {
  const busy = new Set()
  /** Answers the problem in words, or null. */
  const send = async (act, session, body) => {
    const { execution } = session
    if (busy.has(execution)) return null
    busy.add(execution)
    const name = nameOf(session)
    try {
      await post(`/sessions/${encodeURIComponent(execution)}/${doorOf(act, session)}`, body)
      return null
    } catch (trouble) {
      const { code, status } = trouble
      if (status === 401) throw trouble
      return status === 0 ? t("p_away", { name }) : t(PROBLEMS[code] ?? "p_other", { code, name })
    } finally {
      busy.delete(execution)
    }
  }
  const run = async (act, sessions, body) => {
    const problems = []
    try {
      for (const session of sessions) {
        const problem = await send(act, session, body)
        if (problem !== null) problems.push(problem)
      }
    } catch {
      return left()
    }
    tell(problems, problems.length === 0 ? doneText(act, sessions, body) : "")
    return look()
  }
  const one = async (act, session) => {
    const body = await bodyFor(act, session)
    if (body === null) return
    await run(act, [session], body)
    if (document.activeElement !== document.body || focusPerson("more", session.execution)) return
    document.querySelector('.filters [aria-pressed="true"]')?.focus({ preventScroll: true })
  }
  return {
    one,
    more: (session) =>
      chooseAct(nameOf(session), session.label, moreOf(session), (act) => one(act, session)),
    all: async (act, sessions) => {
      const body = act === "pause" ? await reasonFor("t_all", t("everybody"), false) : {}
      if (body !== null) await run(act, sessions, body)
    }
  }
}

/**
 * Whoever a proctor paused goes on at once. Whoever else stopped (a cut of the power, a break) may not
 * be back yet: their time goes on when they are.
 */
const doorOf = (act, { pausedBy }) =>
  act === "resume" && pausedBy !== "proctor" ? "authorise" : (DOORS[act] ?? act)

const doneText = (act, sessions, body) => {
  const [first] = sessions
  if (first === undefined) return ""
  const name = sessions.map(nameOf).join(", ")
  const minutes = number(Math.max(0, minutesOf(first) + (body.minutes ?? 0)))
  return t(`d_${act}`, { name, minutes })
}

/** What is sent along; null: the proctor thought better of it. */
const bodyFor = async (act, session) => {
  const name = nameOf(session)
  if (act === "authorise" || act === "withdraw" || act === "pause" || act === "resume") return {}
  const body = await reasonFor(`t_${act}`, name, act === "extra")
  if (body === null || (act !== "terminate" && act !== "cancel")) return body
  const terminates = act === "terminate"
  const yes = await confirmIn({
    title: t(terminates ? "sureTerminate" : "sureCancel", { name }),
    text: t(terminates ? "sureTerminateText" : "sureCancelText"),
    yes: t(terminates ? "sureYes" : "sureCancelYes"),
    no: t("sureNo")
  })
  return yes ? body : null
}

const reasonFor = (title, name, withMinutes) => askForReason(t(title, { name }), withMinutes)

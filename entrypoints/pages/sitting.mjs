/** The test itself: one question after the other, as the device says. */
import { get, isRefusal, post, put } from "./api.mjs"
import { makeClock } from "./clock.mjs"
import { askToFinish, showNotKept, showOverview } from "./dialogs.mjs"
import { el, say, show } from "./elements.mjs"
import { showQuestion } from "./question.mjs"
import { makeSaver } from "./saver.mjs"
import { makePage } from "./sitting-page.mjs"
import { refusalText, t } from "./words.mjs"

/** How soon a pause or an end by the proctor is noticed. */
const WATCH_MILLIS = 2_500

/** With these the test can't go on in this page; a save that is only late is no reason. */
const LEAVES = new Set(["login-needed", "ended", "paused", "awaiting", "wrong-stage", "not-found"])

/** What could not be saved when a test was interrupted, until the same person goes on with it. */
let unsaved = null

/** Sits until the test is finished (`left("finished")`), or interrupted (`left(trouble)`). */
export const sit = async (execution, left) => {
  const base = `/executions/${encodeURIComponent(execution)}`
  const page = makePage()
  let view = null
  let question = null
  let ref = null
  let seq = 0
  let opened = 0
  let busy = false
  let coming = null
  let extra = null
  let gone = false
  const itemPath = () => `${base}/play/items/${encodeURIComponent(ref)}`
  const answerNow = () => {
    seq += 1
    return {
      seq,
      responses: question.responses(),
      playerState: question.playerState(),
      valid: question.isValid(),
      durationMillis: Math.round(performance.now() - opened)
    }
  }
  const saver = makeSaver({
    send: () => put(`${itemPath()}/responses`, answerNow()),
    told: (how) => {
      if (!(how instanceof Error)) return page.saved(how)
      if (LEAVES.has(how.code)) leave(how)
      else if (isRefusal(how)) comeBack(how, question.words())
      else page.saved(how, saver.again)
    }
  })
  const leave = (how) => {
    // Two answers may say it at once.
    if (gone) return
    gone = true
    unsaved = saver.isPending() ? { execution, ref, responses: question.responses() } : null
    clearInterval(watch)
    clock.stop()
    saver.stop()
    page.closeAll()
    left(how)
  }
  const failed = (trouble) => {
    if (LEAVES.has(trouble.code)) leave(trouble)
    else if (!saver.isPending()) page.trouble(trouble)
  }
  const guarded = async (work) => {
    if (busy || coming !== null) return
    busy = true
    page.busy(true)
    try {
      question?.settle()
      await saver.flush()
      await work()
    } catch (trouble) {
      if (isRefusal(trouble) && !LEAVES.has(trouble.code)) await comeBack(trouble)
      else failed(trouble)
    } finally {
      busy = false
      page.busy(false)
    }
  }
  /** Says what was refused, and goes where the device says; `lost`: an answer that was not kept. */
  const comeBack = (refusal, lost) => {
    coming ??= cameBack(refusal, lost).finally(() => {
      coming = null
      page.busy(busy)
    })
    return coming
  }
  const cameBack = async (refusal, lost) => {
    const n = placeOf(ref)
    page.saved("")
    page.busy(true)
    try {
      await turn(await get(`${base}/play`), lost !== undefined)
    } catch (trouble) {
      failed(trouble)
    }
    const why = refusalText(refusal)
    if (gone) return
    if (lost === undefined) page.tell(why)
    else showNotKept({ n, why, answer: lost })
  }
  const placeOf = (wanted) => (view?.items.findIndex((each) => each.ref === wanted) ?? -1) + 1
  const move = (to, reason) => post(`${base}/play/move`, { from: ref, to, reason }).then(turn)
  /** Shows where the device says that one stands; `anew`: the item is not as it was. */
  const turn = async (next, anew = false) => {
    view = next
    clock.set(view.timers)
    const isNew = anew || view.current !== ref || (question === null && ref !== null)
    try {
      if (isNew) await open()
    } finally {
      // Without a question there are still ways on.
      page.render(view, question, actions)
    }
    if (isNew) page.opened()
  }
  const open = async () => {
    question?.remove()
    question = null
    page.tell("")
    ref = view.current
    if (ref === null) return page.place.replaceChildren(el("p", {}, t("allSeenText")))
    const item = await get(itemPath())
    opened = performance.now()
    seq = Math.max(seq, item.saved?.seq ?? 0)
    const late = unsaved?.execution === execution && unsaved.ref === ref ? unsaved : null
    unsaved = null
    try {
      question = await showQuestion({
        changed: () => {
          saver.changed()
          page.render(view, question, actions)
        },
        ended: () => guarded(endAttempt),
        item: late === null ? item : { ...item, saved: { ...item.saved, ...late } },
        label: t("answerTo", { n: placeOf(ref) }),
        order: `${execution} ${ref} ${item.attempt}`,
        place: page.place
      })
    } catch {
      return page.tell(t("notOpenable"))
    }
    if (late !== null && !question.isClosed) saver.changed()
  }
  const endAttempt = async () => {
    if (!isIndividual()) return
    await turn(await post(`${itemPath()}/end-attempt`, answerNow()), true)
    page.told(t(question?.isClosed ? "handedInLast" : "handedIn"))
  }
  const isIndividual = () => {
    const { part } = view.items[placeOf(ref) - 1]
    return view.parts.find(({ identifier }) => identifier === part)?.submissionMode === "individual"
  }
  /** What the rules want before the answer may be left, where they want something. */
  const missing = () => {
    if (question === null || question.isClosed) return undefined
    if (!question.isAnswered()) return view.rules.allowSkipping ? undefined : t("needAnswer")
    return view.rules.validateResponses && !question.isValid() ? t("needWhole") : undefined
  }
  const unless = (problem, work) => (problem === undefined ? work() : page.tell(problem))
  const actions = {
    next: () =>
      guarded(() =>
        unless(missing(), () => {
          const isSkipped = question !== null && !question.isClosed && !question.isAnswered()
          return move("next", isSkipped ? "skip" : "move")
        })
      ),
    previous: () => guarded(() => move("previous", "move")),
    go: (to) => guarded(() => move(to, "move")),
    handIn: () => guarded(() => unless(missing(), endAttempt)),
    flag: () =>
      guarded(async () => {
        const flagged = !view.items.find((each) => each.ref === ref)?.flagged
        await turn(await post(`${itemPath()}/flag`, { flagged }))
      }),
    overview: () => showOverview(view, actions.go),
    finish: () =>
      guarded(async () => {
        await turn(await get(`${base}/play`))
        askToFinish(view, () =>
          guarded(async () => {
            await post(`${base}/play/complete`, { early: true })
            leave("finished")
          })
        )
      })
  }
  const clock = makeClock({
    shown: page.time,
    over: () =>
      guarded(async () => {
        say(t("timeOver"))
        await move("next", "timeout")
      })
  })
  const begin = () => guarded(async () => turn(await get(`${base}/play`)))
  /** A proctor gave time, or took it back: only the clock changes, whatever is being written. */
  const countAnew = async (granted) => {
    const now = await get(`${base}/play`).catch(() => null)
    if (now === null) return
    const isNews = extra !== null
    extra = granted
    if (clock.set(now.timers) && isNews) say(t("timeAnew", { time: clock.left() }))
  }
  const watch = setInterval(async () => {
    const session = await get(base).catch(() => null)
    if (session === null) return
    if (session.stage !== "started") return leave({ code: session.stage })
    if (view === null) await begin()
    if (extra !== session.extraMillis) await countAnew(session.extraMillis)
  }, WATCH_MILLIS)
  addEventListener("pagehide", () => question?.settle())
  show(page.whole)
  await begin()
}

/** The test itself: one question after the other, as the device says. */
import { get, post, put } from "./api.mjs"
import { makeClock } from "./clock.mjs"
import { askToFinish, showOverview } from "./dialogs.mjs"
import { el, say, show } from "./elements.mjs"
import { showQuestion } from "./question.mjs"
import { makeSaver } from "./saver.mjs"
import { t } from "./words.mjs"

/** How soon a pause or an end by the proctor is noticed. */
const WATCH_MILLIS = 2_500

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
  let extra = null
  let gone = false
  const nextSeq = () => {
    seq += 1
    return seq
  }
  const itemPath = () => `${base}/play/items/${encodeURIComponent(ref)}`
  const saver = makeSaver({
    send: () =>
      put(`${itemPath()}/responses`, {
        seq: nextSeq(),
        responses: question.responses(),
        playerState: question.playerState(),
        valid: question.isValid(),
        durationMillis: Math.round(performance.now() - opened)
      }),
    told: (how) => {
      if (how instanceof Error && LEAVES.has(how.code)) return leave(how)
      page.saved(how, saver.again)
    }
  })
  const leave = (how) => {
    // Two answers may say it at once.
    if (gone) return
    gone = true
    clearInterval(watch)
    clock.stop()
    saver.stop()
    page.closeAll()
    left(how)
  }
  const guarded = async (work) => {
    if (busy) return
    busy = true
    page.busy(true)
    try {
      question?.settle()
      await saver.flush()
      await work()
    } catch (trouble) {
      if (LEAVES.has(trouble.code)) leave(trouble)
      else if (!saver.isPending()) page.trouble(trouble)
    } finally {
      busy = false
      page.busy(false)
    }
  }
  const move = (to, reason) => post(`${base}/play/move`, { from: ref, to, reason }).then(turn)
  const turn = async (next) => {
    view = next
    clock.set(view.timers)
    if (view.current !== ref) {
      question?.remove()
      question = null
      ref = view.current
      if (ref === null) page.place.replaceChildren(el("p", {}, t("allSeenText")))
      else await open()
    }
    page.render(view, question, actions)
  }
  const open = async () => {
    const item = await get(itemPath())
    opened = performance.now()
    seq = Math.max(seq, item.saved?.seq ?? 0)
    const at = view.items.findIndex((each) => each.ref === ref) + 1
    question = await showQuestion({
      changed: () => {
        saver.changed()
        page.render(view, question, actions)
      },
      label: t("answerTo", { n: at }),
      order: `${execution} ${ref} ${item.attempt}`,
      place: page.place,
      saved: item.saved,
      xml: item.xml
    })
    page.opened()
  }
  const actions = {
    next: () =>
      guarded(async () => {
        const unanswered = question !== null && !question.isAnswered()
        if (unanswered && !view.rules.allowSkipping) return page.tell(t("needAnswer"))
        if (!unanswered && view.rules.validateResponses && !question.isValid()) {
          return page.tell(t("needAnswer"))
        }
        await move("next", unanswered ? "skip" : "move")
      }),
    previous: () => guarded(() => move("previous", "move")),
    go: (to) => guarded(() => move(to, "move")),
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
    if (extra !== session.extraMillis) await countAnew(session.extraMillis)
  }, WATCH_MILLIS)
  addEventListener("pagehide", () => question?.settle())
  show(page.whole)
  try {
    await turn(await get(`${base}/play`))
  } catch (trouble) {
    if (LEAVES.has(trouble.code)) leave(trouble)
    else page.trouble(trouble)
  }
}

/** With these the test can't go on in this page; a save that is only late is no reason. */
const LEAVES = new Set(["login-needed", "ended", "paused", "awaiting", "wrong-stage", "not-found"])

const makePage = () => {
  const heading = el("h1", { class: "position" })
  const title = el("p", { class: "title" })
  const time = el("p", { class: "time", role: "timer" })
  const saved = el("p", { class: "saved", role: "status" })
  const notice = el("p", { class: "notice", role: "alert" })
  const place = el("div", { class: "question" }, el("p", {}, t("loading")))
  const footer = el("footer", { class: "bar" })
  const dialog = el("dialog", { class: "alarm", role: "alertdialog", "aria-labelledby": "alarm" })
  dialog.addEventListener("cancel", (event) => event.preventDefault())
  const whole = el(
    "div",
    { class: "sitting" },
    el("header", { class: "top" }, el("div", {}, title, heading), el("div", {}, time, saved)),
    el("main", {}, notice, place),
    footer,
    dialog
  )
  const shut = () => dialog.open && dialog.close()
  return {
    whole,
    place,
    time: (text) => {
      time.textContent = text
    },
    busy: (is) => {
      footer.inert = is
    },
    tell: (text) => {
      notice.textContent = text
    },
    trouble: ({ code, status }) => {
      notice.textContent = status === 0 ? t("unreachable") : t("failed", { code: code ?? "page" })
    },
    opened: () => {
      notice.textContent = ""
      saved.textContent = ""
      saved.classList.remove("done")
      heading.setAttribute("tabindex", "-1")
      heading.focus({ preventScroll: true })
      scrollTo(0, 0)
    },
    closeAll: () => {
      for (const open of document.querySelectorAll("dialog[open]")) open.close()
    },
    saved: (how, again) => {
      saved.textContent = how === "saved" ? t("saved") : how === "saving" ? t("saving") : ""
      saved.classList.toggle("done", how === "saved")
      if (how === "saved") shut()
      if (!(how instanceof Error) || dialog.open) return
      dialog.replaceChildren(
        el("h2", { id: "alarm" }, t("notSavedTitle")),
        el("p", {}, t("notSavedText")),
        el("p", {}, how.code === "disk-full" ? t("notSavedDisk") : ""),
        el("button", { type: "button", class: "main", onclick: again }, t("again"))
      )
      dialog.showModal()
    },
    render: (view, question, actions) => {
      const at = view.items.findIndex(({ ref }) => ref === view.current)
      const here = view.items[at]
      title.textContent = view.title
      heading.textContent =
        here === undefined ? t("allSeen") : t("question", { n: at + 1, count: view.items.length })
      document.title = `${heading.textContent} - ${view.title}`
      const skips = question !== null && !question.isAnswered() && view.rules?.allowSkipping
      const focused = document.activeElement?.getAttribute("data-act")
      const act = (name, label, more = {}) =>
        el("button", { type: "button", "data-act": name, onclick: actions[name], ...more }, label)
      const isLast = view.current === null || view.isLast
      footer.replaceChildren(
        act("previous", t("previous"), { disabled: view.rules?.canMoveBackward !== true }),
        act("overview", t("overview")),
        here === undefined
          ? ""
          : act("flag", here.flagged ? `⚑ ${t("flagged")}` : `⚐ ${t("flag")}`, {
              "aria-pressed": String(here.flagged)
            }),
        el("span", { class: "room" }),
        act("finish", t("finish"), { class: isLast ? "main" : "" }),
        isLast ? "" : act("next", skips ? t("skip") : t("next"), { class: "main" })
      )
      if (focused) footer.querySelector(`[data-act="${focused}"]`)?.focus()
    }
  }
}

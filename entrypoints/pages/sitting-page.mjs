/** What stands around a question: where one is, the time, what became of the answer, the buttons. */
import { el } from "./elements.mjs"
import { t } from "./words.mjs"

export const makePage = () => {
  const heading = el("h1", { class: "position", tabindex: "-1" })
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
  /** The button that a keyboard stood on before it was made anew, or could not be pressed. */
  let stood = null
  const standAgain = () => {
    const isLost = document.activeElement === null || document.activeElement === document.body
    if (stood !== null && isLost) footer.querySelector(`[data-act="${stood}"]`)?.focus()
  }
  const note = (text, isDone) => {
    saved.textContent = text
    saved.classList.toggle("done", isDone)
  }
  return {
    whole,
    place,
    time: (text) => {
      time.textContent = text
    },
    /** While the device is asked nothing can be pressed, nor answered. */
    busy: (is) => {
      if (is) stood = document.activeElement?.getAttribute("data-act") ?? stood
      footer.inert = is
      place.inert = is
      if (is) return
      standAgain()
      stood = null
    },
    tell: (text) => {
      notice.textContent = text
    },
    told: (text) => note(text, true),
    trouble: ({ code, status }) => {
      notice.textContent = status === 0 ? t("unreachable") : t("failed", { code: code ?? "page" })
    },
    opened: () => {
      note("", false)
      stood = null
      heading.focus({ preventScroll: true })
      place.parentElement.scrollTo(0, 0)
      scrollTo(0, 0)
    },
    closeAll: () => {
      for (const open of document.querySelectorAll("dialog[open]")) open.close()
    },
    saved: (how, again) => {
      note(how === "saved" ? t("saved") : how === "saving" ? t("saving") : "", how === "saved")
      if (how instanceof Error) alarm(dialog, how, again)
      else if (how !== "saving" && dialog.open) dialog.close()
    },
    render: (view, question, actions) => {
      const at = view.items.findIndex(({ ref }) => ref === view.current)
      const here = view.items[at]
      title.textContent = view.title
      heading.textContent =
        here === undefined ? t("allSeen") : t("question", { n: at + 1, count: view.items.length })
      document.title = `${heading.textContent} - ${view.title}`
      stood = document.activeElement?.getAttribute("data-act") ?? stood
      footer.replaceChildren(...buttons(view, here, question, actions))
      standAgain()
    }
  }
}

const alarm = (dialog, trouble, again) => {
  if (dialog.open) return
  dialog.replaceChildren(
    el("h2", { id: "alarm" }, t("notSavedTitle")),
    el("p", {}, t("notSavedText")),
    el("p", {}, trouble.code === "disk-full" ? t("notSavedDisk") : ""),
    el("button", { type: "button", class: "main", onclick: again }, t("again"))
  )
  dialog.showModal()
}

const buttons = (view, here, question, actions) => {
  const skips =
    question !== null &&
    !question.isClosed &&
    !question.isAnswered() &&
    view.rules?.allowSkipping === true
  const act = (name, label, more = {}) =>
    el("button", { type: "button", "data-act": name, onclick: actions[name], ...more }, label)
  const isLast = view.current === null || view.isLast
  return [
    act("previous", t("previous"), { disabled: view.rules?.canMoveBackward !== true }),
    act("overview", t("overview")),
    here === undefined
      ? ""
      : act("flag", here.flagged ? `⚑ ${t("flagged")}` : `⚐ ${t("flag")}`, {
          "aria-pressed": String(here.flagged)
        }),
    el("span", { class: "room" }),
    ...(isTriedAgain(view, here, question)
      ? [
          el("span", { class: "tries", id: "tries" }, triesText(view.rules)),
          act("handIn", t("handIn"), { "aria-describedby": "tries" })
        ]
      : []),
    act("finish", t("finish"), { class: isLast ? "main" : "" }),
    isLast ? "" : act("next", skips ? t("skip") : t("next"), { class: "main" })
  ]
}

/** Where there is one try, it ends by going on. */
const isTriedAgain = ({ parts, rules }, here, question) =>
  question !== null &&
  !question.isClosed &&
  rules !== null &&
  rules.maxAttempts !== 1 &&
  parts.find(({ identifier }) => identifier === here?.part)?.submissionMode === "individual"

const triesText = ({ remainingAttempts }) =>
  remainingAttempts === null ? t("triesFree") : t("triesLeft", { count: remainingAttempts })

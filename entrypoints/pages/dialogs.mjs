/** The two windows over a question: where one is in the test, and whether to end it. */
import { el } from "./elements.mjs"
import { t } from "./words.mjs"

const open = (dialog) => {
  document.body.append(dialog)
  dialog.addEventListener("close", () => dialog.remove())
  dialog.showModal()
}

/** All questions with what was done about them; `go(ref)` opens one. */
export const showOverview = (view, go) => {
  const dialog = el("dialog", { class: "overview", "aria-labelledby": "overview" })
  const rows = view.items.map((item, at) => {
    const marks = [
      item.ref === view.current ? t("current") : null,
      item.answered ? t("answered") : t("notAnswered"),
      item.flagged ? t("flagged") : null,
      item.canOpen || item.ref === view.current ? null : t("shut")
    ].filter((mark) => mark !== null)
    const button = el(
      "button",
      {
        type: "button",
        disabled: !item.canOpen,
        "aria-current": item.ref === view.current ? "step" : null,
        class: item.answered ? "answered" : "",
        onclick: () => {
          dialog.close()
          if (item.ref !== view.current) go(item.ref)
        }
      },
      el("b", {}, `${item.flagged ? "⚑ " : ""}${at + 1}`),
      el("span", {}, marks.join(", "))
    )
    return el("li", {}, button)
  })
  const close = el("button", { type: "button", class: "main", onclick: () => dialog.close() })
  close.append(t("close"))
  dialog.append(el("h2", { id: "overview" }, t("overview")), el("ol", {}, ...rows), close)
  open(dialog)
}

export const askToFinish = (view, yes) => {
  const dialog = el("dialog", { "aria-labelledby": "finish" })
  const unanswered = view.items.filter(({ answered }) => !answered).length
  const button = (label, main, act) =>
    el(
      "button",
      {
        type: "button",
        class: main ? "main" : "",
        onclick: () => {
          dialog.close()
          act()
        }
      },
      label
    )
  dialog.append(
    el("h2", { id: "finish" }, t("finishTitle")),
    unanswered > 0 ? el("p", {}, t("finishOpen", { count: unanswered })) : "",
    el("p", {}, t("finishText")),
    el(
      "div",
      { class: "choice" },
      button(t("finishNo"), false, () => {}),
      button(t("finishYes"), true, yes)
    )
  )
  open(dialog)
}

/** Says that an answer was not kept, and which one it was: it may be wanted once more. */
export const showNotKept = ({ answer, n, why }) => {
  const dialog = el("dialog", {
    class: "alarm",
    role: "alertdialog",
    "aria-labelledby": "lost",
    "aria-describedby": "lost-why"
  })
  const close = el("button", { type: "button", class: "main", onclick: () => dialog.close() })
  close.append(t("understood"))
  dialog.append(
    el("h2", { id: "lost" }, t("notKeptTitle")),
    el("p", { id: "lost-why" }, why),
    answer === "" ? "" : el("p", { id: "lost-which" }, t("notKeptAnswer", { n })),
    answer === ""
      ? ""
      : el(
          "p",
          { class: "lost", dir: "auto", tabindex: "0", "aria-labelledby": "lost-which" },
          answer
        ),
    close
  )
  open(dialog)
  close.focus()
}

/**
 * Asks before something that can't be taken back; answers whether to go on. `detail`: an element
 * that says of what.
 */
export const confirmIn = ({ detail, no, text, title, yes }) =>
  new Promise((resolve) => {
    const dialog = el("dialog", { "aria-labelledby": "sure" })
    const button = (label, main, answer) =>
      el(
        "button",
        {
          type: "button",
          class: main ? "main" : "",
          onclick: () => {
            resolve(answer)
            dialog.close()
          }
        },
        label
      )
    dialog.append(
      el("h2", { id: "sure" }, title),
      el("p", {}, text),
      detail ?? "",
      el("div", { class: "choice" }, button(no, true, false), button(yes, false, true))
    )
    dialog.addEventListener("cancel", () => resolve(false))
    open(dialog)
  })

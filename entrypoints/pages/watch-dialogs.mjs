/** The windows over the room: what else can be done, why, and how many minutes. */
import { el } from "./elements.mjs"
import { focusPerson } from "./watch-rows.mjs"
import { t } from "./words.mjs"

/** As `EXTRA_MINUTES_MAX` and the longest comment of the door. */
const MINUTES_MAX = 24 * 60
const COMMENT_MAX = 2_000

/** What is written into the log is the same in every language; only what is read here is not. */
const REASONS = {
  Environment: {
    key: "r_environment",
    of: {
      "Power outage": "r_power",
      Noise: "r_noise",
      Weather: "r_weather",
      Evacuation: "r_evacuation"
    }
  },
  "Test-taker": {
    key: "r_person",
    of: {
      Break: "r_break",
      Ill: "r_ill",
      Late: "r_late",
      "Left the room": "r_left",
      "Disturbs others": "r_disturbs",
      "Cheating suspected": "r_cheating",
      "Wrong person": "r_identity"
    }
  },
  Technical: {
    key: "r_technical",
    of: { Computer: "r_computer", Network: "r_network", "Test content": "r_content" }
  },
  Support: {
    key: "r_support",
    of: { Accommodation: "r_accommodation", "Lost time": "r_lost" }
  },
  Staff: { key: "r_staff", of: { "Mistake of a proctor": "r_mistake" } },
  Other: { key: "r_other", of: { "See comment": "r_comment" } }
}

const open = (dialog) => {
  const before = document.activeElement
  document.body.append(dialog)
  dialog.addEventListener("close", () => {
    dialog.remove()
    // The browser gives the focus back itself, but not to a button that was drawn anew meanwhile.
    if (document.activeElement !== document.body || before === null) return
    focusPerson(before.dataset.act, before.dataset.execution)
  })
  dialog.showModal()
}

const button = (label, onclick, how = "") =>
  el("button", { type: "button", class: how, onclick }, label)

/** Offers the acts that are not in the row. */
export const chooseAct = (name, test, acts, choose) => {
  const dialog = el("dialog", { class: "acts", "aria-labelledby": "acts-of" })
  dialog.append(
    el("h2", { id: "acts-of" }, name),
    el("p", {}, test),
    el(
      "div",
      { class: "list" },
      ...acts.map((act) =>
        button(
          t(`a_${act}`),
          () => {
            dialog.close()
            choose(act)
          },
          act === "terminate" || act === "cancel" ? "danger" : ""
        )
      ),
      button(t("close"), () => dialog.close())
    )
  )
  open(dialog)
}

/** Answers `{ reason }`, with minutes `{ minutes, reason }`; null where nothing shall be done. */
export const askForReason = (title, withMinutes) =>
  new Promise((resolve) => {
    const dialog = el("dialog", { class: "reason", "aria-labelledby": "reason-for" })
    const minutes = el("input", {
      id: "minutes",
      type: "number",
      required: true,
      min: -MINUTES_MAX,
      max: MINUTES_MAX,
      step: 1,
      value: 10
    })
    const reason = reasons(withMinutes)
    const comment = el("textarea", { id: "comment", rows: 3, maxlength: COMMENT_MAX, dir: "auto" })
    const submit = (event) => {
      event.preventDefault()
      const [category, subcategory] = JSON.parse(reason.value)
      const said = comment.value.trim()
      resolve({
        ...(withMinutes ? { minutes: minutes.valueAsNumber } : {}),
        reason: { category, subcategory, comment: said === "" ? null : said }
      })
      dialog.close()
    }
    dialog.append(
      el("h2", { id: "reason-for" }, title),
      el(
        "form",
        { method: "dialog", onsubmit: submit },
        ...(withMinutes ? [el("label", { for: "minutes" }, t("minutes")), minutes] : []),
        el("label", { for: "reason" }, t("reason")),
        reason,
        el("label", { for: "comment" }, t("comment")),
        comment,
        el(
          "div",
          { class: "choice" },
          button(t("stopAct"), () => dialog.close()),
          el("button", { class: "main" }, t("goOnAct"))
        )
      )
    )
    // After an answer was given, this one is not heard any more.
    dialog.addEventListener("close", () => resolve(null))
    open(dialog)
  })

const reasons = (withMinutes) => {
  const option = (category, subcategory, key) =>
    el(
      "option",
      {
        value: JSON.stringify([category, subcategory]),
        selected: withMinutes && subcategory === "Accommodation"
      },
      t(key)
    )
  return el(
    "select",
    { id: "reason", required: true },
    el("option", { value: "" }, t("reasonChoose")),
    ...Object.entries(REASONS).map(([category, { key, of }]) =>
      el(
        "optgroup",
        { label: t(key) },
        ...Object.entries(of).map(([subcategory, word]) => option(category, subcategory, word))
      )
    )
  )
}

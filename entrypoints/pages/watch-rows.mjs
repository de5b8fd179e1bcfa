/** Draws one person: who, in which state and since when, how far, and what can be done now. */
import { el } from "./elements.mjs"
import { hour, number } from "./units.mjs"
import { t } from "./words.mjs"

/** What the button in the row does, and what the window behind the next one offers. */
const ACTS = {
  awaiting: { first: "authorise", more: ["extra", "irregularity", "cancel"] },
  authorised: { first: "withdraw", more: ["extra", "irregularity", "cancel"] },
  started: { first: "pause", more: ["extra", "irregularity", "terminate"] },
  paused: { first: "resume", more: ["extra", "irregularity", "terminate"] }
}
export const moreOf = ({ stage }) => ACTS[stage]?.more ?? []

/** Never told by a colour alone: each state has a sign and words. */
const SIGNS = {
  awaiting: "✋",
  authorised: "➜",
  started: "▶",
  paused: "❚❚",
  finished: "✓",
  terminated: "■",
  cancelled: "✕"
}
export const ENDED = new Set(["finished", "terminated", "cancelled"])

const MINUTE = 60_000

export const nameOf = ({ testTaker }) => testTaker.label ?? testTaker.login ?? t("nameless")

export const minutesOf = ({ extraMillis }) => Math.round(extraMillis / MINUTE)

/** Draws the inside of an element, unless it is what was drawn there last. */
export const fill = (place, key, inside) => {
  if (place.drawn === key) return
  place.drawn = key
  place.replaceChildren(...inside())
}

/** Gives a button of somebody's row the focus, this one if it is there; answers whether it could. */
export const focusPerson = (act, execution = "") => {
  const row = document.querySelector(`tr[data-execution="${CSS.escape(execution)}"]`)
  const found = row?.querySelector(`button[data-act="${act}"]`) ?? row?.querySelector("button")
  found?.focus({ preventScroll: true })
  return found !== null && found !== undefined
}

/** `draw(session)` shows it as it is now. */
export const makeRow = (execution, acts) => {
  let session
  const cell = (head) => el("td", { role: "cell", "data-head": t(head) })
  const name = el("th", { scope: "row", role: "rowheader" })
  const state = cell("h_state")
  const progress = cell("h_progress")
  const can = cell("h_acts")
  const whole = el("tr", { role: "row", "data-execution": execution }, name, state, progress, can)
  const act = (key, how, press, label) =>
    el(
      "button",
      {
        type: "button",
        "data-act": key,
        "data-execution": execution,
        class: how,
        "aria-label": t("actFor", { act: label, name: nameOf(session) }),
        onclick: () => press(session)
      },
      label
    )
  const draw = (now) => {
    session = now
    const { pausedBy, stage, testTaker } = now
    whole.className = stage
    fill(name, JSON.stringify(testTaker), () => [
      nameOf(now),
      el("small", {}, testTaker.login ?? testTaker.id)
    ])
    fill(state, `${stage} ${pausedBy} ${now.since}`, () => stateOf(now))
    fill(progress, JSON.stringify([now.progress, now.extraMillis, stage]), () => progressOf(now))
    fill(can, `${stage} ${nameOf(now)}`, () => {
      const first = ACTS[stage]?.first
      if (first === undefined) return []
      const main = first === "authorise" || first === "resume" ? "main" : ""
      return [
        act(first, main, (one) => acts.one(first, one), t(`a_${first}`)),
        act("more", "", acts.more, t("more"))
      ]
    })
  }
  return { whole, draw }
}

const stateOf = ({ pausedBy, since, stage }) => {
  const key = stage === "paused" && pausedBy !== null ? `s_paused_${pausedBy}` : `s_${stage}`
  return [
    el(
      "span",
      { class: `state ${stage}` },
      el("span", { class: "sign", "aria-hidden": "true" }, SIGNS[stage] ?? "■"),
      el("span", {}, t(key))
    ),
    el("small", {}, t("since", { time: hour(since) }))
  ]
}

const progressOf = ({ extraMillis, progress, stage }) => {
  const minutes = minutesOf({ extraMillis })
  const extra = minutes === 0 ? [] : [el("small", {}, t("extraNow", { minutes: number(minutes) }))]
  if (progress === null) {
    return stage === "started" || stage === "paused"
      ? [el("small", {}, t("unknownProgress")), ...extra]
      : extra
  }
  const { answered, items, position } = progress
  const bar = el("progress", { max: Math.max(1, items), value: answered, "aria-hidden": "true" })
  return [
    ...(ENDED.has(stage) ? [] : [el("span", {}, t("where", { position, items }))]),
    bar,
    el("small", {}, t("answeredOf", { answered, items })),
    ...extra
  ]
}

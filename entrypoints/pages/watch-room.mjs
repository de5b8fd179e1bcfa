/**
 * Draws the room: who sits which delivery in which center. Only what changed is drawn anew, so that
 * nobody who reads, tabs or listens is thrown out of their place every few seconds.
 */
import { el } from "./elements.mjs"
import { number } from "./units.mjs"
import { ENDED, fill, focusPerson, makeRow, nameOf } from "./watch-rows.mjs"
import { languageNow, t } from "./words.mjs"

const FILTERS = ["all", "awaiting", "authorised", "started", "paused", "ended"]
const BULK = {
  authorise: { key: "allAuthorise", of: ({ stage }) => stage === "awaiting" },
  pause: { key: "allPause", of: ({ stage }) => stage === "started" },
  resume: { key: "allResume", of: ({ stage }) => stage === "paused" }
}

const fits = (filter, stage) =>
  filter === "all" || (filter === "ended" ? ENDED.has(stage) : filter === stage)

export const makeRoom = (acts, first) => {
  let filter = first
  let sessions = []
  const groups = new Map()
  const filters = makeFilters((chosen) => {
    filter = chosen
    draw(sessions)
  })
  const bulk = el("div", { class: "choice bulk" })
  const none = el("p", { class: "none" })
  const place = el("div", { class: "groups" })
  const draw = (all) => {
    sessions = all
    const focused = document.activeElement
    filters.draw(all, filter)
    drawBulk(bulk, all, acts)
    const shown = all.filter(({ stage }) => fits(filter, stage))
    none.textContent = all.length === 0 ? t("watchNobody") : t("watchNoneSuch")
    none.hidden = shown.length > 0
    drawGroups(place, groups, shown, acts)
    keepFocus(focused, whole)
  }
  const whole = el("div", { class: "room" }, filters.whole, bulk, none, place)
  return { whole, draw, filter: () => filter }
}

const makeFilters = (choose) => {
  const buttons = FILTERS.map((name) =>
    el("button", { type: "button", "data-filter": name, onclick: () => choose(name) })
  )
  const whole = el("div", { class: "filters", role: "group", "aria-label": t("show") }, ...buttons)
  const draw = (all, filter) => {
    for (const button of buttons) {
      const name = button.dataset.filter
      const count = all.filter(({ stage }) => fits(name, stage)).length
      button.setAttribute("aria-pressed", String(name === filter))
      fill(button, String(count), () => [`${t(`f_${name}`)} (${number(count)})`])
    }
  }
  return { whole, draw }
}

/** What can be done to many at once, among these. */
const drawBulk = (place, among, acts) => {
  const wanted = Object.entries(BULK).flatMap(([act, { key, of }]) => {
    const count = among.filter(of).length
    return count === 0 ? [] : [{ act, label: t(key, { count: number(count) }), of }]
  })
  place.among = among
  fill(place, wanted.map(({ label }) => label).join("\n"), () =>
    wanted.map(({ act, label, of }) =>
      el(
        "button",
        {
          type: "button",
          "data-act": act,
          class: act === "authorise" ? "main" : "",
          // Among those of the last look, not of the one that drew the button.
          onclick: () => acts.all(act, place.among.filter(of))
        },
        label
      )
    )
  )
}

const drawGroups = (place, groups, shown, acts) => {
  const wanted = new Map()
  for (const session of shown) {
    const key = `${session.testCenter} ${session.delivery}`
    const group = wanted.get(key) ?? { key, center: session.center, label: session.label, all: [] }
    group.all.push(session)
    wanted.set(key, group)
  }
  for (const key of [...groups.keys()]) if (!wanted.has(key)) groups.delete(key)
  const byText = new Intl.Collator(languageNow()).compare
  const sorted = [...wanted.values()].sort(
    (a, b) => byText(a.center, b.center) || byText(a.label, b.label) || byText(a.key, b.key)
  )
  for (const { all, center, key, label } of sorted) {
    const group = groups.get(key) ?? makeGroup()
    groups.set(key, group)
    fill(group.heading, `${label}\n${center}`, () => [label, " ", el("span", {}, center)])
    drawBulk(group.bulk, sorted.length > 1 && all.length > 1 ? all : [], acts)
    drawRows(group, all, acts, byText)
  }
  arrange(
    place,
    sorted.map(({ key }) => groups.get(key).whole)
  )
}

let lastGroup = 0
const makeGroup = () => {
  lastGroup += 1
  const id = `group-${lastGroup}`
  const heading = el("h2", { id })
  const bulk = el("div", { class: "choice bulk" })
  const body = el("tbody", { role: "rowgroup" })
  const heads = ["h_name", "h_state", "h_progress", "h_acts"].map((key) =>
    el("th", { scope: "col", role: "columnheader" }, t(key))
  )
  // The roles are those of the elements, which a style for narrow screens would take away.
  const table = el(
    "table",
    { role: "table", "aria-labelledby": id },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads)),
    body
  )
  const whole = el("section", { "aria-labelledby": id }, heading, bulk, table)
  return { whole, heading, bulk, body, rows: new Map() }
}

const drawRows = ({ body, rows }, all, acts, byText) => {
  const here = new Set(all.map(({ execution }) => execution))
  for (const key of [...rows.keys()]) if (!here.has(key)) rows.delete(key)
  const sorted = all.toSorted(
    (a, b) => byText(nameOf(a), nameOf(b)) || byText(a.execution, b.execution)
  )
  for (const session of sorted) {
    const row = rows.get(session.execution) ?? makeRow(session.execution, acts)
    rows.set(session.execution, row)
    row.draw(session)
  }
  arrange(
    body,
    sorted.map(({ execution }) => rows.get(execution).whole)
  )
}

/** Puts children in this order; who stays is not moved, for that would take the focus away. */
const arrange = (parent, wanted) => {
  const staying = new Set(wanted)
  for (const child of [...parent.children]) if (!staying.has(child)) child.remove()
  wanted.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null)
  })
}

/** Where the button that had the focus is gone, the next best in the same place has it. */
const keepFocus = (focused, whole) => {
  if (focused === null || focused.isConnected || document.activeElement !== document.body) return
  const { act, execution } = focused.dataset
  if (focusPerson(act, execution)) return
  const next =
    whole.querySelector(`.bulk button[data-act="${act}"]`) ??
    whole.querySelector('.filters button[aria-pressed="true"]')
  next?.focus({ preventScroll: true })
}

/** Lists what happened on this device, newest first; each run opens to what it did, kind by kind. */
import { el } from "./elements.mjs"
import { bytes, moment, number, span } from "./units.mjs"
import { t } from "./words.mjs"

const CHANGES = ["created", "updated", "deleted", "held", "uploaded", "failed"]
const LEVELS = { done: "ready", unchanged: "ready", incomplete: "warning", cancelled: "warning" }

/** Asks for the list only when somebody wants to see it, and each time anew. */
export const showHistory = (get, open) => {
  const inside = el("div", { class: "entries" })
  const place = el("details", { id: "history" }, el("summary", {}, t("history")), inside)
  place.addEventListener("toggle", async () => {
    if (!place.open) return
    inside.replaceChildren(t("loading"))
    const answer = await get("/history").catch(() => null)
    if (answer === null) return inside.replaceChildren(t("managerAway"))
    const { entries } = answer
    inside.replaceChildren(
      ...(entries.length === 0
        ? [el("p", {}, t("historyNone"))]
        : entries.map((entry) => entryView(entry, open)))
    )
  })
  place.open = open.has("history")
  return place
}

const entryView = ({ at, bytes: size, counts, millis, outcome, reason, verb }, open) => {
  const id = `${verb} ${at}`
  const kinds = Object.entries(counts).filter(([, one]) => CHANGES.some((key) => one[key] > 0))
  const facts = [
    t("tookTime", { time: span(millis) }),
    size === 0 ? null : t("carried", { bytes: bytes(size) }),
    kinds.length === 0 ? t("noChanges") : null
  ].filter((fact) => fact !== null)
  return el(
    "details",
    { id, class: "entry", open: open.has(id) },
    el(
      "summary",
      {},
      el("span", {}, moment(at)),
      el("b", {}, t(`v_${verb}`)),
      el("span", { class: `level ${LEVELS[outcome] ?? "blocked"}` }, t(`o_${outcome}`))
    ),
    el("p", {}, `${facts.join(". ")}.`),
    reason === "" ? null : el("p", { class: "detail", lang: "en" }, reason),
    kinds.length === 0 ? null : kindTable(kinds)
  )
}

/** Only the columns in which there is something. */
const kindTable = (kinds) => {
  const columns = CHANGES.filter((key) => kinds.some(([, one]) => one[key] > 0))
  const head = (text) => el("th", { scope: "col" }, text)
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": t("changes") },
    el(
      "table",
      { class: "kinds" },
      el("thead", {}, el("tr", {}, head(t("kind")), ...columns.map((key) => head(t(`n_${key}`))))),
      el(
        "tbody",
        {},
        ...kinds.map(([kind, one]) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, t(`k_${kind}`)),
            ...columns.map((key) => el("td", {}, one[key] > 0 ? number(one[key]) : "–"))
          )
        )
      )
    )
  )
}

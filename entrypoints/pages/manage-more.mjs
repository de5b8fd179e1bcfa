/** What a sync manager may look at beside the button: readiness, checks, and what happened. */
import { el } from "./elements.mjs"
import { refusedLines } from "./manage-refusals.mjs"
import { moment, number, span } from "./units.mjs"
import { languageNow, t } from "./words.mjs"

/** Beyond it tests open at the wrong time, and central refuses. */
const CLOCK_OFF_MILLIS = 120_000

const findings = (all) =>
  el(
    "ul",
    { class: "findings" },
    ...all.map(({ level, text }) =>
      el("li", {}, el("span", { class: `level ${level}` }, t(level)), el("span", {}, text))
    )
  )

export const showReadiness = async (place, get) => {
  const judged = await get(`/readiness?language=${languageNow()}`).catch(() => null)
  if (judged === null) return
  const { at, device, level, rooms } = judged
  place.replaceChildren(
    el("h2", {}, t("readiness"), " ", el("span", { class: `level ${level}` }, t(level))),
    el("p", { class: "hello" }, t("readinessAt", { time: moment(at) })),
    ...(rooms.length === 0 ? [el("p", {}, t("noRooms"))] : []),
    ...rooms.map((room) =>
      el(
        "details",
        { class: "room", open: room.level === "blocked" },
        el(
          "summary",
          {},
          el("span", { class: `level ${room.level}` }, t(room.level)),
          ` ${room.label}, ${room.centerLabel}`
        ),
        findings(room.findings)
      )
    ),
    el(
      "details",
      { open: device.some((one) => one.level === "blocked") },
      el("summary", {}, t("device")),
      findings(device)
    )
  )
}

/** Opens something only when somebody wants to see it. */
const lazily = (title, fill) => {
  const inside = el("div", {})
  const place = el("details", {}, el("summary", {}, title), inside)
  place.addEventListener("toggle", async () => {
    if (!place.open) return
    inside.replaceChildren(t("loading"))
    inside.replaceChildren(...(await fill().catch(() => [t("managerAway")])))
  })
  return place
}

export const showChecks = (get) =>
  lazily(t("checks"), async () => {
    const { central, device } = await get(`/doctor?language=${languageNow()}`)
    const { ahead, millis, refused } = central
    if (refused !== null) {
      const lines = refusedLines(refused).filter((line) => line !== null)
      return [
        findings([...device, { level: "warning", text: t("centralSilent") }]),
        el("div", { class: "outcome left" }, ...lines)
      ]
    }
    const clock = Math.abs(ahead) < CLOCK_OFF_MILLIS
    const seconds = number(Math.round(Math.abs(ahead) / 1000))
    return [
      findings([
        ...device,
        { level: "ready", text: t("centralWell", { millis: number(millis) }) },
        ...(clock ? [] : [{ level: "blocked", text: t("clockOff", { seconds }) }])
      ])
    ]
  })

export const showHistory = (get) =>
  lazily(t("history"), async () => {
    const { entries } = await get("/history")
    if (entries.length === 0) return [el("p", {}, t("historyNone"))]
    const heads = ["when", "what", "outcome", "changes", "took"]
    return [
      el(
        "div",
        { class: "scroll" },
        el(
          "table",
          { class: "history" },
          el(
            "thead",
            {},
            el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, t(head))))
          ),
          el("tbody", {}, ...entries.map(historyRow))
        )
      )
    ]
  })

const historyRow = ({ at, counts, millis, outcome, reason, verb }) =>
  el(
    "tr",
    {},
    el("td", {}, moment(at)),
    el("td", {}, t(`v_${verb}`)),
    el(
      "td",
      {},
      t(`o_${outcome}`),
      reason === "" ? null : el("small", { class: "detail", lang: "en" }, reason)
    ),
    el("td", {}, ...changesOf(counts)),
    el("td", {}, span(millis))
  )

const CHANGES = ["created", "updated", "deleted", "held", "uploaded", "failed"]

/** The sum of what changed; opened, it says of which kinds. */
const changesOf = (counts) => {
  const kinds = Object.entries(counts).filter(([, one]) => CHANGES.some((key) => one[key] > 0))
  const said = (one) =>
    CHANGES.filter((key) => one[key] > 0)
      .map((key) => t(`n_${key}`, { count: number(one[key]) }))
      .join(", ")
  if (kinds.length === 0) return ["–"]
  const sum = kinds.reduce(
    (all, [, one]) =>
      Object.fromEntries(CHANGES.map((key) => [key, (all[key] ?? 0) + (one[key] ?? 0)])),
    {}
  )
  return [
    el(
      "details",
      {},
      el("summary", {}, said(sum)),
      el("ul", {}, ...kinds.map(([kind, one]) => el("li", {}, `${t(`k_${kind}`)}: ${said(one)}`)))
    )
  ]
}

/** Says whether this device and its tests are ready, and how the way to central is. */
import { el } from "./elements.mjs"
import { refusedLines } from "./manage-refusals.mjs"
import { moment, number } from "./units.mjs"
import { languageNow, t } from "./words.mjs"

/** Beyond it tests open at the wrong time, and central refuses. */
const CLOCK_OFF_MILLIS = 120_000
/** What a run changes, or what stands in the facts above the button. */
const NOT_BEFORE = new Set(["enrolment", "fetched", "results-waiting", "in-progress"])
const WORST = ["blocked", "warning", "ready"]

const badge = (level) => el("span", { class: `level ${level}` }, t(level))

const findings = (all) =>
  el(
    "ul",
    { class: "findings" },
    ...all.map(({ level, text }) => el("li", {}, badge(level), el("span", {}, text)))
  )

const worst = (all) => WORST.find((level) => all.some((one) => one.level === level)) ?? "ready"

/** `open`: ids of what was open before; else what is open in the place stays so. */
export const showReadiness = async (place, get, open) => {
  const judged = await get(`/readiness?language=${languageNow()}`).catch(() => null)
  if (judged === null) return
  const shown = new Map([...place.querySelectorAll("details")].map((one) => [one.id, one.open]))
  const isOpen = (id, all) => shown.get(id) ?? (open?.has(id) || worst(all) === "blocked")
  const { at, device, level, rooms } = judged
  place.replaceChildren(
    el("h2", {}, `${t("readiness")} `, badge(level)),
    el("p", { class: "hello" }, t("readinessAt", { time: moment(at) })),
    ...(rooms.length === 0 ? [el("p", {}, t("noRooms"))] : []),
    ...rooms.map((room) => {
      const id = `${room.center} ${room.delivery}`
      return el(
        "details",
        { id, class: "room", open: isOpen(id, room.findings) },
        el("summary", {}, badge(room.level), ` ${room.label}, ${room.centerLabel}`),
        findings(room.findings)
      )
    }),
    el(
      "details",
      { id: "device", open: isOpen("device", device) },
      el("summary", {}, badge(worst(device)), ` ${t("device")}`),
      findings(device)
    )
  )
}

/** How this device and the way to central are: asked before a run, and again after it. */
export const lookAtChecks = async (get) => {
  const seen = await get(`/doctor?language=${languageNow()}`).catch(() => null)
  if (seen === null) return [{ check: "device", level: "blocked", text: t("managerAway") }]
  return [...seen.device, ...centralFindings(seen.central)]
}

const centralFindings = ({ ahead, millis, refused, support }) => {
  const finding = (check, level, key, values) => ({ check, level, text: t(key, values) })
  if (refused !== null) {
    return [{ ...finding("central", "warning", "centralSilent"), refused }]
  }
  const seconds = number(Math.round(Math.abs(ahead) / 1000))
  const isOff = Math.abs(ahead) >= CLOCK_OFF_MILLIS
  return [
    finding("central", "ready", "centralWell", { millis: number(millis) }),
    isOff
      ? finding("clock-apart", "blocked", "clockOff", { seconds })
      : finding("clock-apart", "ready", "clockSame"),
    support === "supported"
      ? finding("version", "ready", "versionWell")
      : finding("version", "blocked", support === "too-old" ? "versionOld" : "versionNew")
  ]
}

/** What somebody should see to before they press the button; null where there is nothing. */
export const beforeRun = (checks) => {
  const all = (checks ?? []).filter(
    ({ check, level }) => level !== "ready" && !NOT_BEFORE.has(check)
  )
  if (all.length === 0) return null
  return el("div", { class: "before-run" }, el("h2", {}, t("beforeRun")), findings(all))
}

/** All checks, with a button to look again. */
export const checksView = (checks, isOpen, again) => {
  const inside =
    checks === null
      ? [t("loading")]
      : [
          findings(checks),
          ...checks.flatMap(({ refused }) =>
            refused === undefined
              ? []
              : [el("div", { class: "outcome left" }, ...refusedLines(refused))]
          ),
          el("button", { type: "button", id: "check-again", onclick: again }, t("checkAgain"))
        ]
  return el(
    "details",
    { id: "checks", open: isOpen },
    el("summary", {}, ...(checks === null ? [] : [badge(worst(checks)), " "]), t("checks")),
    el("div", {}, ...inside)
  )
}

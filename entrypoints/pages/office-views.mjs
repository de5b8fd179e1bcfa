/** What the office may look at: devices, completeness, results, history, managers, opened results. */
import { el } from "./elements.mjs"
import { choice, small, table } from "./office-tables.mjs"
import { bytes, moment, number } from "./units.mjs"
import { languageNow, t } from "./words.mjs"

/** What was chosen stays while somebody looks at something else. */
const chosen = { level: "", verb: "", outcome: "", who: "" }

export const showFleet = async (place, { get }) => {
  const { devices, now } = await get(`/fleet?language=${languageNow()}`)
  const draw = () => {
    const shown = devices.filter(({ level }) => chosen.level === "" || level !== "ready")
    const well = devices.filter(({ level }) => level === "ready").length
    place.replaceChildren(
      el("h2", {}, t("tab_fleet")),
      el(
        "p",
        {},
        devices.length === 0
          ? t("fleetNone")
          : t("fleetWell", { well: number(well), count: number(devices.length) })
      ),
      el(
        "div",
        { class: "filters" },
        choice(
          "level",
          t("show"),
          [
            ["", t("all")],
            ["trouble", t("onlyTrouble")]
          ],
          chosen.level,
          (value) => {
            chosen.level = value
            draw()
            document.getElementById("level")?.focus()
          }
        )
      ),
      shown.length === 0 ? el("p", {}, t("fleetNoneShown")) : table(t("tab_fleet"), FLEET, shown)
    )
  }
  draw()
  return now
}

const FLEET = [
  { head: "device", of: ({ device, name }) => [name, small(device)] },
  {
    head: "why",
    of: ({ findings, level }) => [
      el("span", { class: `level ${level}` }, t(`l_${level}`)),
      findings.length === 0
        ? null
        : el("ul", { class: "why" }, ...findings.map(({ text }) => el("li", {}, text)))
    ]
  },
  {
    head: "pendingHead",
    figure: true,
    of: ({ missing, pending, sitting }) => [
      number(pending ?? missing),
      sitting > 0 ? small(t("sittingNow", { count: number(sitting) })) : null
    ]
  },
  { head: "organisation", of: ({ organisations }) => organisations.join(", ") },
  {
    head: "contact",
    of: ({ lastContact }) =>
      lastContact === null
        ? t("never")
        : [moment(lastContact.at), small(t(`c_${lastContact.carrier}`))]
  },
  { head: "version", of: ({ program }) => (program ?? "").split("/")[0] },
  { head: "disk", figure: true, of: ({ disk }) => (disk === null ? "" : bytes(disk.free)) },
  {
    head: "deviceClock",
    of: ({ reportedAt }) => (reportedAt === null ? "" : moment(reportedAt))
  },
  { head: "came", figure: true, of: ({ received }) => number(received) }
]

export const showCompleteness = async (place, { get }) => {
  const { deliveries } = await get("/completeness")
  const rows = deliveries.flatMap((one) => [
    one,
    ...one.centers.map((center) => ({ ...center, part: true }))
  ])
  place.replaceChildren(
    el("h2", {}, t("tab_completeness")),
    rows.length === 0
      ? el("p", {}, t("completenessNone"))
      : table(t("tab_completeness"), COMPLETENESS, rows, ({ part }) => (part ? "part" : null))
  )
}

const figureOf = (head, of) => ({
  head,
  figure: true,
  of: (row) => (of(row) === undefined ? "" : number(of(row)))
})
const COMPLETENESS = [
  { head: "delivery", of: ({ delivery, label }) => [label, small(delivery ?? "")] },
  figureOf("eligible", ({ eligible }) => eligible),
  figureOf("sat", ({ sat }) => sat),
  figureOf("notSat", ({ eligible, notSat, part, sat }) => (part ? eligible - sat : notSat)),
  figureOf("here", ({ here }) => here),
  figureOf("aside", ({ quarantined }) => quarantined),
  figureOf("missingHead", ({ missing }) => missing),
  figureOf("without", ({ without }) => without)
]

export const showResults = async (place, { get }) => {
  const { aside, bundles, states } = await get(`/results?language=${languageNow()}`)
  place.replaceChildren(
    el("h2", {}, t("statesTitle")),
    table(t("statesTitle"), STATES, states),
    el("h2", {}, t("quarantineTitle")),
    aside.length === 0
      ? el("p", {}, t("quarantineNone"))
      : table(t("quarantineTitle"), ASIDE, aside),
    el("h2", {}, t("bundlesTitle")),
    bundles.length === 0
      ? el("p", {}, t("bundlesNone"))
      : table(t("bundlesTitle"), BUNDLES, bundles)
  )
}

const STATES = [
  { head: "state", of: ({ state }) => t(`s_${state}`) },
  { head: "count", figure: true, of: ({ count }) => number(count) }
]
const DEVICE = { head: "device", of: ({ device }) => device }
const WHEN = { head: "when", of: ({ at }) => moment(at) }
const REASON = { head: "reason", of: ({ why }) => why }
const TODO = { head: "todo", of: ({ todo }) => todo }
const ASIDE = [
  {
    head: "what",
    of: ({ kind, number: at, sha256 }) => [`${t(`k_${kind}`)} ${at}`, small(sha256)]
  },
  DEVICE,
  WHEN,
  REASON,
  TODO
]
const BUNDLES = [DEVICE, WHEN, REASON, TODO]

const VERBS = [
  ...["sync", "receive", "enrol", "import", "export", "publish", "audit"],
  ...["device", "credential", "root", "revocation", "decrypt"]
]
const OUTCOMES = ["done", "unchanged", "incomplete", "refused", "failed", "cancelled"]

export const showHistory = async (place, { get }) => {
  const found = el("div", {})
  const save = el("a", { class: "save", download: "history.csv" }, t("export"))
  const query = () => {
    const given = ["verb", "outcome", "who"].filter((key) => chosen[key] !== "")
    return new URLSearchParams(given.map((key) => [key, chosen[key]])).toString()
  }
  const look = async () => {
    save.setAttribute("href", `/office/v1/history.csv?${query()}`)
    const { entries, more } = await get(`/history?${query()}`)
    found.replaceChildren(
      ...(more ? [el("p", {}, t("historyMore", { count: number(entries.length) }))] : []),
      entries.length === 0
        ? el("p", {}, t("historyNone"))
        : table(t("tab_history"), HISTORY, entries)
    )
  }
  const pick = (key) => (value) => {
    chosen[key] = value
    return look().catch(() => found.replaceChildren(el("p", {}, t("officeAway"))))
  }
  const options = (prefix, names) => [["", t("all")], ...names.map((key) => [key, t(prefix + key)])]
  const who = el("input", { id: "who", type: "search", value: chosen.who, spellcheck: "false" })
  who.addEventListener("change", () => pick("who")(who.value))
  place.replaceChildren(
    el("h2", {}, t("tab_history")),
    el(
      "div",
      { class: "filters" },
      choice("verb", t("what"), options("v_", VERBS), chosen.verb, pick("verb")),
      choice("outcome", t("outcome"), options("o_", OUTCOMES), chosen.outcome, pick("outcome")),
      el("div", {}, el("label", { for: "who" }, t("whoFilter")), who),
      save
    ),
    found
  )
  await look()
}

/** Those who are nobody in particular; everybody else has a login or an id. */
const NOBODY = new Set(["device", "operator", "stick"])
const whoOf = (who) => (NOBODY.has(who) ? t(`w_${who}`) : who)

const HISTORY = [
  WHEN,
  { head: "what", of: ({ verb }) => t(`v_${verb}`) },
  { head: "who", of: ({ device, who }) => [whoOf(who), device === null ? null : small(device)] },
  { head: "organisation", of: ({ organisation }) => organisation ?? "" },
  { head: "outcome", of: ({ outcome }) => t(`o_${outcome}`) },
  { head: "reason", of: ({ reason }) => reason }
]

export const showManagers = async (place, { get }) => {
  const { managers } = await get("/managers")
  place.replaceChildren(
    el("h2", {}, t("tab_managers")),
    el("p", {}, t("managersHow")),
    managers.length === 0
      ? el("p", {}, t("managersNone"))
      : table(t("tab_managers"), MANAGERS, managers)
  )
}

const MANAGERS = [
  { head: "loginName", of: ({ login }) => login },
  { head: "name", of: ({ label }) => label },
  { head: "organisation", of: ({ organisation }) => organisation ?? t("noOrganisation") }
]

export const showOpened = async (place, { get }) => {
  const { more, results } = await get("/opened")
  place.replaceChildren(
    el("h2", {}, t("tab_opened")),
    el("p", {}, t("openedNote")),
    ...(more ? [el("p", {}, t("openedMore", { count: number(results.length) }))] : []),
    results.length === 0 ? el("p", {}, t("openedNone")) : table(t("tab_opened"), OPENED, results)
  )
}

const OPENED = [
  { head: "taker", of: ({ name, testTaker }) => [name, small(testTaker)] },
  { head: "delivery", of: ({ deliveryLabel }) => deliveryLabel },
  { head: "attempt", figure: true, of: ({ attempt }) => number(attempt) },
  {
    head: "state",
    of: ({ conflict, state }) => [
      state === null ? "" : t(`s_${state}`),
      conflict ? small(t("conflict")) : null
    ]
  },
  { head: "openedAt", of: ({ openedAt }) => moment(openedAt) },
  DEVICE
]

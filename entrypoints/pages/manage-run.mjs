/** Draws the run that is under way, and how the last one ended: the same in every window. */
import { el } from "./elements.mjs"
import { refusedLines } from "./manage-refusals.mjs"
import { bytes, number, span } from "./units.mjs"
import { t } from "./words.mjs"

const TITLES = { sync: "runSync", save: "runSave", load: "runLoad" }
const DONE = { sync: "doneSync", save: "doneSave", load: "doneLoad" }

/** Until then nobody wonders. */
const SLOW_START_MILLIS = 3_000

/** A run that goes on, and how to show what it has done since. `onCancel` is called once. */
export const runPanel = (run, onCancel) => {
  const place = el("div", {}, ...progressOf(run))
  const cancel = el("button", { type: "button", id: "cancel" }, t("cancel"))
  cancel.addEventListener("click", () => {
    // Not disabled, which would take the focus away.
    if (cancel.getAttribute("aria-disabled") === "true") return
    cancel.setAttribute("aria-disabled", "true")
    cancel.textContent = t("cancelling")
    onCancel()
  })
  const node = el(
    "div",
    { class: "run" },
    el("h2", { id: "run-title", tabindex: "-1" }, t(TITLES[run.kind])),
    place,
    cancel
  )
  return { node, show: (now) => place.replaceChildren(...progressOf(now)) }
}

/** The steps that are over, and one bar for the step that is under way. */
export const progressOf = ({ bars, kind, waited = 0 }) => {
  const now = bars.findLast((bar) => !bar.finished) ?? bars.at(-1)
  const over = bars.filter((bar) => bar !== now && bar.finished)
  const isSlow = kind === "sync" && waited > SLOW_START_MILLIS
  const isKnown = now !== undefined && now.percent !== null
  return [
    ...(over.length === 0
      ? []
      : [el("ul", { class: "steps" }, ...over.map((bar) => el("li", {}, stepLabel(kind, bar))))]),
    el(
      "p",
      { id: "step" },
      now === undefined ? t(isSlow ? "waitingCentre" : "starting") : stepLabel(kind, now)
    ),
    el("progress", {
      "aria-labelledby": "step",
      max: 100,
      ...(isKnown ? { value: now.percent } : {})
    }),
    el("p", { class: "figures" }, now === undefined ? "" : figuresOf(now))
  ]
}

/** Kinds of work may say what of: "entities 0123". One that is not known keeps the device's words. */
const stepLabel = (runKind, { kind, label }) => {
  const [what, ...of] = kind.split(" ")
  const key = what === "bundle" ? `p_bundle_${runKind}` : `p_${what}`
  const said = t(key, { of: of.at(-1) })
  return said === key ? label : said
}

const figuresOf = (bar) => {
  const inBytes = bar.totalBytes !== null
  return [
    bar.total === null
      ? number(bar.done)
      : t("items", { done: number(bar.done), total: number(bar.total) }),
    bar.bytes === null
      ? null
      : inBytes
        ? t("items", { done: bytes(bar.bytes), total: bytes(bar.totalBytes) })
        : bytes(bar.bytes),
    bar.rate === null || bar.rate <= 0
      ? null
      : t("rate", { rate: inBytes ? bytes(bar.rate) : number(bar.rate) }),
    bar.remainingMillis === null
      ? bar.finished
        ? null
        : t("estimating")
      : t("remaining", { time: span(bar.remainingMillis) })
  ]
    .filter((part) => part !== null)
    .join(" · ")
}

export const supportLine = (support) =>
  el("p", { class: "support" }, `${t("support")} `, el("code", { dir: "ltr" }, support))

/** How a run ended, in words; null where nothing was run yet. */
export const outcomeView = (run, inProgress, again) => {
  if (run === null || run.state === "running") return null
  const titled = (look, title, ...inside) =>
    el(
      "div",
      { class: `outcome ${look}` },
      el("h2", { id: "outcome", tabindex: "-1" }, t(title)),
      ...inside,
      supportLine(run.support)
    )
  if (run.state === "cancelled") return titled("left", "cancelledTitle", el("p", {}, t("goOn")))
  if (run.state === "refused") {
    const retry = el("button", { type: "button", id: "again", onclick: again }, t("again"))
    return titled("refused", "refusedTitle", ...refusedLines(run.refused), retry)
  }
  const { held, lines, refusals, unchanged } = reportOf(run)
  const later = held > 0 && inProgress > 0 ? "laterSitting" : held > 0 ? "later" : null
  const left = run.report?.exit === 3 || refusals.length > 0
  const good = later !== null ? "laterTitle" : unchanged ? "nothingNew" : DONE[run.kind]
  return titled(
    left || later !== null ? "left" : "",
    left ? "leftTitle" : good,
    lines.length === 0 ? null : el("ul", {}, ...lines.map((line) => el("li", {}, line))),
    later === null ? null : el("p", { class: "later" }, t(later, { count: number(held) })),
    ...refusals.flatMap(refusedLines)
  )
}

const reportOf = ({ kind, report }) => {
  if (kind === "save") {
    const { records, results } = report
    const lines = [
      records === 0 ? t("savedNothing") : t("savedRecords", { records, results }),
      t("savedNext")
    ]
    return { held: 0, lines, refusals: [], unchanged: false }
  }
  const sync = kind === "sync" ? report : report.sync
  const receipts = report.receipts?.acknowledged ?? 0
  const extra = receipts === 0 ? [] : [t("receipts", { count: receipts })]
  if (sync === null) return { held: 0, lines: extra, refusals: [], unchanged: false }
  const sum = (of) => Object.values(sync.counts).reduce((all, one) => all + of(one), 0)
  return {
    held: sum(({ held }) => held),
    unchanged: sync.outcome === "unchanged" && receipts === 0,
    lines: [...linesOf(sync, sum), ...extra],
    refusals: [
      ...sync.organisations.map(({ refused }) => refused),
      ...sync.contents.refused,
      ...sync.documents,
      sync.records.refusal
    ].filter((refused) => refused !== null)
  }
}

/** What came and went, a line each; nothing is said of what is as it was. */
const linesOf = ({ contents, organisations, records }, sum) => {
  const mended = organisations.reduce((all, one) => all + one.mended, 0)
  const changed = sum(({ created, deleted, updated }) => created + updated + deleted)
  return [
    [changed, "entities", { count: number(changed) }],
    [contents.fetched, "contents", { count: contents.fetched, bytes: bytes(contents.bytes) }],
    [contents.refused.length, "contentsLeft", { count: contents.refused.length }],
    [records.owed, "recordsKept", { kept: records.kept, owed: records.owed }],
    [records.quarantined.length, "recordsAside", { count: records.quarantined.length }],
    [mended, "mended", { count: mended }]
  ].flatMap(([count, key, values]) => (count === 0 ? [] : [t(key, values)]))
}

/** The refusal of a run that stopped because a person must allow what it would remove. */
export const asksForRemoval = (run) =>
  [
    run.refused,
    ...((run.kind === "load" ? run.report?.sync : run.report)?.organisations ?? []).map(
      ({ refused }) => refused
    )
  ].find((refused) => refused?.code === "E_CONFIRM_REMOVALS")

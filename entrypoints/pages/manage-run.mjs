/** Draws the run that is under way, and how the last one ended: the same in every window. */
import { el } from "./elements.mjs"
import { refusedLines } from "./manage-refusals.mjs"
import { bytes, number, span } from "./units.mjs"
import { t } from "./words.mjs"

const TITLES = { sync: "runSync", save: "runSave", load: "runLoad" }
const DONE = { sync: "doneSync", save: "doneSave", load: "doneLoad" }

/** What the one bar shows: the work that is being done now. */
const barNow = (bars) => bars.findLast((bar) => !bar.finished) ?? bars.at(-1)

const figuresOf = (bar) => {
  const inBytes = bar.totalBytes !== null
  return [
    bar.total === null
      ? t("itemsOnly", { done: number(bar.done) })
      : t("items", { done: number(bar.done), total: number(bar.total) }),
    bar.bytes === null
      ? null
      : inBytes
        ? t("items", { done: bytes(bar.bytes), total: bytes(bar.totalBytes) })
        : bytes(bar.bytes),
    bar.rate === null || bar.rate <= 0
      ? null
      : t(inBytes ? "rateBytes" : "rateThings", {
          rate: inBytes ? bytes(bar.rate) : number(bar.rate)
        }),
    bar.remainingMillis === null
      ? bar.finished
        ? null
        : t("estimating")
      : t("remaining", { time: span(bar.remainingMillis) })
  ]
    .filter((part) => part !== null)
    .join(" · ")
}

/** A run that goes on. `onCancel` is called once. */
export const runningView = (run, onCancel) => {
  const bar = barNow(run.bars)
  const finished = run.bars.filter((one) => one !== bar && one.finished)
  const cancel = el("button", {
    type: "button",
    onclick: () => {
      cancel.disabled = true
      cancel.textContent = t("cancelling")
      onCancel()
    }
  })
  cancel.textContent = t("cancel")
  return el(
    "div",
    { class: "run" },
    el("h2", {}, t(TITLES[run.kind])),
    finished.length === 0
      ? null
      : el("ul", { class: "steps" }, ...finished.map(({ label }) => el("li", {}, label))),
    el("p", { id: "step" }, bar?.label ?? t("starting")),
    el("progress", {
      "aria-labelledby": "step",
      max: 100,
      ...(bar?.percent === undefined || bar.percent === null ? {} : { value: bar.percent })
    }),
    el("p", { class: "figures" }, bar === undefined ? "" : figuresOf(bar)),
    cancel
  )
}

/** How a run ended, in words; null where nothing was run yet. */
export const outcomeView = (run, inProgress, again) => {
  if (run === null || run.state === "running") return null
  const support = el("p", { class: "support" }, `${t("support")}: `, el("code", {}, run.support))
  if (run.state === "cancelled") {
    return el("div", { class: "outcome left" }, el("h2", {}, t("cancelledTitle")), support)
  }
  if (run.state === "refused") {
    return el(
      "div",
      { class: "outcome refused", role: "alert" },
      el("h2", {}, t("refusedTitle")),
      ...refusedLines(run.refused),
      support,
      el("button", { type: "button", onclick: again }, t("again"))
    )
  }
  const { held, lines, refusals, unchanged } = reportOf(run)
  const later = held > 0 && inProgress > 0 ? "laterSitting" : held > 0 ? "later" : null
  const left = run.report?.exit === 3 || refusals.length > 0
  return el(
    "div",
    { class: left ? "outcome left" : "outcome" },
    el("h2", {}, t(left ? "leftTitle" : unchanged ? "nothingNew" : DONE[run.kind])),
    lines.length === 0 ? null : el("ul", {}, ...lines.map((line) => el("li", {}, line))),
    later === null ? null : el("p", { class: "later" }, t(later, { count: number(held) })),
    ...refusals.flatMap(refusedLines),
    support
  )
}

const reportOf = ({ kind, report }) => {
  if (kind === "save") {
    const { records, results } = report
    return {
      held: 0,
      lines: [t("savedRecords", { records, results })],
      refusals: [],
      unchanged: false
    }
  }
  const sync = kind === "sync" ? report : report.sync
  const receipts = report.receipts?.acknowledged ?? 0
  const extra = receipts === 0 ? [] : [t("receipts", { count: receipts })]
  if (sync === null) return { held: 0, lines: extra, refusals: [], unchanged: false }
  const changed = Object.values(sync.counts).reduce(
    (sum, one) => sum + one.created + one.updated + one.deleted,
    0
  )
  const { contents, records } = sync
  const mended = sync.organisations.reduce((sum, one) => sum + one.mended, 0)
  const held = Object.values(sync.counts).reduce((sum, one) => sum + one.held, 0)
  return {
    held,
    unchanged: sync.outcome === "unchanged",
    lines: [
      ...(changed === 0 ? [] : [t("entities", { count: number(changed) })]),
      ...(contents.fetched === 0
        ? []
        : [t("contents", { count: contents.fetched, bytes: bytes(contents.bytes) })]),
      ...(contents.refused.length === 0
        ? []
        : [t("contentsLeft", { count: contents.refused.length })]),
      ...(records.owed === 0 ? [] : [t("recordsKept", { kept: records.kept, owed: records.owed })]),
      ...(records.quarantined.length === 0
        ? []
        : [t("recordsAside", { count: records.quarantined.length })]),
      ...(mended === 0 ? [] : [t("mended", { count: mended })]),
      ...extra
    ],
    refusals: [
      ...sync.organisations.map(({ refused }) => refused),
      ...contents.refused,
      ...sync.documents,
      records.refusal
    ].filter((refused) => refused !== null)
  }
}

/** Whether a run stopped only because a person must allow what it would remove. */
export const asksForRemoval = (run) =>
  run !== null &&
  run.state !== "running" &&
  [
    run.refused,
    ...((run.kind === "load" ? run.report?.sync : run.report)?.organisations ?? []).map(
      ({ refused }) => refused
    )
  ].find((refused) => refused?.code === "E_CONFIRM_REMOVALS")

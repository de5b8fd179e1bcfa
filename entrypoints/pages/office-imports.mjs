/** Imports of rosters: choose a file, see what it would do, and only then do just that. */
import { el } from "./elements.mjs"
import { lineNow, reasonNow } from "./office-reasons.mjs"
import { choice, table } from "./office-tables.mjs"
import { number } from "./units.mjs"
import { t } from "./words.mjs"

const KINDS = [
  ...["test-centers", "test-taker", "proctor"],
  ...["test-center-admin", "sync-manager", "eligibilities"]
]
/** As many passwords as central takes from this page at once. */
const PASSWORDS_AT_ONCE = 100

/** What was chosen stays while somebody looks at something else; the file itself a browser lets go. */
const chosen = { kind: "test-centers" }

export const showImports = async (place, desk) => {
  const found = el("div", { class: "found" })
  const file = el("input", { id: "roster", type: "file", accept: ".csv,text/csv", required: true })
  const look = (event) => {
    event.preventDefault()
    const [roster] = file.files
    return preview({ desk, file: roster, found, kind: chosen.kind })
  }
  // What is shown is of another file or kind as soon as one of them changes.
  const forget = () => found.replaceChildren()
  file.addEventListener("change", forget)
  place.replaceChildren(
    el("h2", {}, t("tab_imports")),
    el("p", {}, t("importIntro")),
    el("p", {}, t("importPackages")),
    el(
      "form",
      { class: "bring", onsubmit: look },
      choice(
        "roster-kind",
        t("importKind"),
        KINDS.map((kind) => [kind, t(`i_${kind}`)]),
        chosen.kind,
        (kind) => {
          chosen.kind = kind
          forget()
        }
      ),
      el("div", {}, el("label", { for: "roster" }, t("importFile")), file),
      el("button", { class: "main" }, t("importLook"))
    ),
    found
  )
}

const pathOf = ({ file, kind }, more = {}) =>
  `/imports/${kind}?${new URLSearchParams({ name: file.name, ...more })}`

const preview = (asked) => {
  const { desk, file, found } = asked
  found.replaceChildren(el("p", { class: "hello" }, t("importLooking")))
  return desk.act(
    () => desk.send(pathOf(asked), file),
    (seen) => show(found, previewOf(asked, seen)),
    (text, code) => show(found, [refusal(t("importUnusable"), saidOf(text, code))])
  )
}

/** Central gives up after a minute, whichever way it ended. */
const saidOf = (text, code) => (code === "unavailable" ? t("importLate") : text)

const show = (found, drawn) => {
  found.replaceChildren(...drawn)
  const first = found.querySelector("[tabindex='-1']")
  first?.focus()
}

const refusal = (title, text) =>
  el(
    "div",
    { class: "outcome refused", tabindex: "-1" },
    el("h3", {}, title),
    ...text.split("\n").map((line) => el("p", {}, lineNow(line)))
  )

const previewOf = (asked, seen) => [
  el("h2", { tabindex: "-1" }, t("importPreview", { name: asked.file.name })),
  ...countsOf(seen.report),
  ...problemsOf(seen.report),
  goOn(asked, seen)
]

const COUNTS = ["created", "updated", "unchanged", "failed"]

const countsOf = (report) => [
  table(
    t("importCounts"),
    COUNT_COLUMNS,
    COUNTS.map((key) => ({ key, count: report[key] }))
  ),
  ...(report.removed > 0
    ? [el("p", { class: "later" }, t("importRemoved", { count: number(report.removed) }))]
    : [])
]

const COUNT_COLUMNS = [
  { head: "importWhat", of: ({ key }) => t(`n_${key}`) },
  { head: "count", figure: true, of: ({ count }) => number(count) }
]

const problemsOf = ({ problems, problemsLeftOut }) =>
  problems.length === 0
    ? []
    : [
        el("h2", {}, t("importProblems")),
        table(t("importProblems"), PROBLEMS, problems),
        ...(problemsLeftOut > 0
          ? [el("p", {}, t("importMore", { count: number(problemsLeftOut) }))]
          : [])
      ]

const PROBLEMS = [
  {
    head: "importLine",
    of: ({ lastLine, line }) => (lastLine === undefined ? String(line) : `${line}–${lastLine}`)
  },
  { head: "importColumn", of: ({ column }) => column ?? "" },
  { head: "reason", of: ({ reason }) => reasonNow(reason) },
  { head: "importFound", of: ({ value }) => el("bdi", {}, value ?? "") }
]

/** What can be done with it: import it, without the refused lines where somebody says so, or nothing. */
const goOn = (asked, { passwords, report, seen }) => {
  const changes = report.created + report.updated
  if (passwords !== null && passwords.toMake > 0) {
    return el("p", { class: "later" }, t("importMake", { count: number(passwords.toMake) }))
  }
  if (passwords !== null && passwords.toWrap > PASSWORDS_AT_ONCE) {
    const values = { count: number(passwords.toWrap), max: number(PASSWORDS_AT_ONCE) }
    return el("p", { class: "later" }, t("importMany", values))
  }
  if (changes === 0 && (passwords?.toWrap ?? 0) === 0) return el("p", {}, t("importNothing"))
  const leaveOut =
    report.failed === 0 ? null : el("input", { id: "leave-out", type: "checkbox", required: true })
  const button = el("button", { class: "main" }, t("importNow"))
  const submit = (event) => {
    event.preventDefault()
    return importNow(asked, seen, leaveOut !== null, button)
  }
  return el(
    "form",
    { onsubmit: submit },
    ...(passwords !== null && passwords.toWrap > 0
      ? [el("p", {}, t("importPasswords", { count: number(passwords.toWrap) }))]
      : []),
    leaveOut === null
      ? null
      : el(
          "div",
          { class: "tick-line" },
          leaveOut,
          el("label", { for: "leave-out" }, t("importLeaveOut", { count: number(report.failed) }))
        ),
    button
  )
}

const importNow = (asked, seen, keepGoing, button) => {
  const { desk, file, found } = asked
  button.disabled = true
  button.textContent = t("importing")
  const path = pathOf(asked, { seen, ...(keepGoing ? { keepGoing: "yes" } : {}) })
  return desk.act(
    () => desk.send(path, file),
    ({ offered, report }) => show(found, doneOf(file, offered, report)),
    (text, code) => show(found, [refusal(t("importNot"), saidOf(text, code))])
  )
}

const doneOf = (file, offered, report) => [
  el(
    "div",
    { class: "outcome", tabindex: "-1" },
    el("h3", {}, t("importDone", { name: file.name })),
    el("p", {}, t("importOffered", { count: number(offered) }))
  ),
  ...countsOf(report)
]

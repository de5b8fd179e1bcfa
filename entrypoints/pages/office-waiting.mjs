/** Devices that asked by stick: bring their requests, approve them by the words heard on the phone. */
import { el } from "./elements.mjs"
import { small, table } from "./office-tables.mjs"
import { moment, number } from "./units.mjs"
import { t } from "./words.mjs"

export const showWaiting = async (place, desk) => {
  const { centralWords, decided, now, organisations, waiting } = await desk.get("/waiting")
  const outcome = el("div", { class: "outcomes" }, ...(news.drawn ?? []))
  news.drawn = null
  place.replaceChildren(
    el("h2", {}, t("tab_waiting")),
    el("p", {}, t("waitingIntro")),
    bringForm(desk, outcome),
    outcome,
    el("h2", {}, t("waitingTitle", { count: number(waiting.length) })),
    ...(waiting.length === 0
      ? [el("p", {}, t("waitingNone"))]
      : [organisationsKnown(organisations), el("p", {}, t("waitingCall"))]),
    ...waiting.map((one) => waitingCard(one, organisations, desk)),
    ...(decided.length === 0
      ? []
      : [
          el("h2", {}, t("decidedTitle")),
          el("p", {}, t("answerHow")),
          el("p", {}, t("centralWords"), " ", el("b", { lang: "en" }, centralWords)),
          table(t("decidedTitle"), DECIDED, decided)
        ])
  )
  return now
}

/** What has just been done is said once more above the list that is drawn anew. */
const news = { drawn: null }

const again = async (desk, ...drawn) => {
  news.drawn = drawn
  await desk.look()
  const first = document.querySelector(".outcomes [tabindex='-1']")
  first?.focus()
}

const told = (kind, title, ...rest) =>
  el("div", { class: `outcome ${kind}`, tabindex: "-1" }, el("h3", {}, title), ...rest)

/** What is read of a stick: the notes of enrolment, with their signatures beside them. */
const NOTE = /(?:^|\/)([0-9a-f-]{16,38})\.json$/u
/** A note is a page of text; what is larger is something else, and is not read. */
const NOTE_BYTES_MAX = 32_768
const SIGNATURES_MAX = 9
const NOTES_AT_ONCE = 200

const bringForm = (desk, outcome) => {
  const input = (id, label, attributes) => [
    el("label", { for: id }, label),
    el("input", { id, type: "file", ...attributes })
  ]
  const files = input("requests", t("bringFiles"), { multiple: true })
  const stick = input("stick", t("bringStick"), { webkitdirectory: true })
  const submit = async (event) => {
    event.preventDefault()
    const given = [files[1], stick[1]].flatMap((one) => [...one.files])
    const { left, requests } = await notesIn(given)
    if (requests.length === 0) {
      outcome.replaceChildren(told("refused", t("bringNothing")))
      return outcome.firstChild.focus()
    }
    await desk.act(
      () => desk.post("/waiting", { requests }),
      ({ brought }) => again(desk, broughtList([...brought, ...left])),
      (text) => {
        outcome.replaceChildren(told("refused", text))
        outcome.firstChild.focus()
      }
    )
  }
  return el(
    "form",
    { class: "bring", onsubmit: submit },
    el("div", {}, ...files),
    el("div", {}, ...stick),
    el("button", { class: "main" }, t("bring"))
  )
}

const broughtList = (brought) => {
  const good = brought.every(({ outcome }) => ["waiting", "known", "answer"].includes(outcome))
  const list = brought.map(({ name, outcome }) =>
    el("li", {}, el("b", {}, name), ` ${t(`b_${outcome}`)}`)
  )
  return told(good ? "" : "left", t("broughtTitle"), el("ul", {}, ...list))
}

/** Requests with their signatures; names without a signature beside them are told apart here. */
const notesIn = async (files) => {
  const pathOf = (file) => file.webkitRelativePath || file.name
  const byPath = new Map(files.map((file) => [pathOf(file), file]))
  const asked = files.filter((file) => NOTE.test(pathOf(file)))
  const requests = []
  const left = []
  for (const file of asked) {
    const { name } = file
    const signatures = signatureNames(pathOf(file)).map((path) => byPath.get(path))
    const found = signatures.filter((one) => one !== undefined && one.size <= NOTE_BYTES_MAX)
    if (requests.length === NOTES_AT_ONCE) left.push({ name, outcome: "too-many" })
    else if (file.size > NOTE_BYTES_MAX) left.push({ name, outcome: "too-large" })
    else if (found.length === 0) left.push({ name, outcome: "alone" })
    else {
      const text = await file.text()
      requests.push({
        name,
        note: { text, signatures: await Promise.all(found.map((one) => one.text())) }
      })
    }
  }
  return { requests, left }
}

const signatureNames = (path) =>
  Array.from({ length: SIGNATURES_MAX }, (_, at) => `${path}.sig${at === 0 ? "" : `.${at + 1}`}`)

const ORGANISATIONS = "organisations-known"

const organisationsKnown = (organisations) =>
  el("datalist", { id: ORGANISATIONS }, ...organisations.map((value) => el("option", { value })))

const waitingCard = (one, organisations, desk) => {
  const { by, cameAt, createdAt, id, known, name, program, words } = one
  const key = id.slice(0, 12)
  const notice = el("p", { class: "notice", role: "alert" })
  return el(
    "article",
    { class: "asks", "aria-labelledby": `name-${key}` },
    el("h3", { id: `name-${key}` }, el("bdi", {}, name)),
    el(
      "dl",
      {},
      ...fact("askedAt", moment(createdAt)),
      ...fact("cameAt", t("cameBy", { time: moment(cameAt), who: by })),
      ...fact("version", program)
    ),
    known === null ? null : el("p", { class: "later" }, t(`known_${known.state}`, known)),
    el(
      "details",
      {},
      el("summary", {}, t("wordsShow")),
      el("p", { class: "words", lang: "en", dir: "ltr" }, words)
    ),
    approveForm(one, key, organisations, desk, notice),
    notice,
    refuseForm(one, key, desk, notice)
  )
}

const fact = (key, value) => [el("dt", {}, t(key)), el("dd", {}, value)]

/** So that no click alone approves: the words are typed as they are heard, and central compares. */
const approveForm = ({ id, name }, key, organisations, desk, notice) => {
  const words = el("input", {
    id: `words-${key}`,
    required: true,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    lang: "en",
    dir: "ltr",
    "aria-describedby": `help-${key}`
  })
  const organisation = el("input", {
    id: `organisation-${key}`,
    list: ORGANISATIONS,
    required: true,
    autocomplete: "off",
    dir: "auto",
    value: organisations.length === 1 ? organisations[0] : ""
  })
  const submit = (event) => {
    event.preventDefault()
    notice.textContent = ""
    return desk.act(
      () =>
        desk.post(`/waiting/${id}/approve`, {
          words: words.value,
          organisation: organisation.value.trim()
        }),
      ({ device, organisations: members }) =>
        again(desk, approvedNews({ device, id, members, name })),
      (text, code) => {
        notice.textContent = text
        if (code === "organisation-unclear") organisation.focus()
        else words.focus()
      }
    )
  }
  return el(
    "form",
    { onsubmit: submit },
    el("label", { for: words.id }, t("wordsHeard")),
    words,
    small(el("span", { id: `help-${key}` }, t("wordsHelp"))),
    el("label", { for: organisation.id }, t("organisationOf")),
    organisation,
    el("button", { class: "main", "aria-describedby": `name-${key}` }, t("approve"))
  )
}

const approvedNews = ({ device, id, members, name }) =>
  told(
    "",
    t("approvedTitle", { name }),
    el("p", {}, t("approvedText", { device, organisations: members.join(", ") })),
    el("p", {}, saveAnswer(id, name)),
    el("p", {}, t("answerHow"))
  )

const saveAnswer = (id, name) =>
  el(
    "a",
    {
      class: "save",
      href: `/office/v1/waiting/${id}/answer.zip`,
      download: "testferry-answer.zip",
      "aria-label": t("saveAnswerOf", { name })
    },
    t("saveAnswer")
  )

const refuseForm = ({ id, name }, key, desk, notice) => {
  const reason = el("input", { id: `reason-${key}`, required: true, maxlength: "500" })
  const submit = (event) => {
    event.preventDefault()
    return desk.act(
      () => desk.post(`/waiting/${id}/refuse`, { reason: reason.value.trim() }),
      () => again(desk, told("left", t("refusedTitle", { name }))),
      (text) => {
        notice.textContent = text
      }
    )
  }
  return el(
    "details",
    {},
    el("summary", {}, t("refuseShow")),
    el(
      "form",
      { onsubmit: submit },
      el("label", { for: reason.id }, t("refuseReason")),
      reason,
      el("button", { "aria-describedby": `name-${key}` }, t("refuse"))
    )
  )
}

const DECIDED = [
  { head: "device", of: ({ device, name }) => [name, device === null ? null : small(device)] },
  {
    head: "outcome",
    of: ({ id, name, reason, state }) =>
      state === "approved"
        ? [t("d_approved"), " ", saveAnswer(id, name)]
        : [t("d_refused"), small(reason)]
  },
  { head: "organisation", of: ({ organisations }) => organisations.join(", ") },
  { head: "when", of: ({ at, decidedBy }) => [moment(at), small(decidedBy)] },
  { head: "wordsHead", of: ({ words }) => el("span", { lang: "en", dir: "ltr" }, words) }
]

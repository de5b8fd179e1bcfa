/** Connects a new device to its central: once, by a sync manager's login. */
import { doorAt } from "./api.mjs"
import { el, show } from "./elements.mjs"
import { languages } from "./languages.mjs"
import { refusedLines } from "./manage-refusals.mjs"
import { progressOf, supportLine } from "./manage-run.mjs"
import { t } from "./words.mjs"

const { get, post } = doorAt("/manager/v1")
const POLL_MILLIS = 1_000

/** Shows the form, once central has shown who it is; calls `done` when the device is connected. */
export const showEnrol = async (door, done) => {
  const peer = await get("/peer").catch(() => null)
  if (peer !== null && peer.refused === null) return showForm(door, peer, done)
  const again = () => showEnrol(door, done)
  const button = el("button", { class: "main", type: "button", onclick: again }, t("again"))
  showCard(
    again,
    t("enrolTitle"),
    el("p", {}, t("enrolCentre", { url: door.central })),
    el(
      "div",
      { class: "outcome refused", role: "alert" },
      ...(peer === null ? [t("managerAway")] : refusedLines(peer.refused))
    ),
    button
  )
}

const showCard = (again, title, ...inside) => {
  document.title = title
  show(el("main", { class: "card wide" }, languages(again), el("h1", {}, title), ...inside))
}

/** `kept`: what was typed before the language was changed. */
const showForm = (door, peer, done, kept = { name: door.name }) => {
  const input = (name, type, autocomplete) =>
    el("input", {
      id: name,
      name,
      type,
      autocomplete,
      value: kept[name],
      required: true,
      autocapitalize: "none",
      spellcheck: "false",
      dir: "auto"
    })
  const name = input("name", "text", "off")
  const login = input("login", "text", "username")
  const password = input("password", "password", "current-password")
  const same = el("input", { id: "same", type: "checkbox", required: true, checked: kept.same })
  const notice = el("div", { class: "outcome refused", role: "alert" })
  const button = el("button", { class: "main" }, t("enrolButton"))
  const typed = () => ({ name: name.value, login: login.value, password: password.value })
  let problem = kept.problem ?? (() => [])
  const tell = (lines) => {
    problem = lines
    notice.replaceChildren(...lines())
  }
  tell(problem)
  const submit = async (event) => {
    event.preventDefault()
    button.disabled = true
    tell(() => [])
    const fingerprint = peer.known || !same.checked ? null : peer.fingerprint
    try {
      const { refused } = await post("/enrol", { ...typed(), fingerprint })
      if (refused === null) return await done()
      tell(() => refusedLines(refused))
      password.value = ""
    } catch (trouble) {
      // Another window was faster.
      if (trouble.status === 409) return await done()
      tell(() => [messageOf(trouble)])
    }
    button.disabled = false
    password.focus()
  }
  showCard(
    () => showForm(door, peer, done, { ...typed(), same: same.checked, problem }),
    t("enrolTitle"),
    el("p", {}, t("enrolText")),
    el("p", {}, t("enrolCentre", { url: door.central })),
    el(
      "form",
      { method: "post", onsubmit: submit },
      ...(peer.known ? [] : comparing(peer.fingerprint, same)),
      el("label", { for: "name" }, t("enrolName")),
      name,
      el("label", { for: "login" }, t("loginName")),
      login,
      el("label", { for: "password" }, t("password")),
      password,
      notice,
      button
    )
  )
}

const messageOf = ({ code, status }) =>
  status === 0 ? t("managerAway") : t(status === 429 ? "tooMany" : "managerFailed", { code })

const comparing = (fingerprint, same) => [
  el("p", { class: "before" }, t("enrolFingerprint")),
  el("code", { class: "fingerprint", dir: "ltr" }, ...inLines(fingerprint)),
  el("div", { class: "tick-line" }, same, el("label", { for: "same" }, t("enrolSame")))
]

/** Four pairs at a time, as people compare them: with a finger on the paper. */
const inLines = (fingerprint) =>
  (fingerprint.match(/.{1,12}/gu) ?? []).map((line) => el("span", {}, line))

/** Shows the first fetch, before whose end nobody can log in; calls `done` when somebody can. */
export const showFirst = (door, done) => {
  const place = el("div", { class: "run", role: "group", "aria-labelledby": "first" })
  let now = door
  let drawn = ""
  let timer
  const tryAgain = async () => {
    await post("/first").catch(() => {})
    await look()
  }
  const draw = () => {
    const drawing = JSON.stringify(now.first)
    if (drawing === drawn) return
    const hadState = drawn === "" ? null : JSON.parse(drawn)?.state
    drawn = drawing
    place.replaceChildren(...firstView(now.first, tryAgain))
    if (hadState !== now.first?.state) place.querySelector("button")?.focus()
  }
  const look = async () => {
    clearTimeout(timer)
    if (!place.isConnected) return
    now = (await get("/door").catch(() => null)) ?? now
    if (now.peopled || !now.enrolled) return done()
    draw()
    timer = setTimeout(look, POLL_MILLIS)
  }
  showCard(() => showFirst(now, done), t("enrolFirst"), place)
  draw()
  timer = setTimeout(look, POLL_MILLIS)
}

const firstView = (first, again) => {
  const button = el("button", { class: "main", type: "button", onclick: again }, t("fetchNow"))
  if (first === null) return [el("p", {}, t("firstMissing")), button]
  if (first.state === "running") return progressOf({ kind: "sync", bars: first.bars })
  const why = first.refused === null ? [el("p", {}, t("firstNobody"))] : refusedLines(first.refused)
  return [el("div", { class: "outcome refused" }, ...why, supportLine(first.support)), button]
}

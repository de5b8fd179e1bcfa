/** Connects a new device to its central: once, by a sync manager's login. */
import { doorAt } from "./api.mjs"
import { el, show } from "./elements.mjs"
import { languages } from "./languages.mjs"
import { refusedLines } from "./manage-refusals.mjs"
import { t } from "./words.mjs"

const { get, post } = doorAt("/manager/v1")
const POLL_MILLIS = 1_000

/** Shows the form; calls `done` once somebody can log in. */
export const showEnrol = async (door, done) => {
  const peer = await get("/peer")
  const input = (name, type, value) =>
    el("input", {
      id: name,
      name,
      type,
      value,
      required: true,
      autocapitalize: "none",
      spellcheck: "false"
    })
  const name = input("name", "text", door.name)
  const login = input("login", "text", "")
  const password = input("password", "password", "")
  const same = el("input", { id: "same", type: "checkbox", required: true })
  const notice = el("div", { class: "outcome refused", role: "alert" })
  const button = el("button", { class: "main" }, t("enrolButton"))
  const tell = (refused) =>
    notice.replaceChildren(...refusedLines(refused).filter((line) => line !== null))
  const submit = async (event) => {
    event.preventDefault()
    button.disabled = true
    notice.replaceChildren()
    try {
      const { refused } = await post("/enrol", {
        name: name.value,
        login: login.value,
        password: password.value,
        fingerprint: peer.known ? null : peer.fingerprint
      })
      if (refused === null) return await waitForPeople(done)
      tell(refused)
      password.value = ""
    } catch (trouble) {
      notice.textContent = t("managerFailed", { code: trouble.code })
    }
    button.disabled = false
  }
  document.title = t("enrolTitle")
  show(
    el(
      "main",
      { class: "card wide" },
      languages(() => showEnrol(door, done)),
      el("h1", {}, t("enrolTitle")),
      el("p", {}, t("enrolText")),
      el("p", {}, t("enrolCentre", { url: door.central })),
      el(
        "form",
        { method: "post", onsubmit: submit },
        ...(peer.fingerprint === null || peer.known
          ? []
          : [
              el("p", { class: "before" }, t("enrolFingerprint")),
              el("code", { class: "fingerprint" }, ...inLines(peer.fingerprint)),
              el("div", { class: "tick-line" }, same, el("label", { for: "same" }, t("enrolSame")))
            ]),
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
  )
  if (peer.refused !== null) tell(peer.refused)
}

/** Eight pairs a line, as people compare them: with a finger on the paper. */
const inLines = (fingerprint) =>
  (fingerprint.match(/.{1,24}/gu) ?? []).map((line) => el("span", {}, line))

/** Nobody can log in before the people have come. */
const waitForPeople = async (done) => {
  const bar = el("progress", { "aria-label": t("enrolFirst"), max: 100 })
  show(el("main", { class: "card" }, el("h1", {}, t("enrolFirst")), bar))
  for (;;) {
    const door = await get("/door").catch(() => null)
    if (door?.peopled || (door !== null && door.first !== null && door.first.state !== "running")) {
      return done()
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLIS))
  }
}

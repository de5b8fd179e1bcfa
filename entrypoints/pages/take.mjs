/** The way of a test-taker: log in, choose a test, wait for the proctor, sit, leave. */
import { get, post } from "./api.mjs"
import { el, say, show } from "./elements.mjs"
import { loginTrouble, showLoginCard } from "./login.mjs"
import { sit } from "./sitting.mjs"
import { moment } from "./units.mjs"
import { speak, t } from "./words.mjs"

/** How often a page that waits for the proctor looks again. */
const POLL_MILLIS = 3_000
let chosen = false

const messageOf = loginTrouble({
  away: "unreachable",
  wrong: "loginWrong",
  other: "loginOther",
  failed: "failed"
})

const showLogin = (problem) =>
  showLoginCard(
    {
      title: () => t("login"),
      messageOf,
      onLanguage: () => {
        chosen = true
      },
      logIn: async (login, password) => {
        enter((await post("/login", { login, password })).person)
      }
    },
    problem
  )

const enter = (person) => {
  if (!chosen) speak(person.language.slice(0, 2).toLowerCase())
  showTests(person)
}

const showTests = async (person) => {
  let deliveries
  try {
    deliveries = (await get("/deliveries")).deliveries
  } catch (trouble) {
    return trouble.code === "login-needed" ? showLogin() : showLogin(messageOf(trouble))
  }
  const notice = el("p", { class: "notice", role: "alert" })
  document.title = t("yourTests")
  const logOut = async () => {
    await post("/logout").catch(() => {})
    chosen = false
    showLogin()
  }
  show(
    el(
      "main",
      { class: "card wide" },
      el("p", { class: "hello" }, t("hello", { name: person.label })),
      el("h1", {}, t("yourTests")),
      notice,
      deliveries.length === 0
        ? el("p", {}, t("noTests"))
        : el("ul", { class: "tests" }, ...deliveries.map((one) => testRow(one, person, notice))),
      el(
        "div",
        { class: "choice" },
        el("button", { type: "button", onclick: () => showTests(person) }, t("refresh")),
        el("button", { type: "button", onclick: logOut }, t("logout"))
      )
    )
  )
}

const testRow = (delivery, person, notice) => {
  const { denied, eligibility, from, label, session } = delivery
  const begin = async (event) => {
    event.target.disabled = true
    try {
      const { execution } =
        session ?? (await post("/executions", { delivery: delivery.delivery, eligibility }))
      await approach(execution, person)
    } catch (trouble) {
      if (trouble.code === "login-needed") return showLogin(t("loggedOut"))
      notice.textContent = messageOf(trouble)
      event.target.disabled = false
    }
  }
  const opens = from === null ? "" : moment(from)
  const known = ["not-yet", "over", "used-up"].includes(denied)
  const why =
    denied === "not-yet" && opens !== ""
      ? t("opensAt", { time: opens })
      : t(known ? denied : "notNow")
  return el(
    "li",
    {},
    el("span", {}, label),
    denied === null || session !== null
      ? el(
          "button",
          {
            type: "button",
            class: "main",
            "aria-label": `${t(session === null ? "start" : "goOn")}: ${label}`,
            onclick: begin
          },
          t(session === null ? "start" : "goOn")
        )
      : el("span", { class: "denied" }, why)
  )
}

/** Starts the test, or waits until the proctor lets it be started. */
const approach = async (execution, person) => {
  try {
    await post(`/executions/${encodeURIComponent(execution)}/start`)
  } catch (trouble) {
    if (trouble.code === "awaiting" || trouble.code === "paused") {
      return wait(execution, person, trouble.code)
    }
    if (trouble.code === "login-needed") return showLogin()
    if (trouble.code === "ended") return showEnd(person, "ended")
    throw trouble
  }
  await sit(execution, (how) => {
    if (how === "finished") return showEnd(person, "finished")
    if (how.code === "login-needed") return showLogin(t("loggedOut"))
    if (how.code === "finished") return showEnd(person, "finished")
    if (how.code === "ended" || how.code === "terminated" || how.code === "cancelled") {
      return showEnd(person, "ended")
    }
    // As when another runner has begun it: to try again would be to try for ever.
    if (how.code === "wrong-stage" || how.code === "not-found") return showTests(person)
    return approach(execution, person).catch(() => showTests(person))
  })
}

const wait = (execution, person, why) => {
  const paused = why === "paused"
  let over = false
  document.title = t(paused ? "pausedTitle" : "waitTitle")
  const leave = () => {
    over = true
    showTests(person)
  }
  show(
    el(
      "main",
      { class: "card" },
      el("h1", {}, t(paused ? "pausedTitle" : "waitTitle")),
      el("p", { role: "status" }, t(paused ? "pausedText" : "waitText")),
      el("div", { class: "pulse", "aria-hidden": "true" }),
      el("button", { type: "button", onclick: leave }, t("back"))
    )
  )
  const look = async () => {
    if (over) return
    const session = await get(`/executions/${encodeURIComponent(execution)}`).catch((trouble) =>
      trouble.code === "login-needed" ? trouble : null
    )
    if (over) return
    if (session?.code === "login-needed") {
      over = true
      return showLogin(t("loggedOut"))
    }
    if (session === null || ["awaiting", "paused"].includes(session.stage)) {
      return setTimeout(look, POLL_MILLIS)
    }
    over = true
    await approach(execution, person).catch(() => showTests(person))
  }
  setTimeout(look, POLL_MILLIS)
}

const showEnd = (person, how) => {
  const finished = how === "finished"
  document.title = t(finished ? "finishedTitle" : "endedTitle")
  say("")
  show(
    el(
      "main",
      { class: "card" },
      el("div", { class: "tick", "aria-hidden": "true" }, finished ? "✓" : "■"),
      el("h1", {}, t(finished ? "finishedTitle" : "endedTitle")),
      el("p", {}, t(finished ? "finishedText" : "endedText")),
      el("button", { type: "button", onclick: () => showTests(person) }, t("back"))
    )
  )
}

speak(navigator.language.slice(0, 2).toLowerCase())
get("/me").then(enter, () => showLogin())

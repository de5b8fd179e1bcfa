/** The way of a sync manager: connect once, log in, press the button, read what came of it. */
import { get as ask, doorAt } from "./api.mjs"
import { confirmIn } from "./dialogs.mjs"
import { el, say, show } from "./elements.mjs"
import { languages } from "./languages.mjs"
import { loginTrouble, showLoginCard } from "./login.mjs"
import { showEnrol } from "./manage-enrol.mjs"
import { showChecks, showHistory, showReadiness } from "./manage-more.mjs"
import { asksForRemoval, outcomeView, runningView } from "./manage-run.mjs"
import "./manage-words.mjs"
import { bytes, moment, number } from "./units.mjs"
import { speak, t } from "./words.mjs"

const { get, post } = doorAt("/manager/v1")

/** How often a page looks while something runs, and while nothing does. */
const FAST_MILLIS = 700
const SLOW_MILLIS = 10_000

/** What is on the desk; `timer` looks again. */
const desk = {
  name: "",
  media: [],
  stick: null,
  asked: null,
  timer: undefined,
  told: null,
  chose: false
}

const start = async () => {
  clearTimeout(desk.timer)
  const door = await get("/door").catch(() => null)
  if (door === null) return showLogin(t("managerAway"))
  desk.name = door.name
  if (!door.enrolled) return showEnrol(door, start)
  const overview = () => get("/overview")
  return ask("/me")
    .then(overview)
    .then(showDesk, () => showLogin())
}

/** What somebody chose here counts for more than what central knows of them. */
const choose = () => {
  desk.chose = true
}

const messageOf = loginTrouble({
  away: "managerAway",
  wrong: "managerWrong",
  other: "managerOther",
  failed: "managerFailed"
})

const showLogin = (problem) =>
  showLoginCard(
    {
      title: () => t("managerLogin"),
      hello: () => desk.name,
      messageOf,
      onLanguage: choose,
      logIn: async (login, password) => {
        const { person } = await post("/login", { login, password })
        if (!desk.chose) speak(person.language.slice(0, 2).toLowerCase())
        await start()
      }
    },
    problem
  )

const showDesk = async (overview) => {
  desk.media = (await get("/media").catch(() => ({ media: [] }))).media
  document.title = `${t("manageTitle")} · ${overview.name}`
  show(
    el(
      "main",
      { class: "desk" },
      el(
        "header",
        {},
        el("h1", {}, overview.name),
        languages(() => get("/overview").then(showDesk, start), choose),
        el("button", { type: "button", onclick: logOut }, t("logout"))
      ),
      el("section", { id: "work", "aria-label": t("manageTitle") }),
      el("section", { id: "ready" }),
      el("section", { id: "more" })
    )
  )
  drawWork(overview)
  showReadiness(document.getElementById("ready"), get)
  const more = document.getElementById("more")
  more.append(showChecks(get), showHistory(get))
  lookAgain(overview.run)
}

const logOut = async () => {
  await post("/logout").catch(() => {})
  await start()
}

const drawWork = (overview) => {
  const { fetchedAt, inProgress, run, tests, waiting } = overview
  const fact = (title, value, note, waits) =>
    el("li", waits ? { class: "wait" } : {}, title, el("b", {}, value), el("small", {}, note))
  const isRunning = run?.state === "running"
  document.getElementById("work").replaceChildren(
    el(
      "ul",
      { class: "facts" },
      fact(
        t("testsReady"),
        number(tests.here),
        `${t("testsOf", tests)}. ${fetchedAt === null ? t("neverFetched") : t("lastFetched", { time: moment(fetchedAt) })}`,
        tests.here < tests.wanted
      ),
      fact(
        t("resultsWaiting"),
        number(waiting),
        t(waiting === 0 ? "resultsNone" : "resultsSome"),
        waiting > 0
      ),
      fact(
        t("inProgress"),
        number(inProgress),
        t(inProgress === 0 ? "inProgressNone" : "inProgressSome"),
        false
      )
    ),
    ...(isRunning
      ? [runningView(run, () => post("/run/cancel").then(look, look))]
      : [
          outcomeView(run, inProgress, () => begin(desk.asked ?? { kind: run.kind, path: null })) ??
            "",
          el(
            "button",
            {
              type: "button",
              class: "main big",
              id: "big",
              onclick: () => begin({ kind: "sync", path: null })
            },
            t("bigButton")
          ),
          sticks()
        ])
  )
}

const sticks = () => {
  const choice = el(
    "select",
    { id: "stick" },
    ...desk.media.map(({ free, name, path }) =>
      el(
        "option",
        { value: path, selected: path === desk.stick },
        free === null ? name : t("stickFree", { name, free: bytes(free) })
      )
    )
  )
  const go = (kind) => () => {
    desk.stick = choice.value
    begin({ kind, path: choice.value })
  }
  const lookForSticks = async () => {
    desk.media = (await get("/media").catch(() => ({ media: desk.media }))).media
    await look()
    document.getElementById("stick-look")?.focus()
  }
  return el(
    "div",
    { class: "sticks" },
    ...(desk.media.length === 0
      ? [el("b", {}, t("stick")), el("span", { class: "none" }, t("stickNone"))]
      : [el("label", { for: "stick" }, t("stick")), choice]),
    el("button", { type: "button", id: "stick-look", onclick: lookForSticks }, t("stickLook")),
    desk.media.length === 0
      ? null
      : el(
          "div",
          { class: "pair" },
          el("button", { type: "button", onclick: go("save") }, t("stickSave")),
          el("button", { type: "button", onclick: go("load") }, t("stickLoad"))
        )
  )
}

const begin = async ({ confirmRemovals = false, kind, path }) => {
  desk.asked = { kind, path }
  try {
    await post("/run", { kind, path, dryRun: false, confirmRemovals })
  } catch (trouble) {
    // Another window was faster: this one shows the same run.
    if (trouble.status !== 409) say(messageOf(trouble))
    if (trouble.status === 401) return start()
  }
  await look()
}

/** Draws what is so now, and comes back: soon while something runs. */
const look = async () => {
  clearTimeout(desk.timer)
  let overview
  try {
    overview = await get("/overview")
  } catch (trouble) {
    if (trouble.status === 401 || trouble.status === 403) return start()
    say(t("managerAway"))
    return lookAgain(null)
  }
  const { run } = overview
  drawWork(overview)
  if (run !== null && run.state !== "running" && desk.told !== run.id) {
    desk.told = run.id
    say(document.querySelector(".outcome h2")?.textContent ?? "")
    showReadiness(document.getElementById("ready"), get)
    await askForRemoval(run)
  }
  return lookAgain(run)
}

const askForRemoval = async (run) => {
  const refused = asksForRemoval(run)
  if (!refused || desk.asked === null || desk.asked.kind !== run.kind) return
  const yes = await confirmIn({
    title: t("removalTitle"),
    text: t("removalText", { detail: refused.why }),
    yes: t("removalYes"),
    no: t("removalNo")
  })
  if (yes) await begin({ ...desk.asked, confirmRemovals: true })
}

const lookAgain = (run) => {
  clearTimeout(desk.timer)
  desk.timer = setTimeout(look, run?.state === "running" ? FAST_MILLIS : SLOW_MILLIS)
}

speak(navigator.language.slice(0, 2).toLowerCase())
start()

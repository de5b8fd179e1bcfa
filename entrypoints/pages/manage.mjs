/** The way of a sync manager: connect once, log in, press the button, read what came of it. */
import { get as ask, doorAt } from "./api.mjs"
import { confirmIn } from "./dialogs.mjs"
import { el, say, show } from "./elements.mjs"
import { languages } from "./languages.mjs"
import { loginTrouble, showLoginCard } from "./login.mjs"
import { beforeRun, checksView, lookAtChecks, showReadiness } from "./manage-checks.mjs"
import { bigButton, factsView, sticksView } from "./manage-desk.mjs"
import { showEnrol, showFirst } from "./manage-enrol.mjs"
import { showHistory } from "./manage-history.mjs"
import { asksForRemoval, outcomeView, runPanel } from "./manage-run.mjs"
import "./manage-words.mjs"
import { number } from "./units.mjs"
import { languageNow, speak, t } from "./words.mjs"

const { get, post } = doorAt("/manager/v1")

/** How often a page looks while something runs, and while nothing does. */
const FAST_MILLIS = 700
const SLOW_MILLIS = 10_000

const AWAY = () => t("managerAway")
const BUSY = () => t("busy")

/** What is on the desk. */
const desk = {
  name: "",
  overview: null,
  media: [],
  checks: null,
  stick: null,
  /** What somebody began in this window: only here a removal is asked about. */
  asked: null,
  /** Says what went wrong with the page itself, not with a run. */
  trouble: null,
  timer: undefined,
  /** Of a look that was overtaken nothing is drawn. */
  turn: 0,
  /** The run whose end was told here. */
  told: null,
  /** What was drawn last, so that nothing is drawn anew which is the same. */
  drawn: "",
  panel: null,
  chose: false
}

const start = async () => {
  clearTimeout(desk.timer)
  const door = await get("/door").catch(() => null)
  if (door === null) return showLogin(t("managerAway"))
  desk.name = door.name
  if (!door.enrolled) return showEnrol(door, start)
  if (!door.peopled) return showFirst(door, start)
  try {
    await ask("/me")
    desk.overview = await get("/overview")
  } catch (trouble) {
    return showLogin([401, 403].includes(trouble.status) ? "" : messageOf(trouble))
  }
  desk.media = (await get("/media").catch(() => desk)).media
  return showDesk()
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

const showDesk = () => {
  const open = new Set([...document.querySelectorAll("details[open]")].map(({ id }) => id))
  document.title = `${t("manageTitle")} · ${desk.name}`
  show(
    el(
      "main",
      { class: "desk" },
      el(
        "header",
        {},
        el("h1", {}, desk.name),
        languages(showDesk, choose),
        el("button", { type: "button", onclick: logOut }, t("logout"))
      ),
      el("section", { id: "work", "aria-label": t("manageTitle") }),
      el("section", { id: "ready" }, el("h2", {}, t("readiness")), el("p", {}, t("loading"))),
      el("section", { id: "more" }, checksView(null, open.has("checks")), showHistory(get, open))
    )
  )
  desk.drawn = ""
  desk.checks = null
  drawWork()
  lookAround(open)
  lookAgain()
}

/** What takes longer to find out, and is drawn when it is known. */
const lookAround = async (open) => {
  const language = languageNow()
  const ready = document.getElementById("ready")
  const [checks] = await Promise.all([lookAtChecks(get), showReadiness(ready, get, open)])
  if (language !== languageNow()) return
  desk.checks = checks
  drawWork()
  const old = document.getElementById("checks")
  const hadFocus = document.activeElement?.id === "check-again"
  old?.replaceWith(checksView(checks, old.open, () => lookAround()))
  if (hadFocus) document.getElementById("check-again")?.focus()
}

const logOut = async () => {
  await post("/logout").catch(() => {})
  await start()
}

/** Draws the facts, and below them the run or how it ended. Nobody loses their place by it. */
const drawWork = () => {
  const work = document.getElementById("work")
  const { checks, media, overview } = desk
  const trouble = desk.trouble?.() ?? ""
  const isRunning = overview.run?.state === "running"
  const run = isRunning
    ? { ...overview.run, waited: overview.now - overview.run.startedAt }
    : overview.run
  if (work === null) return
  const key = JSON.stringify([{ ...overview, now: 0, run: isRunning ? run.id : run }, trouble])
  const drawn = JSON.stringify([key, checks, media, languageNow()])
  if (drawn === desk.drawn) return isRunning ? desk.panel.show(run) : undefined
  desk.drawn = drawn
  const place = work.contains(document.activeElement) ? document.activeElement.id : null
  desk.panel = isRunning ? runPanel(run, cancelRun) : null
  work.replaceChildren(
    factsView(overview),
    el("p", { class: "notice", role: "alert" }, trouble),
    ...(isRunning ? [desk.panel.node] : restView(overview))
  )
  if (place === null) return
  const heading = document.getElementById("run-title") ?? document.getElementById("outcome")
  const again = document.getElementById(place) ?? heading ?? document.getElementById("big")
  again?.focus()
}

const restView = ({ inProgress, run }) => [
  outcomeView(run, inProgress, () => begin(run)) ?? "",
  beforeRun(desk.checks) ?? "",
  bigButton(() => begin({ kind: "sync", path: null })),
  sticksView({
    media: desk.media,
    chosen: desk.stick,
    onChoose: (path) => {
      desk.stick = path
    },
    go: (kind, path) => begin({ kind, path }),
    again: async () => {
      desk.media = (await get("/media").catch(() => desk)).media
      await look()
    }
  })
]

const cancelRun = () => post("/run/cancel").then(look, look)

const begin = async ({ kind, path }, confirmRemovals = false) => {
  clearTimeout(desk.timer)
  desk.turn += 1
  desk.asked = null
  desk.trouble = null
  try {
    desk.asked = await post("/run", { kind, path, dryRun: false, confirmRemovals })
  } catch (trouble) {
    if (trouble.status === 401) return start()
    const isGone = trouble.code === "bad-request" && path !== null
    const other = isGone ? () => t("stickGone") : () => messageOf(trouble)
    desk.trouble = trouble.status === 409 ? BUSY : other
  }
  await look()
}

/** Draws what is so now, and comes back: soon while something runs. */
const look = async () => {
  clearTimeout(desk.timer)
  desk.turn += 1
  const { turn } = desk
  const before = desk.overview.run
  try {
    const overview = await get("/overview")
    if (turn !== desk.turn) return
    desk.overview = overview
    if (desk.trouble === AWAY) desk.trouble = null
  } catch (trouble) {
    if (turn !== desk.turn) return
    if (trouble.status === 401 || trouble.status === 403) return start()
    desk.trouble = AWAY
  }
  if (document.getElementById("work") === null) return
  drawWork()
  const { run } = desk.overview
  const isOver = run !== null && run.state !== "running"
  if (isOver && desk.told !== run.id) {
    desk.told = run.id
    if (before?.id !== run.id || before.state === "running") await tell(run)
  }
  lookAgain()
}

/** A run ended while somebody looked. */
const tell = async (run) => {
  const heading = document.getElementById("outcome")
  if (document.activeElement !== heading) say(heading?.textContent ?? "")
  if (desk.trouble === BUSY) desk.trouble = null
  lookAround()
  const refused = asksForRemoval(run)
  if (refused === undefined || desk.asked?.id !== run.id) return
  const kinds = Object.entries(refused.kinds ?? {})
  const yes = await confirmIn({
    title: t("removalTitle"),
    text: t("removalText"),
    detail: el(
      "ul",
      {},
      ...kinds.map(([kind, count]) => el("li", {}, `${t(`k_${kind}`)}: ${number(count)}`))
    ),
    yes: t("removalYes"),
    no: t("removalNo")
  })
  if (yes) await begin(desk.asked, true)
}

const lookAgain = () => {
  clearTimeout(desk.timer)
  const isRunning = desk.overview.run?.state === "running"
  desk.timer = setTimeout(look, isRunning ? FAST_MILLIS : SLOW_MILLIS)
}

speak(navigator.language.slice(0, 2).toLowerCase())
start()

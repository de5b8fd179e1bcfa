/** The way of a proctor: log in, see the room as it is now, let people in, pause, help, end. */
import { get as ask, doorAt } from "./api.mjs"
import { el, say, show } from "./elements.mjs"
import { languages } from "./languages.mjs"
import { loginTrouble, showLoginCard } from "./login.mjs"
import { moment } from "./units.mjs"
import { makeActs } from "./watch-acts.mjs"
import { makeRoom } from "./watch-room.mjs"
import { nameOf } from "./watch-rows.mjs"
import "./watch-words.mjs"
import { speak, t } from "./words.mjs"

const { get, post } = doorAt("/proctor/v1")

/** How soon a proctor sees what somebody did. */
const LOOK_MILLIS = 2_500

/** `waiting`: who was known to wait; null before the first look. `looks` numbers looks: the last wins. */
const desk = { room: null, sessions: [], seenAt: 0, waiting: null, timer: undefined, looks: 0 }

const start = async () => {
  clearTimeout(desk.timer)
  try {
    const { kind } = await ask("/me")
    return kind === "proctor" || kind === "administrator" ? showDesk() : showLogin()
  } catch (trouble) {
    return showLogin(trouble.status === 0 ? t("watchAway") : "")
  }
}

const messageOf = loginTrouble({
  away: "watchAway",
  wrong: "watchWrong",
  other: "watchOther",
  failed: "watchFailed"
})

const showLogin = (problem) =>
  showLoginCard(
    {
      title: () => t("watchLogin"),
      messageOf,
      logIn: async (login, password) => {
        const { person } = await post("/login", { login, password })
        speak(person.language.slice(0, 2).toLowerCase())
        showDesk()
      }
    },
    problem
  )

/** Draws the page anew, as in another language; what is shown in it stays. */
const showDesk = () => {
  const notice = el("div", { class: "notice", role: "alert" })
  const stale = el("p", { class: "stale", role: "status" })
  const done = el("p", { class: "done", role: "status" })
  const tell = (problems, text) => {
    notice.replaceChildren(...problems.map((line) => el("p", {}, line)))
    done.textContent = text
  }
  const acts = makeActs({ post, look, tell, left: leave })
  const filter = desk.room?.filter() ?? "all"
  const room = makeRoom(acts, filter)
  desk.room = room
  desk.stale = stale
  show(
    el(
      "main",
      { class: "watch" },
      el(
        "header",
        {},
        el("h1", {}, t("watchTitle")),
        languages(showDesk),
        el("button", { type: "button", onclick: logOut }, t("logout"))
      ),
      notice,
      done,
      stale,
      room.whole
    )
  )
  if (desk.waiting !== null) room.draw(desk.sessions)
  look()
}

const logOut = async () => {
  clearTimeout(desk.timer)
  await post("/logout").catch(() => {})
  Object.assign(desk, { room: null, sessions: [], waiting: null })
  showLogin()
}

/** Draws what is so now, and comes back. */
const look = async () => {
  clearTimeout(desk.timer)
  desk.looks += 1
  const mine = desk.looks
  const { room, stale } = desk
  try {
    const { sessions } = await get("/sessions")
    // Somebody acted, or logged out, while this answer was on its way.
    if (mine !== desk.looks || room !== desk.room) return
    desk.sessions = sessions
    desk.seenAt = Date.now()
    stale.textContent = ""
    room.draw(sessions)
    announce(sessions)
  } catch (trouble) {
    if (mine !== desk.looks || room !== desk.room) return
    if (trouble.status === 401 || trouble.status === 403) return leave()
    stale.textContent =
      desk.seenAt === 0 ? messageOf(trouble) : t("watchStale", { time: moment(desk.seenAt) })
  }
  desk.timer = setTimeout(look, LOOK_MILLIS)
}

const leave = () => {
  for (const open of document.querySelectorAll("dialog[open]")) open.close()
  Object.assign(desk, { room: null, sessions: [], waiting: null })
  return start()
}

/** Says who waits since the last look, and shows in the title how many do. */
const announce = (sessions) => {
  const waiting = sessions.filter(({ stage }) => stage === "awaiting")
  const fresh = waiting.filter(({ execution }) => desk.waiting?.has(execution) !== true)
  desk.waiting = new Set(waiting.map(({ execution }) => execution))
  const title = t("watchTitle")
  document.title =
    waiting.length === 0 ? title : `${t("watchWaiting", { count: waiting.length })} · ${title}`
  const [first] = fresh
  if (first === undefined) return
  say(
    fresh.length === 1
      ? t("newWaiting", { name: nameOf(first), test: first.label })
      : t("newWaitingMany", { count: waiting.length })
  )
}

speak(navigator.language.slice(0, 2).toLowerCase())
start()

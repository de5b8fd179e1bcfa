/** The way of somebody at central's office: log in, choose what to look at, read. */
import { doorAt } from "./api.mjs"
import { el, say, show } from "./elements.mjs"
import { languages } from "./languages.mjs"
import { loginTrouble, showLoginCard } from "./login.mjs"
import { showImports } from "./office-imports.mjs"
import {
  showCompleteness,
  showFleet,
  showHistory,
  showManagers,
  showOpened,
  showResults
} from "./office-views.mjs"
import { showWaiting } from "./office-waiting.mjs"
import "./office-words.mjs"
import "./office-act-words.mjs"
import { moment } from "./units.mjs"
import { speak, t } from "./words.mjs"

const { get, post, send } = doorAt("/office/v1")

const TABS = {
  fleet: showFleet,
  waiting: showWaiting,
  completeness: showCompleteness,
  results: showResults,
  history: showHistory,
  managers: showManagers,
  imports: showImports,
  opened: showOpened
}
/** What only some may see has a tab for these only; central refuses it to others all the same. */
const OF_ROLE = { opened: "results-officer", waiting: "administrator", imports: "administrator" }

const desk = { me: null, tab: "fleet", busy: false }

const start = async () => {
  try {
    desk.me = await get("/me")
  } catch (trouble) {
    return showLogin(trouble.status === 401 ? "" : messageOf(trouble))
  }
  return showDesk()
}

const messageOf = loginTrouble({
  away: "officeAway",
  wrong: "officeWrong",
  failed: "officeFailed"
})

const showLogin = (problem) =>
  showLoginCard(
    {
      title: () => t("officeLogin"),
      messageOf,
      logIn: async (login, password) => {
        desk.me = await post("/login", { login, password })
        showDesk()
      }
    },
    problem
  )

const showDesk = () => {
  const { label, role } = desk.me
  const tabs = Object.keys(TABS).filter((tab) => (OF_ROLE[tab] ?? role) === role)
  document.title = `${t(`tab_${desk.tab}`)} · ${t("officeTitle")}`
  show(
    el(
      "main",
      { class: "desk office" },
      el(
        "header",
        {},
        el("h1", {}, t("officeTitle")),
        el("span", {}, `${label}, ${t(`r_${role}`)}`),
        languages(showDesk),
        el("button", { type: "button", onclick: logOut }, t("logout"))
      ),
      el(
        "nav",
        { class: "tabs", "aria-label": t("officeTitle") },
        ...tabs.map((tab) =>
          el(
            "button",
            {
              type: "button",
              "aria-current": tab === desk.tab ? "page" : null,
              onclick: () => {
                desk.tab = tab
                showDesk()
              }
            },
            t(`tab_${tab}`)
          )
        )
      ),
      el(
        "div",
        { class: "asof" },
        el("p", { id: "asof" }, t("loading")),
        el("button", { type: "button", onclick: look }, t("lookAgain"))
      ),
      el("section", { id: "view" })
    )
  )
  look()
}

/**
 * Does one thing that changes something: `done(answer)`, or `failed(text, code)` in the words of the
 * page; nothing twice, however often somebody clicks.
 */
const act = async (doing, done, failed) => {
  if (desk.busy) return
  desk.busy = true
  try {
    const answer = await doing()
    desk.busy = false
    await done(answer)
  } catch (trouble) {
    if (trouble.status === 401) return showLogin(t("officeIdle"))
    failed(actMessage(trouble), trouble.code)
  } finally {
    desk.busy = false
  }
}

/** What central refused has words of its own; the rest is said as everywhere. */
const actMessage = (trouble) => {
  const said = t(`x_${trouble.code}`, { detail: trouble.detail })
  return said === `x_${trouble.code}` ? messageOf(trouble) : said
}

const door = { get, post, send, act }

/** Never by itself: whoever has left the desk is logged out after some minutes. */
const look = async () => {
  const { tab } = desk
  const place = document.getElementById("view")
  try {
    const now = await TABS[tab](place, { ...door, look })
    // Somebody has gone on to another view meanwhile.
    if (!place.isConnected) return
    document.getElementById("asof").textContent = t("asOf", { time: moment(now ?? Date.now()) })
    say(t(`tab_${tab}`))
  } catch (trouble) {
    if (!place.isConnected) return
    if (trouble.status === 401) return showLogin(t("officeIdle"))
    place.replaceChildren(el("p", { class: "notice" }, messageOf(trouble)))
  }
}

const logOut = async () => {
  await post("/logout").catch(() => {})
  desk.me = null
  desk.tab = "fleet"
  showLogin()
}

speak(navigator.language.slice(0, 2).toLowerCase())
start()

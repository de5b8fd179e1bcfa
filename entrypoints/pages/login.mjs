/** The card on which people log in: the same on every page, in the words of each. */
import { el, show } from "./elements.mjs"
import { languages } from "./languages.mjs"
import { t } from "./words.mjs"

/** Says why somebody could not log in. `keys`: the page's own words for what may go wrong. */
export const loginTrouble =
  (keys) =>
  ({ code, status }) => {
    if (status === 0) return t(keys.away)
    if (code === "wrong-login") return t(keys.wrong)
    if (code === "wrong-person" && keys.other !== undefined) return t(keys.other)
    return code === "too-many-requests" ? t("tooMany") : t(keys.failed, { code })
  }

/**
 * Draws the card. `logIn(login, password)` goes on to what comes after, or throws the trouble that
 * `messageOf` puts into words; `title` and `hello` are asked anew for another language.
 */
export const showLoginCard = (options, problem = "") => {
  const { hello, logIn, messageOf, onLanguage, title } = options
  const input = (name, type, autocomplete) =>
    el("input", {
      id: name,
      name,
      type,
      autocomplete,
      required: true,
      autocapitalize: "none",
      spellcheck: "false",
      dir: "auto"
    })
  const login = input("login", "text", "username")
  const password = input("password", "password", "current-password")
  const notice = el("p", { class: "notice", role: "alert" }, problem)
  const button = el("button", { class: "main" }, t("login"))
  const submit = async (event) => {
    event.preventDefault()
    button.disabled = true
    try {
      await logIn(login.value, password.value)
    } catch (trouble) {
      notice.textContent = messageOf(trouble)
      password.value = ""
      button.disabled = false
      password.focus()
    }
  }
  document.title = title()
  show(
    el(
      "main",
      { class: "card" },
      languages(() => showLoginCard(options), onLanguage),
      hello === undefined ? null : el("p", { class: "hello" }, hello()),
      el("h1", {}, title()),
      el(
        "form",
        { method: "post", onsubmit: submit },
        el("label", { for: "login" }, t("loginName")),
        login,
        el("label", { for: "password" }, t("password")),
        password,
        notice,
        button
      )
    )
  )
  login.focus()
}

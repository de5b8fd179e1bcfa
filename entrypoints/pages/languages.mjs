/** Lets whoever stands here choose the language of the page. */
import { el } from "./elements.mjs"
import { LANGUAGES, languageNow, speak, t } from "./words.mjs"

/** `again` draws the view anew in the language that was chosen. */
export const languages = (again, onChoice = () => {}) =>
  el(
    "nav",
    { class: "languages", "aria-label": t("language") },
    ...Object.entries(LANGUAGES).map(([code, name]) =>
      el(
        "button",
        {
          type: "button",
          lang: code,
          "aria-pressed": String(code === languageNow()),
          onclick: () => {
            onChoice(code)
            speak(code)
            again()
          }
        },
        name
      )
    )
  )

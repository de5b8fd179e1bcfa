/** Draws what stands on a sync manager's desk: three facts, the button, and the sticks. */
import { el } from "./elements.mjs"
import { bytes, moment, number } from "./units.mjs"
import { t } from "./words.mjs"

/** Tests ready, results waiting, tests in progress. */
export const factsView = ({ fetchedAt, inProgress, results, tests, waiting }) => {
  const fact = (title, value, note, waits) =>
    el(
      "li",
      waits ? { class: "wait" } : {},
      title,
      el("b", {}, number(value)),
      el("small", {}, note)
    )
  const fetched =
    fetchedAt === null ? t("neverFetched") : t("lastFetched", { time: moment(fetchedAt) })
  return el(
    "ul",
    { class: "facts" },
    fact(
      t("testsReady"),
      tests.here,
      `${t("testsOf", tests)}. ${fetched}`,
      tests.here < tests.wanted
    ),
    fact(
      t("resultsWaiting"),
      results,
      t(waiting === 0 ? "resultsNone" : results === 0 ? "logsSome" : "resultsSome"),
      waiting > 0
    ),
    fact(
      t("inProgress"),
      inProgress,
      t(inProgress === 0 ? "inProgressNone" : "inProgressSome"),
      false
    )
  )
}

export const bigButton = (onclick) =>
  el("button", { type: "button", class: "main big", id: "big", onclick }, t("bigButton"))

/** `go(kind, path)` saves to a stick or loads from it; `again` looks for sticks anew. */
export const sticksView = ({ again, chosen, go, media, onChoose }) => {
  const choice = el(
    "select",
    { id: "stick", onchange: () => onChoose(choice.value) },
    ...media.map(({ free, name, path, writable }) =>
      el(
        "option",
        { value: path, selected: path === chosen },
        !writable
          ? t("stickReadOnly", { name })
          : free === null
            ? name
            : t("stickFree", { name, free: bytes(free) })
      )
    )
  )
  const button = (id, key, kind) =>
    el("button", { type: "button", id, onclick: () => go(kind, choice.value) }, t(key))
  return el(
    "div",
    { class: "sticks" },
    ...(media.length === 0
      ? [el("b", {}, t("stick")), el("span", { class: "none" }, t("stickNone"))]
      : [el("label", { for: "stick" }, t("stick")), choice]),
    el("button", { type: "button", id: "stick-look", onclick: again }, t("stickLook")),
    media.length === 0
      ? null
      : el(
          "div",
          { class: "pair" },
          button("save", "stickSave", "save"),
          button("load", "stickLoad", "load")
        )
  )
}

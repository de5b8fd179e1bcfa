/** Draws what the office looks at as tables: columns with a heading each, rows with a name each. */
import { el } from "./elements.mjs"
import { t } from "./words.mjs"

/**
 * `columns`: `{ head, of, figure }`; the first names the row. What is wider than the window scrolls
 * by itself, also by keyboard.
 */
export const table = (caption, columns, rows, rowClass = () => null) =>
  el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", { class: "unseen" }, caption),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ...columns.map(({ figure, head }) =>
            el("th", { scope: "col", class: figure ? "figure" : null }, t(head))
          )
        )
      ),
      el(
        "tbody",
        {},
        ...rows.map((row) =>
          el(
            "tr",
            { class: rowClass(row) },
            ...columns.map(({ figure, of }, at) =>
              el(
                at === 0 ? "th" : "td",
                { scope: at === 0 ? "row" : null, class: figure ? "figure" : null },
                of(row)
              )
            )
          )
        )
      )
    )
  )

/** A choice with a label above it; `choose` hears the value. */
export const choice = (id, label, options, value, choose) =>
  el(
    "div",
    {},
    el("label", { for: id }, label),
    el(
      "select",
      { id, onchange: (event) => choose(event.target.value) },
      ...options.map(([key, name]) => el("option", { value: key, selected: key === value }, name))
    )
  )

export const small = (text) => el("small", {}, text)

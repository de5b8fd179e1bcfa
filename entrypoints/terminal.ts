/**
 * Writes to a terminal: plain text, tables, colours, and the message of a refusal.
 *
 * Everything that came from outside (names from a CSV file, labels, file names) goes through
 * `plain`: a control character in a name must not move the cursor of whoever lists it.
 */
import { CliOutput } from "effect/cli"
import type { Refused } from "../application/refused.ts"

/** An output that may be a terminal: standard error, or a list in tests. */
export interface Screen {
  /** True when the cursor can be moved and colours are shown. */
  readonly isTerminal: boolean
  readonly canColor: boolean
  /** Asked anew for each line: windows are resized. */
  readonly columns: () => number
  readonly write: (text: string) => void
}

/** What a terminal is taken to be wide when it does not tell. */
const COLUMNS_DEFAULT = 80

/** Looks at one of the two outputs of this process. `TERM=dumb` counts as no terminal. */
export const screenOf = (
  stream: NodeJS.WriteStream,
  env: { readonly TERM?: string | undefined; readonly NO_COLOR?: string | undefined }
): Screen => {
  const isTerminal = stream.isTTY === true && env.TERM !== "dumb"
  return {
    isTerminal,
    canColor: isTerminal && (env.NO_COLOR ?? "") === "",
    columns: () => stream.columns || COLUMNS_DEFAULT,
    write: (text) => {
      stream.write(text)
    }
  }
}

/** Replaces control characters, so that text from outside is only ever text. */
export const plain = (text: string): string => text.replace(/\p{Cc}|\p{Bidi_Control}/gu, "\uFFFD")

export type Colour = "bold" | "dim" | "red" | "green" | "yellow"

const codes: Readonly<Record<Colour, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 }

/** Colours text where the screen shows colours, else leaves it alone. */
export const paint = (screen: Screen, colour: Colour, text: string): string =>
  screen.canColor ? `\u001B[${codes[colour]}m${text}\u001B[0m` : text

export interface Column {
  readonly title: string
  /** Numbers stand better to the right. */
  readonly align?: "left" | "right"
}

/**
 * Lays out rows under titles, two blanks between columns, by display width (wide characters take
 * two places). Ends without a line break.
 */
export const table = (
  columns: ReadonlyArray<Column | string>,
  rows: ReadonlyArray<ReadonlyArray<string | number>>
): string => {
  const heads = columns.map((column) => (typeof column === "string" ? { title: column } : column))
  const body = rows.map((row) => heads.map((_, i) => plain(String(row[i] ?? ""))))
  const widths = heads.map(({ title }, i) =>
    body.reduce((most, row) => Math.max(most, width(row[i] ?? "")), width(title))
  )
  const line = (cells: ReadonlyArray<string>) =>
    cells
      .map((cell, i) => padded(cell, widths[i] ?? 0, heads[i]?.align ?? "left"))
      .join("  ")
      .trimEnd()
  const rule = widths.map((n) => "-".repeat(n)).join("  ")
  return [line(heads.map(({ title }) => title)), rule, ...body.map(line)].join("\n")
}

/** Tells how many places text takes on a terminal. Most text is ASCII, which need not be split. */
export const width = (text: string): number =>
  /^[ -~]*$/.test(text) ? text.length : CliOutput.displayWidth(text)

/** Fills up with blanks to a display width; longer text is left as it is. */
export const padded = (text: string, columns: number, align: "left" | "right" = "left"): string => {
  const blanks = " ".repeat(Math.max(0, columns - width(text)))
  return align === "left" ? text + blanks : blanks + text
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** Cuts text to a display width, with a dot at the cut; never splits a character. */
export const cut = (text: string, columns: number): string => {
  if (width(text) <= columns) return text
  let kept = ""
  let used = 1
  for (const { segment } of graphemes.segment(text)) {
    used += width(segment)
    if (used > columns) break
    kept += segment
  }
  return columns < 1 ? "" : `${kept}…`
}

/** Writes a refusal as three lines: what happened, why, what to do (design §9). */
export const refusalText = (refused: Refused, screen: Screen): string =>
  [
    `${paint(screen, "red", "error:")} ${sentence(refused.what)}`,
    `  why: ${sentence(refused.why)}`,
    `  do: ${sentence(refused.todo)}`,
    ""
  ].join("\n")

const sentence = (text: string): string => text.trim().split(/\r?\n/u).map(plain).join("\n       ")

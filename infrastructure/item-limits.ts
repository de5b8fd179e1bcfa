/**
 * Checks what was answered against the numbers that an item states: at least and at most so many
 * choices. What it does not state is not checked, and patterns are left to the page: a pattern of a
 * package may take for ever.
 */
import type { Known } from "../application/play-ports.ts"
import { attribute } from "./qti-manifest.ts"
import { walkXml, type XmlElement } from "./xml-document.ts"

interface Limits {
  readonly least: number
  readonly most: number
}

/** Whether there are as many answers as each interaction wants; nothing is known of a broken item. */
export const isWithinLimits = (xml: string, responses: ReadonlyArray<Known>): boolean => {
  const limits = new Map<string, Limits>()
  walkXml(Buffer.from(xml), "", "refuse", {
    open: (element) => {
      if (!/interaction$/iu.test(element.local)) return
      const response = said(element, "response-identifier", "responseIdentifier")
      if (response !== undefined) limits.set(response, limitsOf(element))
    }
  })
  return [...limits].every(([response, { least, most }]) => {
    const values = responses.find(({ identifier }) => identifier === response)?.values ?? []
    const count = values.filter(({ value }) => value !== "").length
    return count >= least && count <= most
  })
}

const said = (element: XmlElement, ...names: ReadonlyArray<string>): string | undefined =>
  names.map((name) => attribute(element, name)).find((value) => value !== undefined)

/** 0 is no limit, in QTI for the most, and for the least by itself. */
const limitsOf = (element: XmlElement): Limits => {
  const least = said(element, "min-choices", "minChoices", "min-associations", "minAssociations")
  const most = said(element, "max-choices", "maxChoices", "max-associations", "maxAssociations")
  return { least: wholeOr(least, 0), most: wholeOr(most, 0) || Number.POSITIVE_INFINITY }
}

const wholeOr = (text: string | undefined, otherwise: number): number => {
  const value = Number(text ?? otherwise)
  return Number.isSafeInteger(value) && value >= 0 ? value : otherwise
}

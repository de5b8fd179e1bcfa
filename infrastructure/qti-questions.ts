/** Reads out of a published package what it asks: its items in their order, and their interactions. */
import { Schema } from "effect"
import { join } from "../domain/package-href.ts"
import type { Question } from "../domain/plausible.ts"
import { BaseType, Cardinality } from "../domain/variable.ts"
import { attribute } from "./qti-manifest.ts"
import { walkXml, type XmlElement } from "./xml-document.ts"

export interface ItemRef {
  readonly identifier: string
  readonly file: string
}

export interface ItemQuestions {
  readonly questions: ReadonlyArray<Question>
  /** Whether the item is scored by whether its one response is the correct one. */
  readonly scoresByMatch: boolean
}

/** The items of a test, in the order of the document. `file`: the test's path in the package. */
export const readItemRefs = (bytes: Uint8Array, file: string): ReadonlyArray<ItemRef> => {
  const found: Array<ItemRef> = []
  walkXml(bytes, file, "refuse", {
    open: (element) => {
      const target = join(file, attribute(element, "href") ?? "")
      const identifier = attribute(element, "identifier")
      if (plain(element.local) !== "assessmentitemref") return
      if (target !== undefined && identifier !== undefined) found.push({ identifier, file: target })
    }
  })
  return found
}

interface Draft {
  response: string
  interaction: string
  choices: Array<string>
  targets: Array<string>
  max: number
  bounds: Question["bounds"]
  sets: number
}

interface Declared {
  readonly cardinality: typeof Cardinality.Type
  readonly baseType: typeof BaseType.Type | null
  readonly correct: Array<string>
}

/** The interactions of an item, with what is declared for their responses. */
export const readQuestions = (bytes: Uint8Array, file: string): ItemQuestions => {
  const declared = new Map<string, Declared>()
  const drafts: Array<Draft> = []
  let template = ""
  let declaring = ""
  walkXml(bytes, file, "refuse", {
    open: (element) => {
      const name = plain(element.local)
      if (name === "responsedeclaration") {
        declaring = attribute(element, "identifier") ?? ""
        declared.set(declaring, declarationOf(element))
      }
      if (name === "responseprocessing") template = attribute(element, "template") ?? ""
      if (name.endsWith("interaction")) drafts.push(draftOf(name, element))
      else addTo(drafts.at(-1), name, attribute(element, "identifier"))
    },
    text: (text, path) => {
      if (plain(path.at(-1) ?? "") !== "value") return
      if (plain(path.at(-2) ?? "") !== "correctresponse") return
      declared.get(declaring)?.correct.push(text.trim())
    }
  })
  const questions = drafts.flatMap((draft): ReadonlyArray<Question> => {
    const { sets: _, ...rest } = draft
    const said = declared.get(draft.response)
    return said === undefined ? [] : [{ ...rest, ...said }]
  })
  return { questions, scoresByMatch: /match_correct/u.test(template) && questions.length === 1 }
}

/** `qti-simple-choice` and `simpleChoice` are one: in QTI 3 all names got a prefix and hyphens. */
const plain = (local: string): string =>
  local.replace(/^qti-/u, "").replaceAll("-", "").toLowerCase()

const either = (element: XmlElement, camel: string, kebab: string): string | undefined =>
  attribute(element, camel) ?? attribute(element, kebab)

const numberOf = (text: string | undefined, otherwise: number): number => {
  const value = Number(text ?? otherwise)
  return Number.isFinite(value) ? value : otherwise
}

const isCardinality = Schema.is(Cardinality)
const isBaseType = Schema.is(BaseType)

const declarationOf = (element: XmlElement): Declared => {
  const cardinality = attribute(element, "cardinality")
  const baseType = either(element, "baseType", "base-type")
  return {
    cardinality: isCardinality(cardinality) ? cardinality : "single",
    baseType: isBaseType(baseType) ? baseType : null,
    correct: []
  }
}

const draftOf = (interaction: string, element: XmlElement): Draft => ({
  response: either(element, "responseIdentifier", "response-identifier") ?? "",
  interaction,
  choices: [],
  targets: [],
  max: numberOf(either(element, "maxChoices", "max-choices"), 1),
  bounds: {
    lower: numberOf(either(element, "lowerBound", "lower-bound"), 0),
    upper: numberOf(either(element, "upperBound", "upper-bound"), 100)
  },
  sets: 0
})

const CHOICES = new Set([
  "simplechoice",
  "inlinechoice",
  "hotspotchoice",
  "hottext",
  "gaptext",
  "gapimg",
  "associablehotspot"
])

const addTo = (draft: Draft | undefined, name: string, identifier: string | undefined): void => {
  if (draft === undefined) return
  if (name === "simplematchset") draft.sets += 1
  if (identifier === undefined) return
  const isGap =
    name === "gap" ||
    (name === "associablehotspot" && draft.interaction === "graphicgapmatchinteraction")
  if (isGap || (name === "simpleassociablechoice" && draft.sets === 2))
    draft.targets.push(identifier)
  else if (CHOICES.has(name) || name === "simpleassociablechoice") draft.choices.push(identifier)
}

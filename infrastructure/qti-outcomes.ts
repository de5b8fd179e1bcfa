/**
 * Wraps what a test says about its items into items of its own, since the QTI library processes
 * nothing but items: single expressions, and outcome processing.
 */
import type { Known } from "../application/play-ports.ts"
import type { DomElement, DomWindow } from "./jsdom-window.ts"
import { CantProcess, parseQti } from "./qti-processable.ts"

/** An item whose one outcome says whether the expression is true. */
export const wrapExpression = (
  window: DomWindow,
  expression: string,
  variables: ReadonlyArray<Known>
): DomElement => {
  const told = parseQti(window, expression)
  const item = itemOf(window)
  declareMentioned(window, item, told, variables)
  item.append(
    made(window, "qti-outcome-declaration", {
      identifier: VERDICT,
      cardinality: "single",
      "base-type": "boolean"
    })
  )
  const set = made(window, "qti-set-outcome-value", { identifier: VERDICT })
  const yes = made(window, "qti-base-value", { "base-type": "boolean" })
  yes.append("true")
  set.append(yes)
  const branch = made(window, "qti-response-if", {})
  branch.append(told, set)
  const condition = made(window, "qti-response-condition", {})
  condition.append(branch)
  const processing = made(window, "qti-response-processing", {})
  processing.append(condition)
  item.append(processing)
  return item
}

/** No name of a package's variable has a space. */
const VERDICT = "the verdict"

/** An item with the outcomes of a test, whose response processing is the test's. */
export const outcomeItem = (
  window: DomWindow,
  test: DomElement,
  variables: ReadonlyArray<Known>
): DomElement => {
  if (test.localName !== "qti-assessment-test") {
    throw new CantProcess(`It is no test of QTI 3.0, but "${test.localName}".`)
  }
  const item = itemOf(window)
  const own = [...test.children]
  item.append(...own.filter(({ localName }) => localName === "qti-outcome-declaration"))
  const said = own.find(({ localName }) => localName === "qti-outcome-processing")
  const processing = made(window, "qti-response-processing", {})
  if (said !== undefined) {
    const items = itemsOf(test)
    for (const mention of [...said.querySelectorAll("*")]) {
      if (mention.localName === "qti-test-variables") expand(window, mention, items, variables)
      else if (mention.getAttribute("weight-identifier") !== null) weigh(window, mention, items)
    }
    declareMentioned(window, item, said, variables)
    processing.append(...[...said.children].map((rule) => asResponseRule(window, rule)))
  }
  item.append(processing)
  return item
}

const itemOf = (window: DomWindow) => made(window, "qti-assessment-item", { identifier: "test" })

const made = (
  { document }: DomWindow,
  name: string,
  attributes: Readonly<Record<string, string>>
): DomElement => {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  return element
}

/** Declares what is mentioned, null when it is not known: an item that nobody has reached yet. */
const declareMentioned = (
  window: DomWindow,
  item: DomElement,
  said: DomElement,
  variables: ReadonlyArray<Known>
): void => {
  const declared = new Set(
    [...item.children].map((declaration) => declaration.getAttribute("identifier"))
  )
  const mentions = [said, ...said.querySelectorAll("*")].filter(
    ({ localName }) => localName === "qti-variable"
  )
  for (const mention of mentions) {
    const identifier = mention.getAttribute("identifier") ?? ""
    if (declared.has(identifier)) continue
    declared.add(identifier)
    const known = variables.find((each) => each.identifier === identifier)
    item.append(
      made(window, "qti-response-declaration", {
        identifier,
        cardinality: known?.cardinality ?? "single",
        "base-type": known?.baseType ?? "float"
      })
    )
  }
}

interface ItemOfTest {
  readonly ref: string
  readonly sections: ReadonlyArray<string>
  readonly categories: ReadonlyArray<string>
  readonly weights: ReadonlyMap<string, string>
}

const itemsOf = (test: DomElement): ReadonlyArray<ItemOfTest> =>
  [...test.querySelectorAll("qti-assessment-item-ref")].map((ref) => ({
    ref: ref.getAttribute("identifier") ?? "",
    sections: sectionsAround(ref),
    categories: wordsOf(ref.getAttribute("category")),
    weights: new Map(
      [...ref.querySelectorAll("qti-weight")].map((weight) => [
        weight.getAttribute("identifier") ?? "",
        weight.getAttribute("value") ?? ""
      ])
    )
  }))

const wordsOf = (text: string | null): ReadonlyArray<string> =>
  (text ?? "").split(/\s+/u).filter((word) => word !== "")

const sectionsAround = (ref: DomElement): ReadonlyArray<string> => {
  const section = ref.parentElement?.closest("qti-assessment-section, qti-test-part") ?? null
  if (section === null) return []
  return [section.getAttribute("identifier") ?? "", ...sectionsAround(section)]
}

/** Puts the variables of items in the place of one `qti-test-variables`; nulls are left out. */
const expand = (
  window: DomWindow,
  asked: DomElement,
  items: ReadonlyArray<ItemOfTest>,
  variables: ReadonlyArray<Known>
): void => {
  const wanted = asked.getAttribute("variable-identifier") ?? ""
  const weight = asked.getAttribute("weight-identifier")
  const baseType = asked.getAttribute("base-type")
  const found = chosen(asked, items).flatMap((item) => {
    const name = `${item.ref}.${wanted}`
    const known = variables.find(({ identifier }) => identifier === name)
    if ((known?.values ?? null) === null) return []
    if (baseType !== null && known?.baseType !== baseType) return []
    const variable = made(window, "qti-variable", { identifier: name })
    return [weight === null ? variable : weighted(window, variable, item.weights.get(weight))]
  })
  const parent = asked.parentElement
  if (found.length === 0) asked.replaceWith(made(window, "qti-null", {}))
  else if (SPREADS.has(parent?.localName ?? "")) asked.replaceWith(...found)
  else {
    const all = made(window, "qti-multiple", {})
    all.append(...found)
    asked.replaceWith(all)
  }
}

/** Operators to which a container and its values one by one are the same. */
const SPREADS = new Set(["qti-sum", "qti-product", "qti-max", "qti-min"])

const chosen = (asked: DomElement, items: ReadonlyArray<ItemOfTest>) => {
  const section = asked.getAttribute("section-identifier")
  const include = wordsOf(asked.getAttribute("include-category"))
  const exclude = wordsOf(asked.getAttribute("exclude-category"))
  return items.filter(
    ({ categories, sections }) =>
      (section === null || sections.includes(section)) &&
      (include.length === 0 || include.some((category) => categories.includes(category))) &&
      !exclude.some((category) => categories.includes(category))
  )
}

/** One variable of one item, by its weight; a weight that the item has not got is 1. */
const weigh = (window: DomWindow, variable: DomElement, items: ReadonlyArray<ItemOfTest>): void => {
  const identifier = variable.getAttribute("identifier") ?? ""
  const item = items.find(({ ref }) => identifier.startsWith(`${ref}.`))
  const weight = variable.getAttribute("weight-identifier") ?? ""
  const plain = made(window, "qti-variable", { identifier })
  variable.replaceWith(weighted(window, plain, item?.weights.get(weight)))
}

const weighted = (window: DomWindow, variable: DomElement, weight: string | undefined) => {
  if (weight === undefined) return variable
  const product = made(window, "qti-product", {})
  const factor = made(window, "qti-base-value", { "base-type": "float" })
  factor.append(weight)
  product.append(variable, factor)
  return product
}

/** Conditions over outcomes are those over responses, by other names. */
const asResponseRule = (window: DomWindow, rule: DomElement): DomElement => {
  const name = rule.localName.replace(
    /^qti-outcome-(condition|if|else-if|else)$/u,
    "qti-response-$1"
  )
  if (name === rule.localName) return rule
  const renamed = made(window, name, {})
  renamed.append(...[...rule.children].map((child) => asResponseRule(window, child)))
  return renamed
}

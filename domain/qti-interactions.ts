/** Names the questions that the player can't show, before anybody travels to answer them. */
import type { Finding, PackageModel } from "./qti-document.ts"

/** Refuses what the player can't show; an item that can't be scored is told, for a person may grade it. */
export const interactionFindings = (model: PackageModel): ReadonlyArray<Finding> =>
  [...model.documents.values()].flatMap(({ interactions, path: file }) => {
    const found = interactions.flatMap((name) => interactionFinding(file, name) ?? [])
    // Feedback of each kind is told once.
    return found.filter(
      ({ code }, at) =>
        code !== "feedback-not-shown" || found.findIndex((one) => one.code === code) === at
    )
  })

const interactionFinding = (file: string, name: string): Finding | undefined => {
  if (name === "customOperator") {
    const detail = "is scored by a customOperator, which only its maker knows: it stays unscored."
    return { code: "custom-operator", file, detail }
  }
  if (name === "adaptive") {
    const detail =
      "is an adaptive item: it is asked like any other, and does not change between tries."
    return { code: "adaptive-item", file, detail }
  }
  if (!name.endsWith("Interaction")) {
    const detail = "holds feedback, which is not shown to test-takers; nothing else changes."
    return { code: "feedback-not-shown", file, detail }
  }
  // A portable custom interaction is refused as the program that it is.
  if (SUPPORTED.has(name) || name === "portableCustomInteraction") return undefined
  const detail = `uses ${name}, which the player can't show. Ask the question with another interaction, or take the item out of the test.`
  return { code: "unsupported-interaction", file, detail }
}

/** The interactions of @citolab/qti-components; a custom one is a program. */
const SUPPORTED = new Set([
  "associateInteraction",
  "choiceInteraction",
  "endAttemptInteraction",
  "extendedTextInteraction",
  "gapMatchInteraction",
  "graphicAssociateInteraction",
  "graphicGapMatchInteraction",
  "graphicOrderInteraction",
  "hotspotInteraction",
  "hottextInteraction",
  "inlineChoiceInteraction",
  "matchInteraction",
  "mediaInteraction",
  "orderInteraction",
  "positionObjectInteraction",
  "selectPointInteraction",
  "sliderInteraction",
  "textEntryInteraction",
  "uploadInteraction"
])

/** Wires what playing a test asks of a QTI library, on a device. */
import { Layer } from "effect"
import * as ItemForPage from "../infrastructure/item-for-page.ts"
import * as PackageTests from "../infrastructure/package-tests.ts"
import * as QtiScorer from "../infrastructure/qti-scorer.ts"

export const layerPlaying = Layer.mergeAll(PackageTests.layer, QtiScorer.layer(), ItemForPage.layer)

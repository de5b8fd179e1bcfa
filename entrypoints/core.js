/** The door to `core.ts` for programs that have Testferry installed; see there. */
import "./strip-types.js"

export const {
  bucketOf,
  canonical,
  changed,
  EMPTY,
  isIdle,
  keyFromText,
  keyNeeds,
  keyText,
  linksOf,
  marks,
  needs,
  needsConfirmation,
  parseCanonical,
  plan,
  references,
  rosters,
  sameSet,
  scope,
  sealedStamp,
  sitting,
  stamps,
  support,
  withReferred,
  wrapId,
  wrapParts
} = await import("./core.ts")

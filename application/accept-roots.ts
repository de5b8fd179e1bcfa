/** Follows a chain of root documents from the one that is trusted now (format §3.2). */
import { Effect } from "effect"
import type { RootDocument, Signed } from "../domain/enrolment.ts"
import { Standing } from "./bundle-ports.ts"
import { refuse } from "./bundle-trust.ts"

/** Where a chain leads: the newest document, and those that were not known before, in order. */
export interface Followed {
  readonly document: RootDocument
  readonly fresh: ReadonlyArray<Signed>
}

/** Takes nothing over: what is new is for the caller to keep. There is one root so far. */
export const followRoots = Effect.fn("followRoots")(function* (
  chain: ReadonlyArray<Signed>,
  now: number
) {
  const standing = yield* Standing
  const known = yield* standing.root
  const texts = new Set(known.chain.map(({ text }) => text))
  if (chain.some(({ text }) => !texts.has(text))) {
    return yield* refuse("E_ROOT_SIG", "a root document is not signed by those that are trusted")
  }
  if (now > known.document.expires) {
    return yield* refuse("E_ROOT_EXPIRED", `root ${known.document.version} is too old`)
  }
  return { document: known.document, fresh: [] } satisfies Followed
})

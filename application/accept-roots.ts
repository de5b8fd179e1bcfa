/**
 * Follows a chain of root documents from the one that is trusted now to the newest (format §3.2,
 * §5), wherever the chain comes from: a bundle, an enrolment, central itself. Never goes back.
 */
import { Effect, Result } from "effect"
import type { Refusal } from "../domain/bundle-refusal.ts"
import type { Signed } from "../domain/enrolment.ts"
import {
  inForce,
  isFirst,
  ROOTS_MAX,
  type RootDocument,
  readRoot,
  succeeds,
  trustOf
} from "../domain/root.ts"
import { BundleRefused, Signatures, Standing } from "./bundle-ports.ts"

/** Where a chain leads: the newest document, and those that were not known before, in order. */
export interface Followed {
  readonly document: RootDocument
  readonly fresh: ReadonlyArray<Signed>
}

/**
 * Takes over what a chain adds, durably, and answers the newest root document. `now` is the later
 * of the clock and the floor of what is known to have passed.
 *
 * Fails with BundleRefused (E_ROOT_VERSION, E_ROOT_SIG, E_ROOT_EXPIRED) and keeps what it had.
 */
export const acceptRoots = Effect.fn("acceptRoots")(function* (
  chain: ReadonlyArray<Signed>,
  now: number
) {
  const standing = yield* Standing
  const { document, fresh } = yield* followRoots(chain, now)
  if (fresh.length > 0) yield* standing.putRoots(fresh)
  return document
})

/** Like `acceptRoots`, but keeps nothing: for callers that take over all or nothing themselves. */
export const followRoots = Effect.fn("followRoots")(function* (
  chain: ReadonlyArray<Signed>,
  now: number
) {
  const signatures = yield* Signatures
  const standing = yield* Standing
  const { document } = yield* standing.root
  return yield* settled(walk(signatures, document, chain, now))
})

/** Judges a whole chain that begins with root 1, when nothing is trusted yet. */
export const firstRoots = Effect.fn("firstRoots")(function* (
  chain: ReadonlyArray<Signed>,
  now: number
) {
  const signatures = yield* Signatures
  const [first, ...more] = chain
  const found =
    first === undefined
      ? refuse("E_ROOT_VERSION", "there is no root document")
      : Result.flatMap(readRoot(first.text), (root) =>
          isFirst(root, signersOf(signatures, first, [root]))
        )
  return yield* settled(
    Result.flatMap(found, (root) =>
      Result.map(walk(signatures, root, more, now), ({ document }) => ({ document, fresh: chain }))
    )
  )
})

/** Old links of the chain are skipped, not compared: nothing could make this side go back to them. */
const walk = (
  signatures: Signatures["Service"],
  from: RootDocument,
  chain: ReadonlyArray<Signed>,
  now: number
): Result.Result<Followed, Refusal> => {
  if (chain.length > ROOTS_MAX) return refuse("E_ROOT_VERSION", "the chain is too long")
  let document = from
  const fresh: Array<Signed> = []
  for (const signed of chain) {
    const read = readRoot(signed.text)
    if (Result.isFailure(read)) return Result.fail(read.failure)
    if (read.success.version <= document.version) continue
    const signers = signersOf(signatures, signed, [document, read.success])
    const next = succeeds(document, read.success, signers)
    if (Result.isFailure(next)) return Result.fail(next.failure)
    document = next.success
    fresh.push(signed)
  }
  return Result.map(inForce(document, now), () => ({ document, fresh }))
}

/** The root keys of any of these documents whose signatures hold. */
const signersOf = (
  signatures: Signatures["Service"],
  signed: Signed,
  by: ReadonlyArray<RootDocument>
): ReadonlyArray<string> => {
  const keys = new Map(by.flatMap((root) => [...trustOf(root, "root").keys]))
  return Result.getOrElse(signatures.check("root", signed, { keys, threshold: 1 }), () => [])
}

const settled = (followed: Result.Result<Followed, Refusal>) =>
  Effect.mapError(
    Effect.fromResult(followed),
    (refusal) => new BundleRefused({ ...refusal, damages: [], missing: [] })
  )

const refuse = (code: Refusal["code"], detail: string) => Result.fail({ code, detail })

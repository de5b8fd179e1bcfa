/** Says whose signatures count for bundles: keys that the root names, less those taken back. */
import { Effect, type Result } from "effect"
import type { Refusal } from "../domain/bundle-refusal.ts"
import type { Signed } from "../domain/enrolment.ts"
import { readRevocations as listIn, type Revocations, revokedFrom } from "../domain/revocations.ts"
import { type RootDocument, type RootRole, trustOf } from "../domain/root.ts"
import { BundleRefused, Signatures, type Trust } from "./bundle-ports.ts"
import type { Client } from "./ports.ts"

/** The keys of a role. A revoked one never counts, whatever date the signed text claims. */
export const trustIn = (root: RootDocument, role: RootRole, revocations: Revocations): Trust => {
  const { keys, threshold } = trustOf(root, role)
  return {
    keys: new Map(
      [...keys].filter(([id]) => revokedFrom(revocations, "signing-key", id) === undefined)
    ),
    threshold
  }
}

/** A device speaks with the one key that it enrolled with. */
export const trustInDevice = Effect.fnUntraced(function* ({ keys }: Client) {
  const { keyId } = yield* Signatures
  return {
    keys: new Map(keys === null ? [] : [[keyId(keys.sig), keys.sig] as const]),
    threshold: 1
  } satisfies Trust
})

/** Checks a revocation list that came in, and that it does not go back. */
export const readRevocations = Effect.fnUntraced(function* (
  signed: Signed,
  root: RootDocument,
  known: Revocations
) {
  const signatures = yield* Signatures
  yield* settled(signatures.check("revocations", signed, trustIn(root, "revocation", known)))
  const list = yield* settled(listIn(signed.text))
  if (list.version < known.version) {
    return yield* refuse(
      "E_REV_ROLLBACK",
      `revocation list ${known.version} is known, it brings ${list.version}`
    )
  }
  return list
})

export const refuse = (code: Refusal["code"], detail: string) =>
  Effect.fail(new BundleRefused({ code, detail, damages: [], missing: [] }))

/** A result of the domain as an effect. */
export const settled = <A>(result: Result.Result<A, Refusal>): Effect.Effect<A, BundleRefused> =>
  Effect.mapError(
    Effect.fromResult(result),
    ({ code, detail }) => new BundleRefused({ code, detail, damages: [], missing: [] })
  )

/**
 * Opens one sealed result and believes it only when the device that sent it has signed it
 * (format §3.7). Runs in a worker; see results-opener.ts.
 */
import { Effect, Result, Schema } from "effect"
import { enable } from "effect/schema/SchemaJITCompiler"
import { parseCanonical } from "../domain/canonical.ts"
import { NAMESPACE } from "../domain/enrolment.ts"
import { factsOf, type OpenedText, type Unopened } from "../domain/opening.ts"
import { RECORD_BYTES_MAX, ResultDocument, SignedResult } from "../domain/result.ts"
import { isForAnother, open } from "./age-file.ts"
import { hasNativeHybrid, hybridKey } from "./age-hybrid.ts"
import { openHybrid } from "./age-hybrid-file.ts"
import { decodeRawKey, keyId, verify } from "./sshsig.ts"

export interface SealedBox {
  /** The age file in base64. */
  readonly box: string
  /** Raw public keys in base64: any of them may have signed. */
  readonly signers: ReadonlyArray<string>
}

/** A pair as age-encryption makes them. */
export interface ResultsIdentity {
  readonly identity: string
  readonly recipient: string
}

/** Opens boxes with these identities, in the order given. */
export type OpenBox = (box: SealedBox) => Promise<Result.Result<OpenedText, Unopened>>

/** Takes the identities apart once; natively where this Node can. */
export const boxOpener = (
  identities: ReadonlyArray<ResultsIdentity>,
  unseal = hasNativeHybrid ? nativeUnsealer(identities) : libraryUnsealer(identities)
): OpenBox => {
  return async ({ box, signers }) => {
    if (box.length > 2 * RECORD_BYTES_MAX) return Result.fail("altered")
    const plain = await unseal(Buffer.from(box, "base64"))
    return typeof plain === "string" ? Result.fail(plain) : checked(plain, signers)
  }
}

type Unseal = (bytes: Uint8Array) => Promise<Uint8Array | "wrong-key" | "altered">

const nativeUnsealer = (identities: ReadonlyArray<ResultsIdentity>): Unseal => {
  const keys = identities.map(({ identity, recipient }) => hybridKey(identity, recipient))
  return async (bytes) => openHybrid(keys, bytes)
}

/** For a Node without ML-KEM: right, but ten times slower. */
export const libraryUnsealer = (identities: ReadonlyArray<ResultsIdentity>): Unseal => {
  const ring = identities.map(({ identity }) => identity)
  return (bytes) =>
    Effect.runPromise(
      open(ring, bytes).pipe(
        Effect.catchTag("Undecryptable", () =>
          Effect.map(isForAnother(ring, bytes), (is) => (is ? "wrong-key" : "altered"))
        ),
        Effect.orDie
      )
    )
}

/** Only a signature of the sender makes the text worth reading: anybody can seal to a public key. */
const checked = (
  plain: Uint8Array,
  signers: ReadonlyArray<string>
): Result.Result<OpenedText, Unopened> => {
  const signed = decodeSigned(Buffer.from(plain).toString("utf8"))
  if (Result.isFailure(signed)) return Result.fail("altered")
  const { signatures, text } = signed.success
  const trusted = trustedKeys(signers)
  const bytes = Buffer.from(text)
  const isSigned = signatures.some((armored) =>
    Result.isSuccess(verify({ trusted, namespace: NAMESPACE.result, bytes, armored }))
  )
  if (!isSigned) return Result.fail("bad-signature")
  const parsed = parseCanonical(text)
  if (Result.isFailure(parsed)) return Result.fail("unreadable")
  return Result.mapBoth(decodeDocument(parsed.success), {
    onSuccess: (document) => ({ text, facts: factsOf(document), signatures }),
    onFailure: () => "unreadable" as const
  })
}

// Thousands a second are read: compiled code takes a third of the time.
enable(SignedResult.ast)
enable(ResultDocument.ast)

const decodeSigned = Schema.decodeUnknownResult(Schema.fromJsonString(SignedResult))
/** Strict: what this program does not know of would be lost silently. */
const decodeDocument = Schema.decodeUnknownResult(ResultDocument, { onExcessProperty: "error" })

/** Devices send many results: their keys are read once. Bounded, since anybody may be named. */
const DEVICES_REMEMBERED = 10_000
const remembered = new Map<string, ReadonlyMap<string, Uint8Array>>()

const trustedKeys = (signers: ReadonlyArray<string>): ReadonlyMap<string, Uint8Array> => {
  const name = signers.join(" ")
  const known = remembered.get(name)
  if (known !== undefined) return known
  const keys = new Map(
    signers.flatMap((signer) => {
      const raw = decodeRawKey(signer)
      return raw === undefined ? [] : [[keyId(raw), raw] as const]
    })
  )
  if (remembered.size >= DEVICES_REMEMBERED) remembered.clear()
  remembered.set(name, keys)
  return keys
}

/** Checks signatures over documents and manifests: enough trusted keys, for one purpose (format §2.4). */
import { Layer, Result } from "effect"
import { type Purpose, Signatures } from "../application/bundle-ports.ts"
import type { BundleCode } from "../domain/bundle-refusal.ts"
import { decodeRawKey, keyId, verify } from "./sshsig.ts"

/** The namespace of each purpose: a signature for one never counts for another. */
export const NAMESPACES: Readonly<Record<Purpose, string>> = {
  root: "testferry-root-v1",
  certificate: "testferry-cert-v1",
  enrolment: "testferry-enrol-v1",
  c2d: "testferry-c2d-v1",
  d2c: "testferry-d2c-v1",
  receipt: "testferry-receipt-v1",
  revocations: "testferry-revocations-v1"
}

const check: Signatures["Service"]["check"] = (purpose, { signatures, text }, trust) => {
  if (signatures.length === 0) {
    return Result.fail({ code: "E_SIG_MISSING", detail: "nobody signed it" })
  }
  const trusted = new Map(
    [...trust.keys].flatMap(([id, key]) => {
      const raw = decodeRawKey(key)
      return raw === undefined ? [] : [[id, raw] as const]
    })
  )
  const bytes = Buffer.from(text)
  const namespace = NAMESPACES[purpose]
  const signers = new Set<string>()
  const refusals: Array<BundleCode> = []
  for (const armored of signatures) {
    const verified = verify({ trusted, namespace, bytes, armored })
    if (Result.isSuccess(verified)) signers.add(verified.success)
    else refusals.push(verified.failure.reason)
  }
  if (trust.threshold >= 1 && signers.size >= trust.threshold) return Result.succeed([...signers])
  const [first] = refusals
  return signers.size === 0 && first !== undefined
    ? Result.fail({ code: first, detail: "no key that is trusted for this signed it" })
    : Result.fail({
        code: "E_SIG_THRESHOLD",
        detail: `${signers.size} of ${trust.threshold} keys signed it`
      })
}

export const layer = Layer.succeed(Signatures, {
  check,
  keyId: (raw) => keyId(new Uint8Array(Buffer.from(raw, "base64")))
})

/** Checks signatures over documents and manifests: enough trusted keys, for one purpose (format §2.4). */
import { Layer, Result } from "effect"
import { Signatures } from "../application/bundle-ports.ts"
import type { BundleCode, Refusal } from "../domain/bundle-refusal.ts"
import { NAMESPACE } from "../domain/enrolment.ts"
import { keyId, verify } from "./sshsig.ts"

/** A signature that does not hold is passed over: others beside it may do. */
export const layer = Layer.succeed(Signatures, {
  keyId: (raw) => keyId(bytesOf(raw)),
  check: (purpose, { signatures, text }, { keys, threshold }) => {
    const trusted = new Map([...keys].map(([id, raw]) => [id, bytesOf(raw)] as const))
    const bytes = Buffer.from(text)
    const signers = new Set<string>()
    let first: BundleCode = "E_SIG_MISSING"
    for (const armored of signatures) {
      const verified = verify({ trusted, namespace: NAMESPACE[purpose], bytes, armored })
      if (Result.isSuccess(verified)) signers.add(verified.success)
      else if (first === "E_SIG_MISSING") first = verified.failure.reason
    }
    if (threshold >= 1 && signers.size >= threshold) return Result.succeed([...signers])
    return signers.size === 0
      ? refused(first, `no signature for ${purpose} holds`)
      : refused("E_SIG_THRESHOLD", `${signers.size} of ${threshold} signatures hold`)
  }
})

const bytesOf = (raw: string): Uint8Array => new Uint8Array(Buffer.from(raw, "base64"))

const refused = (code: BundleCode, detail: string): Result.Result<never, Refusal> =>
  Result.fail({ code, detail })

/**
 * Says to whom devices seal results: central knows the public halves only, by the chain of its root
 * documents (format §3.1, §3.2). A key that was replaced is retired: what was sealed to it needs it
 * still.
 */
import { Effect, Result } from "effect"
import { readRoot } from "../domain/root.ts"
import { Standing } from "./bundle-ports.ts"

export interface ResultsKeyUse {
  readonly id: string
  readonly recipient: string
  readonly role: "active" | "recovery"
  /** The root documents by which it was used, first and last. */
  readonly from: number
  readonly to: number
  readonly retired: boolean
}

/** Every results key that a root document ever named, newest use last. */
export const resultsKeys = Effect.gen(function* () {
  const standing = yield* Standing
  const uses = new Map<string, ResultsKeyUse>()
  const chain = yield* standing.chain
  let newest = 0
  for (const { text } of chain) {
    const root = readRoot(text)
    if (Result.isFailure(root)) continue
    const { results, version } = root.success
    newest = version
    for (const role of ["active", "recovery"] as const) {
      const key = results?.[role]
      if (key === undefined) continue
      const name = `${role} ${key.id} ${key.recipient}`
      const from = uses.get(name)?.from ?? version
      uses.set(name, { ...key, role, from, to: version, retired: false })
    }
  }
  return [...uses.values()].map((use): ResultsKeyUse => ({ ...use, retired: use.to < newest }))
})

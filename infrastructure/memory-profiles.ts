/** Remembers the profiles that proctors opened, by box and keys, in this process's memory only. */
import { createHash } from "node:crypto"
import { Effect, Layer } from "effect"
import { OpenedProfiles } from "../application/session-ports.ts"
import type { Profile } from "../domain/entity.ts"

/** Many times the seats of a school; beyond it the one that was opened first is forgotten. */
const PROFILES_MAX = 5_000

export const layer = Layer.sync(OpenedProfiles, () => {
  const known = new Map<string, Profile>()
  return OpenedProfiles.of({
    of: (box, keys, open) =>
      Effect.suspend(() => {
        const name = nameOf(box, keys)
        const found = known.get(name)
        if (found !== undefined) return Effect.succeed(found)
        return Effect.tap(open, (profile) =>
          Effect.sync(() => {
            known.set(name, profile)
            const [oldest] = known.keys()
            if (known.size > PROFILES_MAX && oldest !== undefined) known.delete(oldest)
          })
        )
      })
  })
})

/** Neither keys nor boxes have a line break. */
const nameOf = (box: string, keys: ReadonlyArray<string>): string =>
  createHash("sha256")
    .update([box, ...keys].join("\n"))
    .digest("base64")

/** Remembers who has logged in, by the digest of their token, in this process's memory only. */
import { createHash, randomBytes } from "node:crypto"
import { Clock, Effect, Layer, Option } from "effect"
import { type Visitor, Visitors } from "../application/session-ports.ts"

/** A long exam and its break; whoever did nothing for so long must log in again. */
export const IDLE_MILLIS = 4 * 3_600_000
/** Many times the seats of a school; beyond it whoever was idle longest is forgotten. */
const VISITORS_MAX = 5_000
const TOKEN_BYTES = 32

export const layer = Layer.sync(Visitors, () => {
  // In the order of their last request.
  const here = new Map<string, { readonly visitor: Visitor; readonly seen: number }>()
  const touch = (name: string, visitor: Visitor, seen: number) => {
    here.delete(name)
    here.set(name, { visitor, seen })
  }
  return Visitors.of({
    admit: (visitor) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const token = randomBytes(TOKEN_BYTES).toString("base64url")
        touch(nameOf(token), visitor, now)
        const [oldest] = here.keys()
        if (here.size > VISITORS_MAX && oldest !== undefined) here.delete(oldest)
        return { token, idleMillis: IDLE_MILLIS }
      }),
    find: (token) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const name = nameOf(token)
        const found = here.get(name)
        if (found === undefined) return Option.none()
        if (now - found.seen > IDLE_MILLIS) {
          here.delete(name)
          return Option.none()
        }
        touch(name, found.visitor, now)
        return Option.some(found.visitor)
      }),
    leave: (token) => Effect.sync(() => void here.delete(nameOf(token)))
  })
})

/** Looking up a digest tells nothing about a token by how long it takes. */
const nameOf = (token: string): string => createHash("sha256").update(token).digest("base64")

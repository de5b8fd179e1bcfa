/**
 * Manages who may speak to central: devices that were enrolled, and credentials made by hand. What
 * is done here takes effect at the client's next request (see `admit.ts`).
 */
import { Clock, Effect, Option, Schema } from "effect"
import { type HistoryEntry, NO_COUNTS } from "../domain/history.ts"
import type { OrganisationId } from "../domain/id.ts"
import { rootInForce } from "./change-root.ts"
import { happened } from "./happened.ts"
import { Atomic, type Client, Clients, Hashing, Secrets } from "./ports.ts"
import { revoke } from "./revoke.ts"

/** There is no device, or no credential, of this id. */
export class NoSuchClient extends Schema.TaggedError<NoSuchClient>()("NoSuchClient", {
  id: Schema.String
}) {}

/** A revocation is final: the device must be set up anew, with new keys. */
export class AlreadyRevoked extends Schema.TaggedError<AlreadyRevoked>()("AlreadyRevoked", {
  id: Schema.String
}) {}

/** Keeps a device out until it is let in again. */
export const blockDevice = Effect.fn("blockDevice")((id: string, who: string) =>
  change("device", id, who, "Blocked.", { state: "blocked" })
)

/** Lets a blocked device in again. */
export const unblockDevice = Effect.fn("unblockDevice")((id: string, who: string) =>
  change("device", id, who, "Unblocked.", { state: "active" })
)

/**
 * Keeps a device out for good, and puts it on the signed list that every device is given: what it
 * signs from now on does not count. Fails also with NoRootInForce, where nothing can be signed yet.
 */
export const revokeDevice = Effect.fn("revokeDevice")(function* (id: string, who: string) {
  // Before anything is done: a device that is out but not on the list would look trusted elsewhere.
  yield* rootInForce
  const device = yield* change("device", id, who, "Revoked.", { state: "revoked" })
  yield* revoke({ type: "device", id, from: undefined, reason: "Revoked by the central office." })
  return device
})

/** Gives a device the name that people know it by. */
export const renameDevice = Effect.fn("renameDevice")((id: string, name: string, who: string) =>
  change("device", id, who, "Renamed.", { name })
)

/** Ends a credential for good. */
export const revokeCredential = Effect.fn("revokeCredential")((key: string, who: string) =>
  change("credential", key, who, "Revoked.", { state: "revoked" })
)

/** Bytes of a secret: nobody guesses 256 bits, so its plain hash may be kept (see `bySecret`). */
const SECRET_BYTES = 32

/** Makes a credential. The secret is in the answer and nowhere else: only its hash is kept. */
export const generateCredential = Effect.fn("generateCredential")(function* (
  organisations: ReadonlyArray<OrganisationId>,
  name: string,
  who: string,
  kind: "credential" | "results" = "credential"
) {
  const atomic = yield* Atomic
  const clients = yield* Clients
  const hashing = yield* Hashing
  const secrets = yield* Secrets
  const key = `cred_${hashing.sha256(yield* secrets.randomText(SECRET_BYTES)).slice(0, 16)}`
  const secret = yield* secrets.randomText(SECRET_BYTES)
  const credential: Client = {
    id: key,
    kind,
    name,
    organisations,
    state: "active",
    createdAt: yield* Clock.currentTimeMillis,
    lastSeenAt: null,
    program: null,
    keys: null,
    serial: 0
  }
  yield* atomic.run(
    Effect.andThen(
      clients.put(credential, hashing.sha256(secret)),
      remember("credential", credential, who, "done", "Generated.")
    )
  )
  return { key, secret }
})

const NO_KINDS: HistoryEntry["counts"] = {
  organisation: NO_COUNTS,
  "test-center": NO_COUNTS,
  administrator: NO_COUNTS,
  proctor: NO_COUNTS,
  "sync-manager": NO_COUNTS,
  "test-taker": NO_COUNTS,
  delivery: NO_COUNTS,
  eligibility: NO_COUNTS,
  "lti-consumer": NO_COUNTS,
  "key-wrap": NO_COUNTS
}

/** Writes down what happened to a client. */
export const remember = Effect.fnUntraced(function* (
  verb: HistoryEntry["verb"],
  client: Client,
  who: string,
  outcome: HistoryEntry["outcome"],
  reason: string
) {
  const [only, ...others] = client.organisations
  yield* happened({
    verb,
    who,
    device: client.id,
    organisation: only !== undefined && others.length === 0 ? only : null,
    outcome,
    counts: NO_KINDS,
    reason
  })
})

const change = Effect.fnUntraced(function* (
  kind: "device" | "credential",
  id: string,
  who: string,
  reason: string,
  to: Partial<Pick<Client, "state" | "name">>
) {
  const atomic = yield* Atomic
  const clients = yield* Clients
  return yield* atomic.run(
    Effect.gen(function* () {
      const found = Option.getOrUndefined(yield* clients.find(id))
      const isMeant = kind === "device" ? found?.kind === "device" : found?.kind !== "device"
      if (found === undefined || !isMeant) return yield* new NoSuchClient({ id })
      if (found.state === "revoked" && (to.state ?? "revoked") !== "revoked")
        return yield* new AlreadyRevoked({ id })
      const client: Client = { ...found, ...to }
      yield* clients.put(client)
      yield* remember(kind, client, who, "done", reason)
      return client
    })
  )
})

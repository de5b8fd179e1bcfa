/**
 * Admits clients to central's HTTPS door: proves who asks, issues a short-lived token, and looks the
 * client up again at every request, so that blocking it works at once (protocol §2).
 *
 * Whoever is unknown, blocked or revoked gets one and the same answer as a wrong secret. Only a
 * client that has proved itself with its key learns what else is wrong: with its assertion, or that
 * it was revoked.
 */
import { Clock, Effect, Option, Schema } from "effect"
import type { Digest } from "../domain/id.ts"
import { type Client, Clients, Hashing } from "./ports.ts"
import { type AccessToken, type Assertion, Tokens } from "./token-ports.ts"

/** An assertion lives at most a minute (format §3.3). */
export const ASSERTION_MILLIS = 60_000
/** How far the clocks of device and central may differ. Beyond it, a person should set the clock. */
export const CLOCK_LEEWAY_MILLIS = 5 * 60_000
/** Longest one-time id of an assertion: a UUID has 36 characters. */
const ASSERTION_ID_MAX = 120

/** How a client proves who it is (RFC 6749 §2.3.1, RFC 7523 §2.2). */
export type Proof =
  | { readonly key: string; readonly secret: string }
  | { readonly assertion: string; readonly client: string | undefined }

/** The client is unknown, blocked, revoked, or could not prove itself; which, is nobody's business. */
export class NotAdmitted extends Schema.TaggedError<NotAdmitted>()("NotAdmitted", {}) {}

/** The client proved itself, but by its assertion its clock is wrong. `byMillis`: how much it is fast. */
export class ClockWrong extends Schema.TaggedError<ClockWrong>()("ClockWrong", {
  byMillis: Schema.Int
}) {}

/** The client proved itself, but spoke to somebody who goes by another name. */
export class AudienceWrong extends Schema.TaggedError<AudienceWrong>()("AudienceWrong", {
  audiences: Schema.Array(Schema.String)
}) {}

/** The device proved itself, and was revoked: a person should know, and set it up anew. */
export class DeviceRevoked extends Schema.TaggedError<DeviceRevoked>()("DeviceRevoked", {
  device: Schema.String
}) {}

/** Issues an access token to a client that proves itself, and says to whom. */
export const admitByProof = Effect.fn("admitByProof")(function* (proof: Proof) {
  const tokens = yield* Tokens
  const now = yield* Clock.currentTimeMillis
  const client =
    "assertion" in proof
      ? yield* byAssertion(proof.assertion, proof.client, now)
      : yield* bySecret(proof.key, proof.secret)
  const token: AccessToken = yield* tokens.issue(client.id, now)
  return { client, token }
})

/** Finds the client that a token was issued to, if it is still welcome. */
export const admit = Effect.fn("admit")(function* (token: string) {
  const clients = yield* Clients
  const tokens = yield* Tokens
  const id = yield* tokens.verify(token, yield* Clock.currentTimeMillis)
  if (Option.isNone(id)) return yield* new NotAdmitted()
  return yield* active(yield* clients.find(id.value))
})

/**
 * Finds a credential by key and secret. Secrets are 256 random bits, so there is nothing to guess
 * and a plain SHA-256 protects the stored form; a slow hash would only help passwords.
 */
export const bySecret = Effect.fn("bySecret")(function* (key: string, secret: string) {
  const clients = yield* Clients
  const hashing = yield* Hashing
  const found = yield* clients.find(key)
  const kept = yield* clients.secretHash(key)
  const given = hashing.sha256(secret)
  // Compared even when there is nothing to compare with, so that unknown keys take as long.
  const same = sameDigest(
    given,
    Option.getOrElse(kept, () => hashing.sha256(given))
  )
  if (!same || Option.isNone(kept)) return yield* new NotAdmitted()
  const client = yield* active(found)
  return client.kind === "device" ? yield* new NotAdmitted() : client
})

/** The same for what only a credential for organisations may do, such as to vouch for a device. */
export const byCredential = Effect.fn("byCredential")(function* (key: string, secret: string) {
  const client = yield* bySecret(key, secret)
  return client.kind === "credential" ? client : yield* new NotAdmitted()
})

const byAssertion = Effect.fnUntraced(function* (
  jwt: string,
  claimed: string | undefined,
  now: number
) {
  const clients = yield* Clients
  const tokens = yield* Tokens
  const keyOf = (id: string) =>
    clients
      .find(id)
      .pipe(Effect.map(Option.flatMap((client) => Option.fromNullishOr(client.keys?.auth))))
  const read = yield* tokens.readAssertion(jwt, keyOf)
  if (Option.isNone(read)) return yield* new NotAdmitted()
  const assertion = read.value
  const found = yield* clients.find(assertion.subject)
  const client = yield* isRevoked(found) ? Effect.succeed(found.value) : active(found)
  if (assertion.issuer !== client.id || (claimed ?? client.id) !== client.id)
    return yield* new NotAdmitted()
  yield* checkAudience(assertion)
  yield* checkTimes(assertion, now)
  yield* spend(assertion, now)
  return client.state === "revoked" ? yield* new DeviceRevoked({ device: client.id }) : client
})

const checkAudience = Effect.fnUntraced(function* (assertion: Assertion) {
  const { audiences } = yield* Tokens
  if (!assertion.audience.some((name) => audiences.includes(name)))
    return yield* new AudienceWrong({ audiences })
})

/** The life of an assertion is judged by its own two times, its freshness with leeway for clocks. */
const checkTimes = Effect.fnUntraced(function* (assertion: Assertion, now: number) {
  const life = assertion.expires - assertion.issuedAt
  if (life <= 0 || life > ASSERTION_MILLIS) return yield* new NotAdmitted()
  const early = assertion.issuedAt - CLOCK_LEEWAY_MILLIS > now
  const late = assertion.expires + CLOCK_LEEWAY_MILLIS <= now
  if (early || late) return yield* new ClockWrong({ byMillis: assertion.issuedAt - now })
})

/** Only after the signature was checked: nobody else may fill the list of used ids. */
const spend = Effect.fnUntraced(function* (assertion: Assertion, now: number) {
  const clients = yield* Clients
  const hashing = yield* Hashing
  if (assertion.id.length === 0 || assertion.id.length > ASSERTION_ID_MAX)
    return yield* new NotAdmitted()
  const id = hashing.sha256(`testferry/jti/1|${assertion.subject}|${assertion.id}`)
  const fresh = yield* clients.useOnce(id, now, assertion.expires + CLOCK_LEEWAY_MILLIS)
  if (!fresh) return yield* new NotAdmitted()
})

const isRevoked = (found: Option.Option<Client>): found is Option.Some<Client> =>
  Option.isSome(found) && found.value.state === "revoked"

const active = (found: Option.Option<Client>): Effect.Effect<Client, NotAdmitted> =>
  Option.isSome(found) && found.value.state === "active"
    ? Effect.succeed(found.value)
    : Effect.fail(new NotAdmitted())

/** Takes the same time wherever two digests differ. */
const sameDigest = (a: Digest | string, b: Digest | string): boolean => {
  let difference = a.length ^ b.length
  for (let at = 0; at < a.length; at++) difference |= a.charCodeAt(at) ^ b.charCodeAt(at)
  return difference === 0
}

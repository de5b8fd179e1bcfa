/**
 * Obtains access tokens for a device by assertions that it signs (RFC 7523), and keeps them between
 * runs in a cache that the caller gives, so that "nothing new" costs one request.
 */
import { randomUUID } from "node:crypto"
import { Clock, Effect, Option, Schema, Semaphore } from "effect"
import { TokenAnswer } from "./http-answers.ts"
import type { Talk } from "./http-talk.ts"

/** What a device states and signs; times in seconds since 1970, as RFC 7519 has them. */
export interface AssertionClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: string
  readonly jti: string
  readonly iat: number
  readonly exp: number
}

export interface CachedToken {
  readonly token: string
  /** Milliseconds since 1970, by the device's clock. */
  readonly expires: number
}

/** Keeps one token, for one device and one central. */
export interface TokenCache {
  readonly get: Effect.Effect<Option.Option<CachedToken>>
  readonly set: (token: CachedToken) => Effect.Effect<void>
}

export interface TokenOptions {
  readonly client: string
  /** Central's name for its token endpoint. */
  readonly audience: string
  /** Signs with the device's `auth` key: a compact JWT with `alg` EdDSA. */
  readonly signAssertion: (claims: AssertionClaims) => Effect.Effect<string>
  readonly cache: TokenCache
}

/** Renewed a little early, so that it does not end on the way. */
const RENEW_BEFORE_MILLIS = 30_000
const ASSERTION_SECONDS = 60
/** Longest token that is kept: it travels with every request. */
const TOKEN_MAX = 2_048

const Answer = TokenAnswer.mapFields((fields) => ({
  ...fields,
  access_token: Schema.String.check(
    Schema.isMaxLength(TOKEN_MAX),
    Schema.isPattern(/^[\x21-\x7e]+$/u)
  )
}))

/** Tokens for a device: the one at hand, or a new one in place of one that was refused. */
export const makeTokens = Effect.fnUntraced(function* (talk: Talk, options: TokenOptions) {
  const oneAtATime = yield* Semaphore.make(1)
  const usable = Effect.fnUntraced(function* (refused: string | undefined) {
    const kept = yield* options.cache.get
    const now = yield* Clock.currentTimeMillis
    return Option.filter(
      kept,
      ({ token, expires }) => token !== refused && expires - RENEW_BEFORE_MILLIS > now
    )
  })
  const obtain = Effect.fnUntraced(function* () {
    const now = yield* Clock.currentTimeMillis
    const assertion = yield* options.signAssertion(claims(options, now))
    const answer = yield* talk.json(Answer, {
      method: "POST",
      path: "/oauth/token",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({
        grant_type: "client_credentials",
        client_id: options.client,
        client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion: assertion
      }).toString()
    })
    const fresh = { token: answer.access_token, expires: now + answer.expires_in * 1_000 }
    yield* options.cache.set(fresh)
    return fresh.token
  })
  /** `refused`: a token that central did not take. */
  return Effect.fnUntraced(
    function* (refused: string | undefined) {
      const kept = yield* usable(refused)
      return Option.isSome(kept) ? kept.value.token : yield* obtain()
    },
    // Several requests at once ask for one token, not for several.
    (effect) => oneAtATime.withPermits(1)(effect)
  )
})

const claims = (options: TokenOptions, now: number): AssertionClaims => {
  const iat = Math.floor(now / 1_000)
  return {
    iss: options.client,
    sub: options.client,
    aud: options.audience,
    jti: randomUUID(),
    iat,
    exp: iat + ASSERTION_SECONDS
  }
}

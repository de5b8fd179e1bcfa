/**
 * Makes and reads JSON Web Tokens with jose: central's access tokens, and the assertions by which
 * devices prove themselves (RFC 7519, RFC 7523). Only EdDSA is understood, whatever a header says.
 */
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes } from "node:crypto"
import { Effect, Layer, Option, Schema } from "effect"
import type { JWTPayload, JWTVerifyOptions } from "jose"
import { type Assertion, Tokens } from "../application/token-ports.ts"

/** An access token is good for ten minutes; a blocked client is refused at once all the same. */
export const ACCESS_TOKEN_SECONDS = 600
/** Longest token or assertion that is looked at. */
const JWT_MAX = 4_096
/** "EdDSA" and its newer, fuller name (RFC 9864). */
const ALGORITHMS = ["EdDSA", "Ed25519"]

const Claims = Schema.Struct({
  iss: Schema.String,
  sub: Schema.String,
  aud: Schema.Union([Schema.String, Schema.Array(Schema.String)]),
  iat: Schema.Finite,
  exp: Schema.Finite,
  jti: Schema.String
})
const readClaims = Schema.decodeUnknownOption(Claims)

/**
 * `issuer` is central's public address, such as `https://central.example`; all processes of one
 * central are given the same ed25519 `privateKeyPem` (PKCS #8).
 */
export const layer = (options: { readonly issuer: string; readonly privateKeyPem: string }) =>
  Layer.sync(Tokens, () => {
    const privateKey = createPrivateKey(options.privateKeyPem)
    const publicKey = createPublicKey(privateKey)
    const { issuer } = options
    return Tokens.of({
      audiences: [issuer, `${issuer}/oauth/token`],
      issue: (client, now) => issue(privateKey, issuer, client, now),
      verify: (token, now) =>
        verified(token, publicKey, { issuer, currentDate: new Date(now) }).pipe(
          Effect.map(Option.flatMap(({ sub }) => Option.fromNullishOr(sub)))
        ),
      readAssertion: (jwt, keyOf) => readAssertion(jwt, keyOf)
    })
  })

/** Loaded with the first token: most commands of central make none. */
const loadJose = () => import("jose")

/** As short as it can be, since it travels with every request. */
const issue = (key: KeyObject, issuer: string, client: string, now: number) =>
  Effect.promise(async () => {
    const { SignJWT } = await loadJose()
    const issuedAt = Math.floor(now / 1_000)
    const expires = issuedAt + ACCESS_TOKEN_SECONDS
    const token = await new SignJWT({})
      .setProtectedHeader({ alg: "EdDSA" })
      .setIssuer(issuer)
      .setSubject(client)
      .setIssuedAt(issuedAt)
      .setExpirationTime(expires)
      .setJti(randomBytes(9).toString("base64url"))
      .sign(key)
    return { token, lifeSeconds: ACCESS_TOKEN_SECONDS, expires: expires * 1_000 }
  })

const readAssertion = Effect.fnUntraced(function* (
  jwt: string,
  keyOf: (client: string) => Effect.Effect<Option.Option<string>>
) {
  const claimed = yield* subjectOf(jwt)
  const raw = Option.isSome(claimed) ? yield* keyOf(claimed.value) : Option.none()
  const key = Option.flatMap(raw, publicKeyOf)
  if (Option.isNone(key)) return Option.none()
  // Times are judged by the caller, who knows what to say about a wrong clock.
  const payload = yield* verified(jwt, key.value, { clockTolerance: Number.MAX_SAFE_INTEGER })
  return Option.map(Option.flatMap(payload, readClaims), assertionOf)
})

const assertionOf = (claims: typeof Claims.Type): Assertion => ({
  issuer: claims.iss,
  subject: claims.sub,
  audience: typeof claims.aud === "string" ? [claims.aud] : claims.aud,
  issuedAt: Math.round(claims.iat * 1_000),
  expires: Math.round(claims.exp * 1_000),
  id: claims.jti
})

const verified = (
  jwt: string,
  key: KeyObject,
  rules: JWTVerifyOptions
): Effect.Effect<Option.Option<JWTPayload>> =>
  jwt.length > JWT_MAX
    ? Effect.succeedNone
    : Effect.promise(async () => {
        const { errors, jwtVerify } = await loadJose()
        return jwtVerify(jwt, key, { ...rules, algorithms: ALGORITHMS }).then(
          ({ payload }) => Option.some(payload),
          (error: unknown) => {
            if (error instanceof errors.JOSEError) return Option.none()
            throw error
          }
        )
      })

/** Whom an assertion claims to be from, before anything is believed. */
const subjectOf = (jwt: string): Effect.Effect<Option.Option<string>> =>
  jwt.length > JWT_MAX
    ? Effect.succeedNone
    : Effect.map(Effect.promise(loadJose), ({ decodeJwt }) =>
        Option.liftThrowable(decodeJwt)(jwt).pipe(
          Option.flatMap(({ sub }) => (typeof sub === "string" ? Option.some(sub) : Option.none()))
        )
      )

/** A raw ed25519 public key in base64 as Node wants it. */
const publicKeyOf = Option.liftThrowable((raw: string) =>
  createPublicKey({
    format: "jwk",
    key: { kty: "OKP", crv: "Ed25519", x: Buffer.from(raw, "base64").toString("base64url") }
  })
)

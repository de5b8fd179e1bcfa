/**
 * Serves the two routes on which somebody proves who they are: tokens (protocol §2) and enrolment
 * (§7). Both cost the server something, so both are limited per client and address.
 */
import { Clock, Effect, Option, Result } from "effect"
import { Base64 } from "effect/encoding"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { NotAdmitted } from "../application/admit.ts"
import {
  type AudienceWrong,
  admitByProof,
  type ClockWrong,
  type DeviceRevoked,
  type Proof
} from "../application/admit.ts"
import {
  certify,
  type DeviceBlocked,
  type NoOrganisation,
  type RequestRefused
} from "../application/certify.ts"
import { Hashing, type TooManyTries } from "../application/ports.ts"
import { personName } from "../domain/record.ts"
import { PROGRAM_VERSION, PROTOCOL_VERSION, SUPPORTED_DEVICES } from "../domain/release.ts"
import { Api, type TokenRequest } from "../infrastructure/http-api.ts"
import {
  oauthResponse,
  problemResponse,
  type Trouble,
  trouble
} from "../infrastructure/http-problem.ts"
import { makeRateLimiter, type RateLimit } from "../infrastructure/rate-limit.ts"
import { Exchange } from "./central-gate.ts"

/** Tries of one client from one address, and of one address in all (a whole school may be behind). */
export interface RateLimits {
  readonly token: RateLimit
  readonly enrolment: RateLimit
  readonly address: RateLimit
}
const MINUTE = 60_000
export const RATE_LIMITS: RateLimits = {
  token: { tries: 30, windowMillis: MINUTE },
  enrolment: { tries: 10, windowMillis: MINUTE },
  address: { tries: 300, windowMillis: MINUTE }
}

export const layer = (limits: RateLimits) =>
  HttpApiBuilder.group(
    Api,
    "access",
    Effect.fnUntraced(function* (handlers) {
      const hashing = yield* Hashing
      const ofAddress = makeRateLimiter(limits.address)
      const ofToken = makeRateLimiter(limits.token)
      const ofEnrolment = makeRateLimiter(limits.enrolment)
      const tooOften = Effect.fnUntraced(function* (ofClient: typeof ofToken, who: string) {
        const request = yield* HttpServerRequest.HttpServerRequest
        const address = Option.getOrElse(request.remoteAddress, () => "")
        const waits = [
          yield* ofAddress(address),
          yield* ofClient(hashing.sha256(`${address} ${who}`))
        ]
        const wait = Math.max(...waits.map(Option.getOrElse(() => 0)))
        if (wait > 0) return yield* Effect.fail(tooMany(wait))
      })
      return handlers.handleAll({
        token: ({ payload, request }) =>
          Effect.gen(function* () {
            const proof = yield* Effect.fromResult(
              readProof(payload, request.headers.authorization)
            )
            yield* tooOften(ofToken, "key" in proof ? proof.key : (proof.client ?? ""))
            return yield* token(proof)
          }).pipe(
            Effect.catch((found) => Effect.succeed(oauthResponse(found, request.headers.accept)))
          ),
        enrol: ({ payload: { request, proof } }) =>
          Effect.gen(function* () {
            yield* tooOften(ofEnrolment, "login" in proof ? personName(proof.login) : proof.key)
            const enrolment = yield* Effect.mapError(certify(request, proof), enrolmentTrouble)
            return HttpServerResponse.jsonUnsafe(enrolment)
          }).pipe(Effect.catch((found) => Effect.succeed(problemResponse(found)))),
        capabilities: () => Effect.map(Clock.currentTimeMillis, capabilities)
      })
    })
  )

const token = Effect.fnUntraced(function* (proof: Proof) {
  const exchange = yield* Exchange
  const { client, token: issued } = yield* Effect.mapError(admitByProof(proof), tokenTrouble)
  exchange.client = client.id
  return HttpServerResponse.jsonUnsafe(
    {
      access_token: issued.token,
      token_type: "Bearer",
      expires_in: issued.lifeSeconds,
      expires: Math.floor(issued.expires / 1_000)
    },
    { headers: { "cache-control": "no-store" } }
  )
})

type TokenFailure = NotAdmitted | ClockWrong | AudienceWrong | DeviceRevoked

const tokenTrouble = (failure: TokenFailure): Trouble => {
  switch (failure._tag) {
    case "DeviceRevoked":
      return trouble("device-revoked", `The central office revoked ${failure.device} for good.`)
    case "NotAdmitted":
      return trouble("invalid-client", "The client is unknown, or its proof is not accepted.")
    case "ClockWrong": {
      const minutes = Math.round(Math.abs(failure.byMillis) / 60_000)
      const way = failure.byMillis > 0 ? "fast" : "slow"
      return trouble("clock-wrong", `The device's clock is ${minutes} minutes ${way}. Set it.`)
    }
    case "AudienceWrong":
      return trouble("wrong-audience", `This server is ${failure.audiences.join(" or ")}.`)
  }
}

type EnrolmentFailure = NotAdmitted | RequestRefused | DeviceBlocked | TooManyTries | NoOrganisation

const enrolmentTrouble = (failure: EnrolmentFailure): Trouble => {
  switch (failure._tag) {
    case "NotAdmitted":
      return trouble("wrong-proof", "Check login and password of the sync manager.")
    case "RequestRefused":
      return trouble("request-refused", "It is not signed by the key that it names.")
    case "DeviceBlocked":
      return trouble("device-blocked", `Ask the central office to let ${failure.device} in again.`)
    case "NoOrganisation":
      return trouble("no-organisation", "Ask the central office to assign one.")
    case "TooManyTries":
      return tooMany(failure.waitMillis)
  }
}

const tooMany = (waitMillis: number): Trouble => {
  const seconds = Math.max(1, Math.ceil(waitMillis / 1_000))
  return trouble("too-many-requests", `Try again in ${seconds} seconds.`, {
    headers: { "retry-after": String(seconds) }
  })
}

const JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
const NO_PROOF = trouble("invalid-client", "Prove who you are: client_secret or client_assertion.")
const ONE_PROOF = trouble("bad-request", "Use one way of proving who you are, not several.")

/** Reads the proof of a token request: the header, the secret, or the assertion; never two. */
const readProof = (
  form: TokenRequest,
  authorization: string | undefined
): Result.Result<Proof, Trouble> => {
  if (form.grant_type !== "client_credentials")
    return Result.fail(trouble("unsupported-grant-type", "Ask for client_credentials."))
  const ways = [authorization, form.client_secret, form.client_assertion]
  if (ways.filter((way) => way !== undefined).length > 1) return Result.fail(ONE_PROOF)
  if (authorization !== undefined) return readBasic(authorization)
  if (form.client_secret !== undefined && form.client_id !== undefined)
    return Result.succeed({ key: form.client_id, secret: form.client_secret })
  if (form.client_assertion === undefined || form.client_assertion_type !== JWT_BEARER)
    return Result.fail(NO_PROOF)
  return Result.succeed({ assertion: form.client_assertion, client: form.client_id })
}

/** Basic credentials, each form-encoded before they were joined (RFC 6749 §2.3.1). */
const readBasic = (header: string): Result.Result<Proof, Trouble> => {
  const [, encoded = ""] = /^basic +([A-Za-z0-9+/=]+)$/iu.exec(header) ?? []
  const text = Result.getOrElse(Base64.decodeString(encoded), () => "")
  const colon = text.indexOf(":")
  const key = formDecoded(text.slice(0, colon))
  const secret = formDecoded(text.slice(colon + 1))
  return colon < 1 || key === undefined || secret === undefined
    ? Result.fail(NO_PROOF)
    : Result.succeed({ key, secret })
}

const formDecoded = (text: string): string | undefined =>
  Option.getOrUndefined(Option.liftThrowable(() => decodeURIComponent(text.replaceAll("+", " ")))())

const capabilities = (time: number) => ({
  program: PROGRAM_VERSION,
  protocols: [PROTOCOL_VERSION],
  devices: SUPPORTED_DEVICES,
  time
})

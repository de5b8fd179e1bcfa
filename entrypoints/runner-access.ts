/** Lets people in at a device's HTTP door, and finds who a request is from. */
import { availableParallelism } from "node:os"
import { Duration, Effect, Layer, Option, PartitionedSemaphore, Redacted } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { logIn } from "../application/log-in.ts"
import { Hashing } from "../application/ports.ts"
import { type Visitor, Visitors } from "../application/session-ports.ts"
import type { Person } from "../domain/entity.ts"
import { foldedLogin } from "../domain/login.ts"
import { makeRateLimiter, type RateLimit } from "../infrastructure/rate-limit.ts"
import { type LoginPost, RunnerApi } from "../infrastructure/runner-api.ts"
import { COOKIE, Here, LoggedIn, NOBODY_YET, PAGE_HEADER } from "../infrastructure/runner-door.ts"
import { runnerProblem, runnerTrouble } from "../infrastructure/runner-problem.ts"
import { AT_ONCE_MAX, makeShares } from "./one-persons-share.ts"
import { answered, tooMany } from "./runner-troubles.ts"

/** Tries of one login from one address, and of one address in all (a whole class may be behind). */
export interface LoginLimits {
  readonly login: RateLimit
  readonly address: RateLimit
}
const MINUTE = 60_000
export const LOGIN_LIMITS: LoginLimits = {
  login: { tries: 20, windowMillis: MINUTE },
  address: { tries: 600, windowMillis: MINUTE }
}

export interface AccessOptions {
  readonly limits: LoginLimits
  /** A cookie that must not travel without TLS, where there is TLS. */
  readonly secure: boolean
}

const TAKERS: ReadonlyArray<Person["kind"]> = ["test-taker"]
const PROCTORS: ReadonlyArray<Person["kind"]> = ["proctor", "administrator"]

export const layerAccess = (options: AccessOptions) =>
  Layer.mergeAll(
    HttpApiBuilder.group(
      RunnerApi,
      "access",
      Effect.fnUntraced(function* (handlers) {
        const enter = yield* entrance(options)
        return handlers.handle("login", ({ payload }) => enter(payload, TAKERS))
      })
    ),
    HttpApiBuilder.group(
      RunnerApi,
      "proctor-access",
      Effect.fnUntraced(function* (handlers) {
        const enter = yield* entrance(options)
        return handlers.handle("login", ({ payload }) => enter(payload, PROCTORS))
      })
    )
  )

/** Takes logins of people of some kinds, and limits how often they are tried. */
export const entrance = Effect.fnUntraced(function* ({ limits, secure }: AccessOptions) {
  const hashing = yield* Hashing
  const ofAddress = makeRateLimiter(limits.address)
  const ofLogin = makeRateLimiter(limits.login)
  const turns = yield* loginTurns
  return Effect.fnUntraced(function* (
    { login, password }: typeof LoginPost.Type,
    kinds: ReadonlyArray<Person["kind"]>
  ) {
    const request = yield* HttpServerRequest.HttpServerRequest
    const address = Option.getOrElse(request.remoteAddress, () => "")
    const who = hashing.sha256(`${address} ${foldedLogin(login)}`)
    const waits = [yield* ofAddress(address), yield* ofLogin(who)]
    const wait = Math.max(...waits.map(Option.getOrElse(() => 0)))
    if (wait > 0) return runnerProblem(tooMany(wait))
    const entered = logIn(login, password, kinds, address).pipe(turns.withPermit(address))
    return yield* answered(
      Effect.map(entered, ({ idleMillis, token, visitor }) =>
        HttpServerResponse.setCookieUnsafe(
          HttpServerResponse.jsonUnsafe(
            { token, idleSeconds: Math.floor(idleMillis / 1_000), person: personOf(visitor) },
            { headers: { "cache-control": "no-store" } }
          ),
          COOKIE,
          token,
          { ...COOKIE_RULES, secure, maxAge: Duration.millis(idleMillis) }
        )
      )
    )
  })
})

/**
 * A login costs a core for a while. As many run as there are cores, and addresses take turns: of those
 * who wait, nobody waits behind all the tries of one other machine.
 */
export const loginTurns = Effect.suspend(() =>
  PartitionedSemaphore.make<string>({ permits: availableParallelism() })
)

const COOKIE_RULES = { httpOnly: true, sameSite: "strict", path: "/" } as const

export const personOf = ({ kind, organisations, person, profile }: Visitor) => ({
  id: person,
  kind,
  login: profile.login,
  label: profile.label,
  language: profile.interfaceLanguage,
  organisations
})

/** Forgets who was here, and takes the cookie back. */
export const leave = Effect.gen(function* () {
  const { token } = yield* Here
  const visitors = yield* Visitors
  yield* visitors.leave(token)
  return HttpServerResponse.setCookieUnsafe(HttpServerResponse.empty({ status: 204 }), COOKIE, "", {
    ...COOKIE_RULES,
    maxAge: 0
  })
})

export const layerLoggedIn = Layer.effect(
  LoggedIn,
  Effect.map(Visitors, (visitors) => {
    const inShare = makeShares(AT_ONCE_MAX)
    const asVisitor = Effect.fnUntraced(function* <A, E, R>(
      handler: Effect.Effect<A, E, R>,
      { credential }: { readonly credential: Redacted.Redacted }
    ) {
      const request = yield* HttpServerRequest.HttpServerRequest
      const bearer = Redacted.value(credential)
      if (bearer === "" && isForeign(request)) return runnerProblem(FOREIGN)
      const token = bearer === "" ? (request.cookies[COOKIE] ?? "") : bearer
      const visitor = yield* visitors.find(token)
      if (Option.isNone(visitor)) return runnerProblem(NOBODY)
      if (bearer === "" && isOfAnother(request, visitor.value)) return runnerProblem(NOBODY)
      const here = { visitor: visitor.value, token }
      return yield* inShare(here.visitor.person, Effect.provideService(handler, Here, here))
    })
    return LoggedIn.of({ bearer: asVisitor, cookie: asVisitor })
  })
)

/**
 * A browser sends the cookie along with whatever a page of another port on this machine makes it
 * send. Our page says who it is by a header, which others would have to be allowed to send.
 */
export const isForeign = ({ headers, method }: HttpServerRequest.HttpServerRequest): boolean => {
  const from = headers["sec-fetch-site"]
  if (method === "GET" || method === "HEAD") return from === "cross-site"
  return headers[PAGE_HEADER] === undefined || (from !== undefined && from !== "same-origin")
}

/** Somebody else logged in beside a page: it must not go on in their name. */
const isOfAnother = ({ headers }: HttpServerRequest.HttpServerRequest, { person }: Visitor) => {
  const shown = headers[PAGE_HEADER] ?? NOBODY_YET
  return shown !== NOBODY_YET && shown !== person
}

export const FOREIGN = runnerTrouble(
  "cross-site",
  `With the cookie, send the header ${PAGE_HEADER} too.`
)
export const NOBODY = runnerTrouble("login-needed", "Log in, then send the token that you get.")

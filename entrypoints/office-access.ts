/** Lets people of the office in at central's page, and finds who a request is from. */
import { Duration, Effect, Layer, Option, Redacted } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { enterOffice, officeToken, whoIsHere } from "../application/office.ts"
import { type Account, Hashing } from "../application/ports.ts"
import { foldedLogin } from "../domain/login.ts"
import type { OfficeRole } from "../domain/office-role.ts"
import {
  OFFICE_COOKIE,
  OfficeApi,
  OfficeHere,
  OfficeLoggedIn
} from "../infrastructure/office-api.ts"
import { makeRateLimiter } from "../infrastructure/rate-limit.ts"
import type { LoginPost } from "../infrastructure/runner-api.ts"
import { runnerProblem, runnerTrouble } from "../infrastructure/runner-problem.ts"
import { isForeign, LOGIN_LIMITS, type LoginLimits, loginTurns } from "./runner-access.ts"
import { answered, tooMany } from "./runner-troubles.ts"

/** Never without TLS, but for a browser on this very machine; never to another page, nor to scripts. */
const COOKIE_RULES = { httpOnly: true, sameSite: "strict", path: "/office", secure: true } as const

export const layerOfficeAccess = (limits: LoginLimits = LOGIN_LIMITS) =>
  HttpApiBuilder.group(
    OfficeApi,
    "office-access",
    Effect.fnUntraced(function* (handlers) {
      const enter = yield* entrance(limits)
      return handlers.handleAll({
        login: ({ payload }) => enter(payload),
        logout: () =>
          // The token dies by itself, minutes later: the browser forgets it now.
          Effect.succeed(
            HttpServerResponse.setCookieUnsafe(
              HttpServerResponse.empty({ status: 204 }),
              OFFICE_COOKIE,
              "",
              { ...COOKIE_RULES, maxAge: 0 }
            )
          )
      })
    })
  )

const entrance = Effect.fnUntraced(function* (limits: LoginLimits) {
  const hashing = yield* Hashing
  const ofAddress = makeRateLimiter(limits.address)
  const ofLogin = makeRateLimiter(limits.login)
  const turns = yield* loginTurns
  return Effect.fnUntraced(function* ({ login, password }: typeof LoginPost.Type) {
    const request = yield* HttpServerRequest.HttpServerRequest
    const address = Option.getOrElse(request.remoteAddress, () => "")
    const who = hashing.sha256(`${address} ${foldedLogin(login)}`)
    const waits = [yield* ofAddress(address), yield* ofLogin(who)]
    const wait = Math.max(...waits.map(Option.getOrElse(() => 0)))
    if (wait > 0) return runnerProblem(tooMany(wait))
    return yield* answered(
      Effect.flatMap(enterOffice(login, password).pipe(turns.withPermit(address)), (account) =>
        withCookie(account, fresh(officerOf(account)))
      )
    )
  })
})

/** What people's lives hang on must not stay in a browser's cache. */
export const fresh = (answer: unknown) =>
  HttpServerResponse.jsonUnsafe(answer, { headers: { "cache-control": "no-store" } })

/** Does for one role what it asks for; others are refused before anything is looked at. */
export const asRole = <E, R>(
  role: OfficeRole,
  verb: (who: Account) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) =>
  Effect.flatMap(OfficeHere, (account) =>
    account.role === role ? verb(account) : Effect.succeed(runnerProblem(NOT_YOURS[role]))
  )

const NOT_YOURS = {
  "results-officer": runnerTrouble(
    "wrong-person",
    "Only a results officer may see opened results."
  ),
  administrator: runnerTrouble("wrong-person", "Only an administrator may do this.")
}

export const officerOf = ({ label, login, role }: Account) => ({ label, login, role })

/** Each answer brings a new token: who does nothing for as long as one lives must log in again. */
const withCookie = Effect.fnUntraced(function* (
  account: Account,
  response: HttpServerResponse.HttpServerResponse
) {
  const { lifeSeconds, token } = yield* officeToken(account)
  return HttpServerResponse.setCookieUnsafe(response, OFFICE_COOKIE, token, {
    ...COOKIE_RULES,
    maxAge: Duration.seconds(lifeSeconds)
  })
})

export const layerOfficeLoggedIn = Layer.effect(
  OfficeLoggedIn,
  Effect.map(
    Effect.context<
      Effect.Services<ReturnType<typeof whoIsHere> | ReturnType<typeof officeToken>>
    >(),
    (context) =>
      OfficeLoggedIn.of({
        cookie: Effect.fnUntraced(function* (handler, { credential }) {
          const request = yield* HttpServerRequest.HttpServerRequest
          if (isForeign(request) || isElsewhere(request)) return runnerProblem(FOREIGN)
          const here = yield* whoIsHere(Redacted.value(credential)).pipe(
            Effect.provideContext(context),
            Effect.option
          )
          if (Option.isNone(here)) return runnerProblem(NOBODY)
          const response = yield* Effect.provideService(handler, OfficeHere, here.value)
          return yield* Effect.provideContext(withCookie(here.value, response), context)
        })
      })
  )
)

/** Browsers that do not say "same-origin" say from which origin a page writes. */
const isElsewhere = ({ headers, method }: HttpServerRequest.HttpServerRequest): boolean =>
  method !== "GET" &&
  headers["sec-fetch-site"] === undefined &&
  headers.origin !== undefined &&
  headers.origin.replace(/^https?:\/\//u, "") !== headers.host

const FOREIGN = runnerTrouble("cross-site", "The office's page alone may ask here.")
const NOBODY = runnerTrouble("login-needed", "Log in at the office's page.")

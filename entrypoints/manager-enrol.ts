/** Enrols a device from its page: once, by a sync manager, with the central that was meant. */
import { Effect, Option, Redacted, Result } from "effect"
import { HttpServerRequest } from "effect/http"
import { DeviceIdentity, Holdings } from "../application/ports.ts"
import { Refused } from "../application/refused.ts"
import { makeRateLimiter } from "../infrastructure/rate-limit.ts"
import { runnerProblem, runnerTrouble } from "../infrastructure/runner-problem.ts"
import { peerCertificate } from "../infrastructure/tls-peer.ts"
import { enrolCommand, type Reach, syncCommand } from "./device-commands.ts"
import { settleTrust } from "./device-init.ts"
import { Runs } from "./manager-runs.ts"
import { type AccessOptions, FOREIGN, isForeign } from "./runner-access.ts"
import { tooMany } from "./runner-troubles.ts"
import { readDevice } from "./settings.ts"
import type { DevicePorts } from "./wiring.ts"

const NOT_ENROLLED = "The device was not enrolled."

/** Who answers at central's address, and whether a person must still compare its fingerprint. */
export const peerOf = Effect.fnUntraced(function* (directory: string) {
  const settings = yield* Effect.orDie(readDevice(directory))
  if (settings.fingerprint !== null) {
    return { fingerprint: settings.fingerprint, known: true, refused: null }
  }
  const url = new URL(settings.rootUrl)
  if (url.protocol === "http:") return { fingerprint: null, known: true, refused: null }
  const peer = yield* Effect.result(peerCertificate(url))
  if (Result.isSuccess(peer)) {
    const { fingerprint, vouched } = peer.success
    return { fingerprint, known: vouched, refused: null }
  }
  const refused = new Refused({
    code: "E_CENTRAL_UNREACHABLE",
    what: NOT_ENROLLED,
    why: `Central can't be reached at ${settings.rootUrl} (${peer.failure.detail}).`,
    todo: "Check the network and central's address, then try again."
  })
  return { fingerprint: null, known: false, refused }
})

interface Asked {
  readonly login: string
  readonly password: string
  readonly name: string
  readonly fingerprint: string | null
}

/** Central judges the password; here only how often it is tried. Begins the first fetch at once. */
export const enrolFromPage = Effect.fnUntraced(function* ({
  directory,
  limits,
  reach
}: AccessOptions & { readonly directory: string; readonly reach: Reach<DevicePorts> }) {
  const ofAddress = makeRateLimiter(limits.login)
  return Effect.fnUntraced(function* ({ fingerprint, login, name, password }: Asked) {
    const identity = yield* DeviceIdentity
    const request = yield* HttpServerRequest.HttpServerRequest
    if (Option.isSome(yield* identity.membership)) return runnerProblem(ENROLLED)
    const wait = yield* ofAddress(Option.getOrElse(request.remoteAddress, () => ""))
    if (Option.isSome(wait)) return runnerProblem(tooMany(wait.value))
    return yield* Effect.gen(function* () {
      const peer = yield* peerOf(directory)
      if (peer.refused !== null) return yield* peer.refused
      if (!peer.known && fingerprint === null) return yield* notCompared
      yield* settleTrust(directory, peer.known ? Option.none() : Option.fromNullOr(fingerprint))
      yield* enrolCommand(reach).run({
        name,
        login,
        password: Redacted.make(password),
        key: null,
        secret: null
      })
      yield* Effect.ignore(begin(reach))
      return { refused: null }
    }).pipe(Effect.catch((refused) => Effect.succeed({ refused })))
  })
})

const begin = (reach: Reach<DevicePorts>) =>
  Effect.flatMap(Runs, (runs) =>
    runs.start(
      "sync",
      { dryRun: false },
      syncCommand(reach).answer({ kinds: null, dryRun: false, confirmRemovals: false })
    )
  )

/** Whether a sync manager can log in: not before the first fetch. */
export const isPeopled = Effect.gen(function* () {
  const holdings = yield* Holdings
  const identity = yield* DeviceIdentity
  const membership = Option.getOrUndefined(yield* identity.membership)
  const counts = yield* Effect.forEach(membership?.organisations ?? [], holdings.count)
  return counts.some((count) => (count.get("sync-manager") ?? 0) > 0)
})

/** Tries the first fetch again, for whoever stands there: while it is missing nobody can log in. */
export const fetchFirst = Effect.fnUntraced(function* (reach: Reach<DevicePorts>) {
  const identity = yield* DeviceIdentity
  if (isForeign(yield* HttpServerRequest.HttpServerRequest)) return runnerProblem(FOREIGN)
  if (Option.isNone(yield* identity.membership) || (yield* isPeopled)) {
    return runnerProblem(NOT_FIRST)
  }
  return yield* Effect.asVoid(Effect.ignore(begin(reach)))
})

const NOT_FIRST = runnerTrouble("wrong-stage", "This is for a device whose first fetch is missing.")
const ENROLLED = runnerTrouble("wrong-stage", "This device is enrolled. Log in.")

const notCompared = new Refused({
  code: "E_FINGERPRINT",
  what: NOT_ENROLLED,
  why: "Central's certificate was not compared.",
  todo: "Ask the office for its fingerprint, compare it, and confirm."
})

/**
 * Enrols a device with central, once per organisation: it shows its public keys, a sync manager (or
 * a credential made by central) vouches for it, and it keeps the certificate and the root document
 * that come back. The password is used for this one request and kept nowhere.
 */
import { Clock, Effect } from "effect"
import { happened } from "./happened.ts"
import { CentralDesk, DeviceIdentity } from "./ports.ts"

export type Vouching =
  | { readonly login: string; readonly password: string }
  | { readonly key: string; readonly secret: string }

export const enrol = Effect.fn("enrol")(function* (name: string, vouching: Vouching) {
  const desk = yield* CentralDesk
  const identity = yield* DeviceIdentity
  const began = yield* Clock.currentTimeMillis
  const request = yield* identity.request(name, began)
  const membership = yield* identity.accept(yield* desk.enrol(request, vouching))
  const now = yield* Clock.currentTimeMillis
  yield* happened({
    at: now,
    verb: "enrol",
    who: "login" in vouching ? "sync manager" : "credential",
    device: membership.device,
    millis: Math.max(0, now - began),
    reason: membership.organisations.join(", ")
  })
  return membership
})

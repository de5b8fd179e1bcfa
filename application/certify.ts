/**
 * Certifies devices at central: whoever proves to be a sync manager, or has a credential, may make a
 * device a member of the organisations that the proof reaches (format §3.3). And takes it back.
 */
import { Clock, Effect, Option, Schema } from "effect"
import {
  CERTIFICATE_MILLIS,
  type Certificate,
  type Enrolment,
  type EnrolmentRequest,
  type Signed
} from "../domain/enrolment.ts"
import { DeviceId, type OrganisationId, Recipient } from "../domain/id.ts"
import { personName } from "../domain/record.ts"
import { byCredential, CLOCK_LEEWAY_MILLIS, NotAdmitted } from "./admit.ts"
import { Standing } from "./bundle-ports.ts"
import { remember } from "./manage-clients.ts"
import {
  Atomic,
  Authority,
  Catalogue,
  type Client,
  Clients,
  Hashing,
  LoginTries,
  Passwords,
  Secrets
} from "./ports.ts"

export type EnrolmentProof =
  | { readonly login: string; readonly password: string }
  | { readonly key: string; readonly secret: string }

/** The request is not signed by the key that it names, or not in its canonical form. */
export class RequestRefused extends Schema.TaggedError<RequestRefused>()("RequestRefused", {}) {}

/** Central has blocked or revoked this device; enrolling again does not undo that. */
export class DeviceBlocked extends Schema.TaggedError<DeviceBlocked>()("DeviceBlocked", {
  device: Schema.String
}) {}

/** The sync manager proved who they are, but belongs to no organisation. */
export class NoOrganisation extends Schema.TaggedError<NoOrganisation>()("NoOrganisation", {}) {}

/**
 * Enrols a device: checks request and proof, creates the device or adds organisations to it (the
 * same signing key is the same device), and returns its certificate with central's root documents.
 *
 * The request is checked first because that is cheap; a password costs a key derivation.
 */
export const certify = Effect.fn("certify")(function* (signed: Signed, proof: EnrolmentProof) {
  const authority = yield* Authority
  const request = yield* authority.checkRequest(signed)
  if (Option.isNone(request)) return yield* new RequestRefused()
  const proved =
    "login" in proof
      ? yield* provedByPassword(proof.login, proof.password)
      : yield* byCredential(proof.key, proof.secret).pipe(
          Effect.map((client) => ({ who: client.id, organisations: client.organisations }))
        )
  return yield* certifyFor(request.value, proved)
})

/** The same, when the request was checked and somebody was found to vouch for the device. */
export const certifyFor = Effect.fn("certifyFor")(function* (
  request: EnrolmentRequest,
  proved: Proved
) {
  const atomic = yield* Atomic
  const authority = yield* Authority
  const standing = yield* Standing
  const device = yield* atomic.run(enter(request, proved))
  // Outside the transaction, or the refusal would take its history entry along.
  if (device.state !== "active") return yield* refuse(device, proved)
  const certificate = yield* authority.certify(yield* certificateOf(device))
  const enrolment: Enrolment = { certificate, roots: yield* standing.chain }
  return enrolment
})

export interface Proved {
  readonly who: string
  readonly organisations: ReadonlyArray<OrganisationId>
}

/**
 * A login that nobody has, or that is not a sync manager's, costs and answers like a wrong password.
 * The try is counted before the derivation starts, so that many at once do not all pass uncounted.
 */
const provedByPassword = Effect.fnUntraced(function* (login: string, password: string) {
  const catalogue = yield* Catalogue
  const hashing = yield* Hashing
  const passwords = yield* Passwords
  const tries = yield* LoginTries
  const now = yield* Clock.currentTimeMillis
  const name = personName(login)
  const tag = hashing.sha256(`testferry/login-tries/1|${name}`)
  yield* tries.admit(tag, now)
  yield* tries.failed(tag, now)
  const record = (yield* catalogue.byNames([name])).get(name)
  if (record?.kind !== "sync-manager") {
    return yield* passwords.decoy(password).pipe(Effect.mapError(() => new NotAdmitted()))
  }
  yield* passwords
    .unwrap(record.id, record.wrap, password)
    .pipe(Effect.mapError(() => new NotAdmitted()))
  yield* tries.clear(tag)
  if (record.organisation === undefined) return yield* new NoOrganisation()
  return { who: record.login, organisations: [record.organisation] }
})

/** Creates or extends the device; a blocked one is left as it is. Names that people gave stay. */
const enter = Effect.fnUntraced(function* (request: EnrolmentRequest, proved: Proved) {
  const clients = yield* Clients
  const now = yield* Clock.currentTimeMillis
  const found = Option.getOrUndefined(yield* clients.findBySigningKey(request.sig))
  if (found !== undefined && found.state !== "active") return found
  const device: Client = {
    id: found?.id ?? (yield* newDeviceId),
    kind: "device",
    name: found?.name ?? request.name,
    organisations: [...new Set([...(found?.organisations ?? []), ...proved.organisations])],
    state: "active",
    createdAt: found?.createdAt ?? now,
    lastSeenAt: found?.lastSeenAt ?? null,
    program: request.program,
    keys: { sig: request.sig, auth: request.auth, enc: request.enc },
    serial: (found?.serial ?? 0) + 1
  }
  yield* clients.put(device)
  yield* remember("enrol", device, proved.who, "done", "")
  return device
})

const refuse = Effect.fnUntraced(function* (device: Client, proved: Proved) {
  yield* remember("enrol", device, proved.who, "refused", `The device is ${device.state}.`)
  return yield* new DeviceBlocked({ device: device.id })
})

/** What a device may say it is, from now on. Valid a little before, for devices whose clock is slow. */
export const certificateOf = Effect.fnUntraced(function* (device: Client) {
  const now = yield* Clock.currentTimeMillis
  if (device.keys === null) return yield* Effect.die(new Error("a device without keys"))
  const certificate: Certificate = {
    schema: "testferry/cert/1",
    serial: device.serial,
    device: DeviceId.make(device.id),
    organisations: device.organisations,
    sig: device.keys.sig,
    auth: device.keys.auth,
    enc: Recipient.make(device.keys.enc),
    notBefore: now - CLOCK_LEEWAY_MILLIS,
    notAfter: now + CERTIFICATE_MILLIS
  }
  return certificate
})

const newDeviceId = Effect.gen(function* () {
  const hashing = yield* Hashing
  const secrets = yield* Secrets
  return `dev_${hashing.sha256(yield* secrets.randomText(32)).slice(0, 16)}`
})

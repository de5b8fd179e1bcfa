/** Enrolment at central's desk, credentials, and tokens for clients that are not ours. */
import { generateKeyPairSync, webcrypto } from "node:crypto"
import { request as secure } from "node:https"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Schema } from "effect"
import * as oauth from "oauth4webapi"
import {
  blockDevice,
  generateCredential,
  renameDevice,
  revokeCredential,
  revokeDevice,
  unblockDevice
} from "../application/manage-clients.ts"
import { CentralDesk, Clients, History, Passwords } from "../application/ports.ts"
import { canonical } from "../domain/canonical.ts"
import { Certificate, NAMESPACE } from "../domain/enrolment.ts"
import type { CentralPorts } from "../entrypoints/wiring.ts"
import * as AgeFile from "../infrastructure/age-file.ts"
import * as HttpCentral from "../infrastructure/http-central.ts"
import { sign } from "../infrastructure/sshsig.ts"
import { fingerprint } from "./support/certificate.ts"
import * as DoorSupport from "./support/door.ts"
import { Door, tokenForm } from "./support/door.ts"
import { sha256 } from "./support/offers.ts"
import { ISSUER } from "./support/real-central.ts"
import { layerFilled, MINE, OTHER, PASSWORD } from "./support/two-schools.ts"

/** A fresh device's keys, and the request that it signs. */
const newDevice = Effect.gen(function* () {
  const keys = generateKeyPairSync("ed25519")
  const auth = generateKeyPairSync("ed25519")
  const { recipient } = yield* AgeFile.newIdentity("x25519")
  const raw = (key: typeof keys.publicKey) =>
    Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url").toString("base64")
  const sig = raw(keys.publicKey)
  const text = canonical({
    schema: "testferry/enrol/1",
    requestId: "0123456789abcdef",
    name: "Room 7",
    sig,
    auth: raw(auth.publicKey),
    enc: recipient,
    program: "0.1.0",
    createdAt: 1_700_000_000_000,
    nonce: "AAAA"
  })
  const signature = sign(keys.privateKey, NAMESPACE.enrolment, Buffer.from(text))
  return { sig, request: { text, signatures: [signature] } }
})

const desk = Effect.fnUntraced(function* (
  request: { readonly text: string; readonly signatures: ReadonlyArray<string> },
  proof: Parameters<CentralDesk["Service"]["enrol"]>[1]
) {
  const door = yield* Door
  const enrolment = yield* CentralDesk.use((central) => central.enrol(request, proof)).pipe(
    Effect.provide(HttpCentral.layerDesk({ baseUrl: door.baseUrl, trust: { fingerprint } }))
  )
  const read = Schema.decodeUnknownSync(Schema.fromJsonString(Certificate))
  return read(enrolment.certificate.text)
})

const anna = { login: "ANNA", password: PASSWORD }
const otto = { login: "otto", password: PASSWORD }

/** Runs a test at a door, and lets it see how often a password was worked on. */
const atDoor = <A, E>(
  test: (derivations: { readonly count: number }) => Effect.Effect<A, E, Door | CentralPorts>
) => {
  const derivations = { count: 0 }
  const counted = <B, F>(work: Effect.Effect<B, F>) =>
    Effect.suspend(() => {
      derivations.count += 1
      return work
    })
  const counting = Layer.effect(
    Passwords,
    Effect.map(Passwords, (real) =>
      Passwords.of({
        unwrap: (...given) => counted(real.unwrap(...given)),
        decoy: (password) => counted(real.decoy(password))
      })
    )
  ).pipe(Layer.provideMerge(layerFilled))
  return test(derivations).pipe(Effect.provide(DoorSupport.layer(counting)))
}

describe("enrolment", () => {
  it.live("makes a sync manager's device a member of the manager's organisation", () =>
    atDoor(() =>
      Effect.gen(function* () {
        const clients = yield* Clients
        const history = yield* History
        const device = yield* newDevice
        const certificate = yield* desk(device.request, anna)
        assert.deepStrictEqual(certificate.organisations, [MINE])
        assert.deepEqual([certificate.serial, certificate.sig], [1, device.sig])
        const found = Option.getOrThrow(yield* clients.find(certificate.device))
        assert.deepInclude(found, { name: "Room 7", state: "active", kind: "device", serial: 1 })
        const [entry] = yield* history.recent(1)
        assert.deepInclude(entry, { verb: "enrol", who: "Anna", outcome: "done" })
      })
    )
  )

  it.live("adds organisations to a device that it knows by its key, and keeps its name", () =>
    atDoor(() =>
      Effect.gen(function* () {
        const clients = yield* Clients
        const device = yield* newDevice
        const first = yield* desk(device.request, anna)
        yield* renameDevice(first.device, "Library", "admin")
        const second = yield* desk(device.request, otto)
        assert.strictEqual(second.device, first.device)
        assert.deepStrictEqual(second.organisations, [MINE, OTHER])
        assert.strictEqual(second.serial, 2)
        assert.strictEqual((yield* clients.list("device")).length, 1)
        assert.strictEqual(Option.getOrThrow(yield* clients.find(first.device)).name, "Library")
        const another = yield* desk((yield* newDevice).request, anna)
        assert.notStrictEqual(another.device, first.device)
      })
    )
  )

  it.live("answers and works alike for wrong passwords, unknown logins and other people", () =>
    atDoor((derivations) =>
      Effect.gen(function* () {
        const { request } = yield* newDevice
        const failures = []
        for (const proof of [
          { login: "anna", password: "wrong" },
          { login: "nobody", password: PASSWORD },
          { login: "proctor", password: PASSWORD }
        ]) {
          const before = derivations.count
          failures.push(yield* Effect.flip(desk(request, proof)))
          assert.strictEqual(derivations.count - before, 1, proof.login)
        }
        for (const failure of failures) {
          assert.deepInclude(failure, { _tag: "CentralRefused", code: "wrong-proof" })
          assert.deepStrictEqual(failure, failures[0])
        }
      })
    )
  )

  it.live("stops people who keep guessing, whether the login exists or not", () =>
    atDoor(() =>
      Effect.gen(function* () {
        const { request } = yield* newDevice
        for (const login of ["anna", "nobody"]) {
          yield* Effect.flip(desk(request, { login, password: "a guess" }))
          const failure = yield* Effect.flip(desk(request, { login, password: PASSWORD }))
          assert.deepInclude(failure, { _tag: "CentralAway", reason: "unavailable" })
        }
      })
    )
  )

  it.live("refuses a request that another key signed", () =>
    atDoor((derivations) =>
      Effect.gen(function* () {
        const before = derivations.count
        const { signatures } = (yield* newDevice).request
        const forged = { ...(yield* newDevice).request, signatures }
        const failure = yield* Effect.flip(desk(forged, anna))
        assert.deepInclude(failure, { _tag: "CentralRefused", code: "request-refused" })
        assert.strictEqual(derivations.count, before)
      })
    )
  )

  it.live("does not let a blocked or revoked device back in, and remembers the try", () =>
    atDoor(() =>
      Effect.gen(function* () {
        const clients = yield* Clients
        const history = yield* History
        const device = yield* newDevice
        const { device: id } = yield* desk(device.request, anna)
        yield* blockDevice(id, "admin")
        const failure = yield* Effect.flip(desk(device.request, anna))
        assert.deepInclude(failure, { _tag: "CentralRefused", code: "device-blocked" })
        assert.deepInclude((yield* history.recent(1))[0], { outcome: "refused", device: id })
        yield* unblockDevice(id, "admin")
        assert.strictEqual((yield* desk(device.request, anna)).serial, 2)
        yield* revokeDevice(id, "admin")
        yield* Effect.flip(desk(device.request, anna))
        const tags = [
          (yield* Effect.flip(unblockDevice(id, "admin")))._tag,
          (yield* Effect.flip(blockDevice(id, "admin")))._tag,
          (yield* Effect.flip(blockDevice("dev_unknown", "admin")))._tag
        ]
        assert.deepStrictEqual(tags, ["AlreadyRevoked", "AlreadyRevoked", "NoSuchClient"])
        assert.strictEqual(Option.getOrThrow(yield* clients.find(id)).state, "revoked")
      })
    )
  )

  it.live("needs an organisation", () =>
    atDoor(() =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(
          desk((yield* newDevice).request, { login: "drifter", password: PASSWORD })
        )
        assert.deepInclude(failure, { _tag: "CentralRefused", code: "no-organisation" })
      })
    )
  )

  it.live("takes a credential instead of a password, until it is revoked", () =>
    atDoor(() =>
      Effect.gen(function* () {
        const clients = yield* Clients
        const { key, secret } = yield* generateCredential([MINE, OTHER], "Importer", "admin")
        const kept = Option.getOrThrow(yield* clients.secretHash(key))
        assert.strictEqual(kept, sha256(secret))
        const certificate = yield* desk((yield* newDevice).request, { key, secret })
        assert.deepStrictEqual(certificate.organisations, [MINE, OTHER])
        const wrong = yield* Effect.flip(desk((yield* newDevice).request, { key, secret: "x" }))
        assert.deepInclude(wrong, { code: "wrong-proof" })
        yield* revokeCredential(key, "admin")
        const revoked = yield* Effect.flip(desk((yield* newDevice).request, { key, secret }))
        assert.deepStrictEqual(revoked, wrong)
      })
    )
  )
})

describe("limits", () => {
  it.live("slow down one client, and not its neighbour", () =>
    Effect.gen(function* () {
      const door = yield* Door
      yield* DoorSupport.addCredential("cred_calm", "s", [MINE])
      const hasty = tokenForm({ client_id: "cred_hasty", client_secret: "guess" })
      const answers = yield* Effect.forEach([1, 2, 3, 4], () => door.knock(hasty))
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [401, 401, 401, 429]
      )
      assert.strictEqual(answers[3]?.json?.code, "too-many-requests")
      assert.match(String(answers[3]?.headers["retry-after"]), /^\d+$/u)
      const calm = yield* door.knock(tokenForm({ client_id: "cred_calm", client_secret: "s" }))
      assert.strictEqual(calm.status, 200)
    }).pipe(
      Effect.provide(
        DoorSupport.layer(layerFilled, {
          limits: {
            token: { tries: 3, windowMillis: 60_000 },
            enrolment: { tries: 3, windowMillis: 60_000 },
            address: { tries: 100, windowMillis: 60_000 }
          }
        })
      )
    )
  )
})

describe("a standard OAuth client", () => {
  const server = (baseUrl: string): oauth.AuthorizationServer => ({
    issuer: ISSUER,
    token_endpoint: `${baseUrl}/oauth/token`
  })

  it.live("obtains a token with client_secret_basic, and uses it", () =>
    atDoor(() =>
      Effect.gen(function* () {
        const { key, secret } = yield* generateCredential([OTHER], "=&/% name", "admin")
        yield* useAsClient(key, oauth.ClientSecretBasic(secret))
        yield* useAsClient(key, oauth.ClientSecretPost(secret))
      })
    )
  )

  it.live("obtains a token with private_key_jwt, and uses it", () =>
    atDoor(() =>
      Effect.gen(function* () {
        const device = yield* DoorSupport.addDevice("dev_standard", [OTHER])
        const pkcs8 = device.auth.export({ type: "pkcs8", format: "der" })
        const key = yield* Effect.promise(() =>
          webcrypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"])
        )
        yield* useAsClient(device.id, oauth.PrivateKeyJwt(key))
      })
    )
  )

  it.live("understands what a refusal says", () =>
    atDoor(() =>
      Effect.gen(function* () {
        const door = yield* Door
        const failure = yield* Effect.promise(() =>
          obtain(server(door.baseUrl), "cred_nobody", oauth.ClientSecretPost("x")).then(
            () => undefined,
            (error: unknown) => error
          )
        )
        assert.instanceOf(failure, oauth.WWWAuthenticateChallengeError)
      })
    )
  )

  const useAsClient = Effect.fnUntraced(function* (id: string, proof: oauth.ClientAuth) {
    const door = yield* Door
    const { access_token } = yield* Effect.promise(() => obtain(server(door.baseUrl), id, proof))
    const url = new URL(`${door.baseUrl}/api/v1/feeds/${encodeURIComponent(OTHER)}`)
    const response = yield* Effect.promise(() =>
      oauth.protectedResourceRequest(access_token, "GET", url, undefined, undefined, {
        [oauth.customFetch]: fetchUnchecked
      })
    )
    const page: unknown = yield* Effect.promise(() => response.json())
    assert.propertyVal(page, "organisation", OTHER)
  })

  const obtain = async (as: oauth.AuthorizationServer, id: string, proof: oauth.ClientAuth) => {
    const client = { client_id: id }
    const response = await oauth.clientCredentialsGrantRequest(
      as,
      client,
      proof,
      new URLSearchParams(),
      {
        [oauth.customFetch]: fetchUnchecked
      }
    )
    return oauth.processClientCredentialsResponse(as, client, response)
  }
})

/** The fetch of the library, over a connection that does not look at the certificate. */
const fetchUnchecked = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: unknown }
) =>
  new Promise<Response>((resolve, reject) => {
    const { method, headers } = init
    const message = secure(url, { method, headers, rejectUnauthorized: false }, (response) => {
      const parts: Array<Buffer> = []
      response.on("data", (part) => parts.push(part))
      response.on("end", () => {
        const got = Object.entries(response.headers).map(([name, value]) => [name, String(value)])
        const { statusCode: status = 0 } = response
        resolve(new Response(Buffer.concat(parts), { status, headers: Object.fromEntries(got) }))
      })
    })
    message.on("error", reject)
    message.end(init.body === undefined ? undefined : String(init.body))
  })

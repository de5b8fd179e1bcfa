/** Opens central's door on a free port with a certificate of its own, and knocks on it by hand. */
import { generateKeyPairSync, type KeyObject } from "node:crypto"
import type { IncomingHttpHeaders } from "node:http"
import { Agent, request as secure } from "node:https"
import { Context, Effect, Layer, Logger, Option } from "effect"
import { HttpServer } from "effect/http"
import { SignJWT } from "jose"
import { type Client, Clients } from "../../application/ports.ts"
import type { Refused } from "../../application/refused.ts"
import { Tokens } from "../../application/token-ports.ts"
import type { OrganisationId } from "../../domain/id.ts"
import * as CentralServer from "../../entrypoints/central-server.ts"
import type { CentralPorts } from "../../entrypoints/wiring.ts"
import { certPem, keyPem } from "./certificate.ts"
import { sha256 } from "./offers.ts"
import { ISSUER } from "./real-central.ts"

export class Door extends Context.Service<
  Door,
  {
    readonly port: number
    readonly baseUrl: string
    readonly knock: (knock: Knock) => Effect.Effect<Answer>
  }
>()("test/Door") {}

export interface Knock {
  readonly method?: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string | Uint8Array
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly bytes: Buffer
  /** The answer's JSON, if it is any; unchecked, since its form is what is tested. */
  readonly json: Body | undefined
}

/** What tests look for in answers. */
export interface Body {
  readonly [member: string]: unknown
  readonly code?: string
  readonly error?: string
  readonly changes?: ReadonlyArray<{ readonly id: string }>
  readonly buckets?: ReadonlyArray<unknown>
  readonly paths?: Readonly<Record<string, unknown>>
}

/** The server over the given ports, which stay visible to the test. */
export const layer = (
  ports: Layer.Layer<CentralPorts, Refused>,
  options: Partial<CentralServer.CentralServerOptions> & {
    readonly loggers?: ReadonlyArray<Logger.Logger<unknown, unknown>>
  } = {}
) =>
  Layer.effect(
    Door,
    Effect.gen(function* () {
      const { address } = yield* HttpServer.HttpServer
      const port = "port" in address ? address.port : 0
      return Door.of({ port, baseUrl: `https://127.0.0.1:${port}`, knock: (it) => knock(port, it) })
    })
  ).pipe(
    Layer.provide(
      CentralServer.layer({ host: "127.0.0.1", port: 0, tls: { certPem, keyPem }, ...options })
    ),
    Layer.provideMerge(ports),
    Layer.provide(Logger.layer(options.loggers ?? []))
  )

const agent = new Agent({ rejectUnauthorized: false, keepAlive: true })

export const knock = (port: number, { method, path, headers, body }: Knock) =>
  Effect.callback<Answer>((resume) => {
    const message = secure(
      { agent, host: "127.0.0.1", port, path, method: method ?? "GET", headers: headers ?? {} },
      (response) => {
        const parts: Array<Buffer> = []
        response.on("data", (part) => parts.push(part))
        response.on("end", () => {
          const bytes = Buffer.concat(parts)
          const text = bytes.toString("utf8")
          const isJson = /json/u.test(response.headers["content-type"] ?? "")
          const json: Body | undefined = isJson ? JSON.parse(text) : undefined
          const { statusCode: status = 0, headers } = response
          resume(Effect.succeed({ status, headers, text, bytes, json }))
        })
      }
    )
    message.on("error", (error) => resume(Effect.die(error)))
    message.end(body)
  })

export interface TestDevice {
  readonly id: string
  readonly auth: KeyObject
}

/** A key that no central knows. */
export const someKey = generateKeyPairSync("ed25519").privateKey

/** A device that central knows, and whose key the test holds. */
export const addDevice = Effect.fnUntraced(function* (
  id: string,
  organisations: ReadonlyArray<OrganisationId>
) {
  const clients = yield* Clients
  const { publicKey, privateKey } = generateKeyPairSync("ed25519")
  const auth = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url")
  yield* clients.put({
    ...someone(id, organisations),
    kind: "device",
    keys: { sig: `sig of ${id}`, auth: auth.toString("base64"), enc: "age1test" }
  })
  return { id, auth: privateKey }
})

/** A credential with this secret. */
export const addCredential = Effect.fnUntraced(function* (
  id: string,
  secret: string,
  organisations: ReadonlyArray<OrganisationId>
) {
  const clients = yield* Clients
  yield* clients.put(someone(id, organisations), sha256(secret))
})

const someone = (id: string, organisations: ReadonlyArray<OrganisationId>): Client => ({
  id,
  kind: "credential",
  name: `name of ${id}`,
  organisations,
  state: "active",
  createdAt: 0,
  lastSeenAt: null,
  program: null,
  keys: null,
  serial: 1
})

export const setState = Effect.fnUntraced(function* (id: string, state: Client["state"]) {
  const clients = yield* Clients
  yield* clients.put({ ...Option.getOrThrow(yield* clients.find(id)), state })
})

/** A bearer header for a client, made without the token endpoint. */
export const bearer = Effect.fnUntraced(function* (client: string) {
  const tokens = yield* Tokens
  const { token } = yield* tokens.issue(client, Date.now())
  return { authorization: `Bearer ${token}` }
})

/** An assertion as a device makes it; tests change what they like. */
export const assertion = (
  device: TestDevice,
  changes: Record<string, unknown> = {},
  header: { alg: string } = { alg: "EdDSA" },
  key: KeyObject | Uint8Array = device.auth
) => {
  const iat = Math.floor(Date.now() / 1_000)
  const jti = crypto.randomUUID()
  const claims = { iss: device.id, sub: device.id, aud: ISSUER, jti, iat, exp: iat + 60 }
  return Effect.promise(() =>
    new SignJWT({ ...claims, ...changes }).setProtectedHeader(header).sign(key)
  )
}

export const tokenForm = (fields: Record<string, string>): Knock => ({
  method: "POST",
  path: "/oauth/token",
  headers: { "content-type": "application/x-www-form-urlencoded" },
  body: new URLSearchParams({ grant_type: "client_credentials", ...fields }).toString()
})

export const assertionForm = (jwt: string): Knock =>
  tokenForm({
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: jwt
  })

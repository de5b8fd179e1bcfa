/** Reaches central as a device does, and puts trouble into the line between them. */
import { createServer, type RequestListener } from "node:http"
import { type AddressInfo, connect, createServer as createTcp, type Socket } from "node:net"
import { Effect, Option, Schedule } from "effect"
import { SignJWT } from "jose"
import * as HttpCentral from "../../infrastructure/http-central.ts"
import type { CachedToken, TokenCache } from "../../infrastructure/http-token.ts"
import { fingerprint } from "./certificate.ts"
import type { TestDevice } from "./door.ts"
import { ISSUER } from "./real-central.ts"

/** Six tries without the waiting. */
export const SOON = Schedule.spaced("5 millis").pipe(Schedule.upTo({ times: 5 }))

/** A token cache that tests can look into. */
export const memoryCache = (kept?: CachedToken): TokenCache & { kept: CachedToken | undefined } => {
  const cache = {
    kept,
    get: Effect.sync((): Option.Option<CachedToken> => Option.fromUndefinedOr(cache.kept)),
    set: (token: CachedToken): Effect.Effect<void> =>
      Effect.sync(() => {
        cache.kept = token
      })
  }
  return cache
}

/** The device's adapter; tests change what they like. */
export const reach = (
  baseUrl: string,
  device: TestDevice,
  changes: Partial<HttpCentral.HttpCentralOptions> = {}
) =>
  HttpCentral.layer({
    baseUrl,
    trust: { fingerprint },
    issuer: ISSUER,
    client: device.id,
    cache: memoryCache(),
    retry: SOON,
    signAssertion: (claims) =>
      Effect.promise(() =>
        new SignJWT({ ...claims }).setProtectedHeader({ alg: "EdDSA" }).sign(device.auth)
      ),
    ...changes
  })

/** A server that answers as the test likes, in plain HTTP. */
export const rudeServer = Effect.fnUntraced(function* (answer: RequestListener) {
  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer(answer)
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
  return `http://127.0.0.1:${portOf(server.address())}`
})

/** A line to a port that counts bytes, and breaks after so many from the far end, so many times. */
export const badLine = Effect.fnUntraced(function* (
  port: number,
  breaks: { after: number; times: number } = { after: Infinity, times: 0 }
) {
  const seen = { sent: 0, received: 0, connections: 0, broken: 0 }
  const sockets = new Set<Socket>()
  const carry = (near: Socket) => {
    const far = connect(port, "127.0.0.1")
    seen.connections += 1
    let passed = 0
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => {
        near.destroy()
        far.destroy()
      })
    }
    near.on("data", (bytes) => {
      seen.sent += bytes.byteLength
      far.write(bytes)
    })
    far.on("data", (bytes) => {
      seen.received += bytes.byteLength
      passed += bytes.byteLength
      near.write(bytes)
      if (passed > breaks.after && seen.broken < breaks.times) {
        seen.broken += 1
        near.destroy()
      }
    })
  }
  const line = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createTcp>>((resume) => {
      const line = createTcp(carry)
      line.listen(0, "127.0.0.1", () => resume(Effect.succeed(line)))
    }),
    (line) =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        line.close()
      })
  )
  return { baseUrl: `https://127.0.0.1:${portOf(line.address())}`, seen }
})

const portOf = (address: string | AddressInfo | null): number =>
  address !== null && typeof address === "object" ? address.port : 0

/** A device as it is wired, enrolled at a test's door and speaking to it over HTTPS. */
import { join } from "node:path"
import { Context, Effect, Layer } from "effect"
import { enrol } from "../../application/enrol.ts"
import type { CentralDocuments } from "../../application/ports.ts"
import { type Central, DeviceIdentity as Identity } from "../../application/ports.ts"
import type { DevicePorts } from "../../entrypoints/wiring.ts"
import * as DeviceIdentity from "../../infrastructure/device-identity.ts"
import { openKeys } from "../../infrastructure/file-keys.ts"
import * as HttpCentral from "../../infrastructure/http-central.ts"
import { fingerprint } from "./certificate.ts"
import { freshFolder } from "./database.ts"
import { Door } from "./door.ts"
import { memoryCache, SOON } from "./reach.ts"
import { ISSUER } from "./real-central.ts"
import { PASSWORD } from "./two-schools.ts"
import { device } from "./wired.ts"

/** Enrols a new device by a sync manager's login, and runs effects on it. */
export const onlineDevice = Effect.fnUntraced(function* (login: string) {
  const { baseUrl } = yield* Door
  const directory = join(yield* freshFolder(), "device")
  const line = { baseUrl, trust: { fingerprint } }
  // Central's ports are about: without this, adapters of both sides would be the same ones.
  const ports = yield* Layer.build(Layer.fresh(device(directory, "node")))
  const keys = yield* Effect.orDie(openKeys(join(directory, "keys")))
  const membership = yield* enrol("Room 7", { login, password: PASSWORD }).pipe(
    Effect.provide(HttpCentral.layerDesk(line)),
    Effect.provideContext(ports)
  )
  const central = yield* Layer.build(
    HttpCentral.layer({
      ...line,
      issuer: ISSUER,
      client: membership.device,
      cache: memoryCache(),
      retry: SOON,
      signAssertion: (claims) => DeviceIdentity.signAssertion(keys, claims)
    })
  )
  const context = Context.merge(ports, central)
  return {
    id: membership.device,
    run: <A, E>(effect: Effect.Effect<A, E, DevicePorts | Central | CentralDocuments>) =>
      Effect.provideContext(effect, context),
    membership: Effect.provideContext(
      Effect.flatMap(Identity, (own) =>
        Effect.flatten(Effect.map(own.membership, Effect.fromOption))
      ),
      context
    )
  }
})

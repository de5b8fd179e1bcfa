/** The port Central, when a bundle speaks for central: the same promises as over HTTPS. */
import { tmpdir } from "node:os"
import path from "node:path"
import { Effect, Layer, Result, Stream } from "effect"
import { BundleReader, Standing } from "../application/bundle-ports.ts"
import { certificateOf } from "../application/certify.ts"
import { openIndex } from "../application/check-bundle.ts"
import { collectParts, demandWhole } from "../application/collect-parts.ts"
import { exportToDevice } from "../application/export-bundle.ts"
import {
  Atomic,
  Authority,
  Blobs,
  Central,
  type Client,
  Clients,
  DeviceIdentity,
  Feeds,
  Hashing
} from "../application/ports.ts"
import { readOutwardIndex } from "../domain/bundle-index.ts"
import { filesOf, readManifest } from "../domain/bundle-manifest.ts"
import { DeviceId } from "../domain/id.ts"
import { type CentralData, centralContract } from "./contract/central.ts"
import { carry, openLine } from "./support/carrier.ts"
import { CUT } from "./support/courier.ts"
import { sha256 } from "./support/offers.ts"
import {
  type CentralSite,
  type DeviceSite,
  openCentral,
  openDevice,
  scratch
} from "./support/site.ts"
import { mediumOf, newStick, withStick } from "./support/stick.ts"

const DEVICE = DeviceId.make("dev_contract")

centralContract(
  "in a bundle",
  (data) =>
    Layer.effect(
      Central,
      Effect.gen(function* () {
        const root = yield* scratch(tmpdir())
        const central = yield* openCentral(path.join(root, "central"))
        const device = yield* openDevice(path.join(root, "device"), carry(central, openLine()))
        yield* central.run(offerAll(data))
        yield* enrol(central, device, data)
        const stick = newStick()
        yield* central.run(exportToDevice(DEVICE, CUT).pipe(withStick(stick)))
        return yield* device.run(reading(stick))
      })
    ).pipe(Layer.orDie),
  "bundle"
)

/** One by one, as life does it: the later of two offers of a key is a change. */
const offerAll = Effect.fnUntraced(function* (data: CentralData) {
  const atomic = yield* Atomic
  const blobs = yield* Blobs
  const feeds = yield* Feeds
  const half = data.offers.length - 2
  for (const offers of [data.offers.slice(0, half), data.offers.slice(half)]) {
    yield* atomic.run(feeds.append(data.organisation, offers))
  }
  yield* atomic.run(feeds.append(data.otherOrganisation, data.otherOffers))
  for (const bytes of data.contents) {
    yield* blobs.write(sha256(bytes), bytes.length, Stream.make(bytes), () => Effect.void)
  }
})

/** Without a sync manager, who would be offered too. */
const enrol = Effect.fnUntraced(function* (
  central: CentralSite,
  device: DeviceSite,
  { organisation }: CentralData
) {
  const identity = yield* device.run(DeviceIdentity)
  const { text } = yield* identity.request("device", 0)
  const { auth, enc, sig }: { auth: string; enc: string; sig: string } = JSON.parse(text)
  const client: Client = {
    id: DEVICE,
    kind: "device",
    name: "device",
    organisations: [organisation],
    state: "active",
    createdAt: 0,
    lastSeenAt: null,
    program: null,
    keys: { sig, auth, enc },
    serial: 1
  }
  const enrolment = yield* central.run(
    Effect.gen(function* () {
      const authority = yield* Authority
      const clients = yield* Clients
      const standing = yield* Standing
      yield* clients.put(client)
      const certificate = yield* authority.certify(yield* certificateOf(client))
      return { certificate, roots: yield* standing.chain }
    })
  )
  yield* identity.accept(enrolment)
})

const reading = Effect.fnUntraced(function* (stick: ReturnType<typeof newStick>) {
  const medium = mediumOf(stick)
  const reader = yield* BundleReader
  const hashing = yield* Hashing
  const [found] = yield* medium.find("stick")
  const opened = yield* medium.open(found!)
  const manifest = Result.getOrThrow(readManifest(opened.manifest.text))
  const bundle = hashing.sha256(opened.manifest.text)
  const collecting = { bundle, manifest, opened, volumes: new Set(found!.volumes.keys()) }
  yield* demandWhole(yield* collectParts(collecting, filesOf(manifest)))
  const index = yield* openIndex({ digest: bundle, manifest }, readOutwardIndex)
  return yield* reader.open(bundle, index)
})

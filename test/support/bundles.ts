/** Gives tests whole bundles: cut, measured and signed as ours are, with their parts in memory. */
import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto"
import { Effect, Layer, Result, Stream } from "effect"
import { type PartSource, Signatures, Stick, type Trust } from "../../application/bundle-ports.ts"
import {
  BUNDLE_MILLIS,
  type BundleManifest,
  manifestText,
  type Part,
  SEGMENT_BYTES_MIN,
  streamOf
} from "../../domain/bundle-manifest.ts"
import type { Purpose, Signed } from "../../domain/enrolment.ts"
import { DeviceId } from "../../domain/id.ts"
import { cut, rootsBytes } from "../../domain/volumes.ts"
import { keyId, rawPublicKey, sign, verify } from "../../infrastructure/sshsig.ts"
import { sha256 } from "./volumes.ts"

export const DEVICE = DeviceId.make("dev_7f3k9q")
export const CENTRAL = generateKeyPairSync("ed25519").privateKey
const NAMESPACE: Partial<Record<Purpose, string>> = {
  c2d: "testferry-c2d-v1",
  d2c: "testferry-d2c-v1"
}
const NOW = Date.UTC(2026, 10, 21)

export interface MadeBundle {
  readonly manifest: BundleManifest
  readonly signed: Signed
  readonly roots: ReadonlyArray<Signed>
  readonly parts: ReadonlyArray<PartSource>
  readonly contents: ReadonlyMap<string, Buffer>
}

/** A bundle of these files, the first of them its index; volumes and segments are small. */
export const bundle = (
  options: {
    readonly sizes?: ReadonlyArray<number>
    /** In place of files of random bytes. */
    readonly files?: ReadonlyArray<Buffer>
    readonly volume?: number
    readonly seq?: number
    readonly direction?: "c2d" | "d2c"
    readonly roots?: ReadonlyArray<Signed>
    readonly signer?: KeyObject
  } = {}
): MadeBundle => {
  const { direction = "c2d", roots = [], seq = 42, signer = CENTRAL, volume = 90_000 } = options
  const segment = SEGMENT_BYTES_MIN
  const sizes = options.sizes ?? [700, 9_000, 100_000]
  const files = (options.files ?? sizes.map((size) => randomBytes(size))).map((bytes, at) => ({
    name: `p/${String(at).padStart(6, "0")}.age`,
    role: at === 0 ? ("index" as const) : at === 1 ? ("records" as const) : ("blob" as const),
    size: bytes.length,
    bytes
  }))
  const placed = Result.getOrThrow(cut(files, { volume, segment, extra: rootsBytes(roots) }))
  const contents = new Map<string, Buffer>()
  const parts = placed.map(({ file, offset, ...place }): PartSource => {
    const whole = files.find(({ name }) => name === file)?.bytes ?? Buffer.of()
    const bytes = whole.subarray(offset, offset + place.size)
    contents.set(place.name, bytes)
    const { name, role, size } = place
    const part: Part = {
      name,
      role,
      volume: place.volume,
      size,
      sha256: sha256(bytes),
      segments: slices(bytes, segment).map(sha256)
    }
    return { part, bytes: Stream.fromIterable(slices(bytes, 10_000)) }
  })
  const stream = streamOf(direction, DEVICE)
  const [from, to] =
    direction === "c2d" ? (["central", DEVICE] as const) : ([DEVICE, "central"] as const)
  const manifest: BundleManifest = {
    schema: "testferry/manifest/1",
    bundle: "019ac0de-7d3a-7b11-9c55-2f6f3f0a9d01",
    stream,
    epoch: 1,
    seq,
    prev: null,
    mode: "full",
    base: 0,
    from,
    to,
    createdAt: NOW,
    expires: NOW + BUNDLE_MILLIS,
    root: 1,
    revocations: 0,
    ack: null,
    ledger: null,
    segment,
    volumes: placed.at(-1)?.volume ?? 1,
    parts: parts.map(({ part }) => part)
  }
  const text = manifestText(manifest)
  const signed = { text, signatures: [signAs(signer, direction, text)] }
  return { manifest, signed, roots, parts, contents }
}

export const signAs = (signer: KeyObject, purpose: Purpose, text: string): string =>
  sign(signer, NAMESPACE[purpose] ?? purpose, Buffer.from(text))

const slices = (bytes: Buffer, length: number): ReadonlyArray<Buffer> =>
  Array.from({ length: Math.ceil(bytes.length / length) }, (_, at) =>
    bytes.subarray(at * length, (at + 1) * length)
  )

/** Writes a bundle with the real writer. */
export const put = Effect.fnUntraced(function* (to: string, made: MadeBundle) {
  const stick = yield* Stick
  return yield* stick.write({ to, ...made, onBytes: () => Effect.void })
})

export const trustIn = (signer: KeyObject): Trust => {
  const raw = rawPublicKey(signer)
  return { keys: new Map([[keyId(raw), Buffer.from(raw).toString("base64")]]), threshold: 1 }
}

/** Checks signatures with the real cryptography. */
export const layerSignatures = Layer.succeed(Signatures, {
  check: (purpose, { signatures, text }, { keys }) => {
    const trusted = new Map(
      [...keys].map(([id, raw]) => [id, new Uint8Array(Buffer.from(raw, "base64"))] as const)
    )
    const namespace = NAMESPACE[purpose] ?? purpose
    const [armored = ""] = signatures
    return verify({ trusted, namespace, bytes: Buffer.from(text), armored }).pipe(
      Result.map((id) => [id]),
      Result.mapError(({ reason }) => ({ code: reason, detail: "" }))
    )
  },
  keyId: (raw) => keyId(new Uint8Array(Buffer.from(raw, "base64")))
})

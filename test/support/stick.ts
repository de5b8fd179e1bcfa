/**
 * A stick in memory: carries bundles as their signed manifest and the bytes of their parts by volume,
 * so that tests can lose a volume, flip a byte or let a read fail. The form of volumes is tested
 * with the real ones.
 */
import { Effect, Stream } from "effect"
import {
  BundleRefused,
  type FoundBundle,
  MediaFailed,
  Medium,
  type OpenBundle,
  Stick
} from "../../application/bundle-ports.ts"
import type { BundleManifest } from "../../domain/bundle-manifest.ts"
import type { Signed } from "../../domain/enrolment.ts"

export interface CarriedBundle {
  readonly stream: BundleManifest["stream"]
  readonly seq: number
  of: number
  signed: Signed
  roots: ReadonlyArray<Signed>
  /** Parts by volume and name. */
  readonly volumes: Map<number, Map<string, Uint8Array>>
}

export interface MemoryStick {
  bundles: Array<CarriedBundle>
  readonly notes: Map<string, Signed>
  /** Said to be free. */
  free: number
  /** Reads that fail: told the part, the offset and how often it was asked for. */
  readFails: (part: string, offset: number, tries: number) => boolean
  /** Reads so far, by part and offset. */
  readonly reads: Map<string, number>
  writable: boolean
}

export const newStick = (): MemoryStick => ({
  bundles: [],
  notes: new Map(),
  free: 1e12,
  readFails: () => false,
  reads: new Map(),
  writable: true
})

/** Another stick with the same on it. */
export const copyOf = (stick: MemoryStick): MemoryStick => ({
  ...newStick(),
  notes: new Map(stick.notes),
  bundles: stick.bundles.map((one) => ({
    ...one,
    volumes: new Map([...one.volumes].map(([at, parts]) => [at, new Map(parts)]))
  }))
})

/** Runs a verb with this stick in the slot. */
export const withStick =
  (stick: MemoryStick) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.provideService(Medium, mediumOf(stick)),
      Effect.provideService(Stick, writer(stick))
    )

export const mediumOf = (stick: MemoryStick): Medium["Service"] => ({
  find: (from) =>
    Effect.suspend(() => {
      const found = stick.bundles.map(
        ({ of, seq, stream, volumes }): FoundBundle => ({
          stream,
          seq,
          of,
          volumes: new Map([...volumes.keys()].map((at) => [at, `${stream}/${seq}/${at}`])),
          left: 0
        })
      )
      const none = { code: "E_NOT_FOUND" as const, detail: from, damages: [], missing: [] }
      return found.length === 0 ? Effect.fail(new BundleRefused(none)) : Effect.succeed(found)
    }),
  open: (found) =>
    Effect.sync(() => {
      const bundle = stick.bundles.find(
        (one) => one.stream === found.stream && one.seq === found.seq
      )
      if (bundle === undefined) throw new Error("the stick is gone")
      const parts = new Map([...bundle.volumes.values()].flatMap((one) => [...one]))
      const opened: OpenBundle = {
        manifest: bundle.signed,
        roots: bundle.roots,
        sizes: new Map([...parts].map(([name, bytes]) => [name, bytes.length])),
        read: (part, offset, length) =>
          Effect.suspend(() => {
            const key = `${part} ${offset}`
            const tries = (stick.reads.get(key) ?? 0) + 1
            stick.reads.set(key, tries)
            return stick.readFails(part, offset, tries)
              ? Effect.fail(new MediaFailed({ path: part, detail: "EIO" }))
              : Effect.succeed(parts.get(part)!.subarray(offset, offset + length))
          })
      }
      return opened
    }),
  notes: (_, folder) =>
    Effect.sync(() =>
      [...stick.notes]
        .filter(([path]) => path.startsWith(`${folder}/`))
        .map(([path, note]) => ({ path, note }))
    ),
  putNote: (_, path, note) =>
    stick.writable
      ? Effect.sync(() => {
          stick.notes.set(path, note)
        })
      : Effect.fail(new MediaFailed({ path, detail: "EROFS" }))
})

const writer = (stick: MemoryStick): Stick["Service"] => ({
  free: (to) =>
    stick.writable
      ? Effect.succeed(stick.free)
      : Effect.fail(new MediaFailed({ path: to, detail: "EROFS" })),
  write: ({ manifest, onBytes, parts, roots, signed }) =>
    Effect.gen(function* () {
      const volumes = new Map<number, Map<string, Uint8Array>>()
      let written = 0
      for (const { bytes, part } of parts) {
        const whole = Buffer.concat(yield* Stream.runCollect(bytes))
        const volume = volumes.get(part.volume) ?? new Map()
        volumes.set(part.volume, volume.set(part.name, new Uint8Array(whole)))
        written += whole.length
        yield* onBytes(2 * whole.length)
      }
      const { seq, stream, volumes: of } = manifest
      stick.bundles = [
        ...stick.bundles.filter((one) => one.stream !== stream || one.seq >= seq),
        { stream, seq, of, signed, roots, volumes }
      ]
      return {
        paths: [...volumes.keys()].map((at) => `${stream}/${seq}/${at}`),
        bytes: written,
        readBack: "medium" as const
      }
    })
})

/** Refuses each wrong bundle by its own code, with nothing changed but one entry of the history. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { Incoming, Streams } from "../application/bundle-ports.ts"
import { exportToDevice } from "../application/export-bundle.ts"
import { type ImportOptions, importBundle } from "../application/import-bundle.ts"
import { Clients } from "../application/ports.ts"
import { LINE_CHARACTERS_MAX } from "../domain/bundle-index.ts"
import { BUNDLE_MILLIS } from "../domain/bundle-manifest.ts"
import type { BundleCode } from "../domain/bundle-refusal.ts"
import type { Json } from "../domain/canonical.ts"
import { DeviceId, Digest } from "../domain/id.ts"
import { CUT, cutFor, GIVEN, give, history, idOf, roundTrip, sendHome } from "./support/courier.ts"
import {
  everything,
  withFields,
  withIndex,
  withLines,
  withManifest,
  withSealed
} from "./support/forge.ts"
import { type MemoryStick, newStick, withStick } from "./support/stick.ts"
import * as Town from "./support/town.ts"

type Export = ReturnType<typeof exportToDevice>

/** Gives the device a bundle, and demands that it is refused so and leaves no other trace. */
const refused = Effect.fnUntraced(function* (
  town: Town.Town,
  stick: MemoryStick,
  code: BundleCode,
  detail: RegExp = /./u,
  options: Partial<ImportOptions> = {}
) {
  const before = yield* everything(town.device)
  const entries = yield* town.on(history(1_000))
  const failure = yield* Effect.flip(give(town, stick, options))
  assert.deepInclude(failure, { _tag: "BundleRefused", code })
  if (failure._tag === "BundleRefused") assert.match(failure.detail, detail)
  assert.deepStrictEqual(yield* everything(town.device), before)
  const after = yield* town.on(history(1_000))
  assert.deepStrictEqual(after.slice(1), entries)
  assert.deepInclude(after[0], { verb: "import", outcome: "refused" })
  assert.match(after[0]!.reason, new RegExp(code, "u"))
  assert.lengthOf([...stick.notes.keys()], 0)
})

/** A full bundle for the town's device, with something changed on the way. */
const forged = (town: Town.Town, change: (effect: Export) => Export) =>
  Effect.gen(function* () {
    const stick = newStick()
    const effect = exportToDevice(idOf(town), { ...CUT, full: true })
    yield* town.office(change(effect).pipe(withStick(stick)))
    return stick
  })

const firstFeed = (index: Readonly<Record<string, Json>>, change: object) => {
  const [feed, ...others] = index.feeds as ReadonlyArray<object>
  return { ...index, feeds: [{ ...feed, ...change }, ...others] as Json }
}

/** By what is changed. All are full bundles, so that nothing but the change is wrong with them. */
const FORGED: ReadonlyArray<
  readonly [what: string, change: (effect: Export) => Export, code: BundleCode, detail?: RegExp]
> = [
  [
    "one space in the manifest",
    (e) => e.pipe(withManifest((t) => t.replace(",", ", "))),
    "E_MANIFEST_CANONICAL"
  ],
  [
    "a key twice",
    (e) => e.pipe(withManifest((t) => t.replace("{", '{"ack":null,'))),
    "E_MANIFEST_CANONICAL"
  ],
  ["an unknown field", (e) => e.pipe(withFields((m) => ({ ...m, more: 1 }))), "E_MANIFEST_SCHEMA"],
  [
    "a part of no size",
    (e) => e.pipe(withFields((m) => ({ ...m, parts: [] }))),
    "E_MANIFEST_SCHEMA"
  ],
  [
    "a newer format",
    (e) => e.pipe(withFields((m) => ({ ...m, schema: "testferry/manifest/2" }))),
    "E_SCHEMA_UNSUPPORTED"
  ],
  [
    "a signature for the other direction",
    (e) => e.pipe(withManifest((t) => t, "revocations")),
    "E_SIG_NAMESPACE"
  ],
  [
    "another number than its name",
    (e) => e.pipe(withFields((m) => ({ ...m, seq: 77 }))),
    "E_VOL_NAME"
  ],
  ["an epoch of the future", (e) => e.pipe(withFields((m) => ({ ...m, epoch: 2 }))), "E_EPOCH"],
  [
    "a base that is not here",
    (e) => e.pipe(withFields((m) => ({ ...m, mode: "delta", base: Number(m.seq) - 1 }))),
    "E_GAP"
  ],
  [
    "a moment long ago",
    (e) => e.pipe(withFields((m) => ({ ...m, createdAt: 1, expires: 2 }))),
    "E_EXPIRED"
  ],
  [
    "another bundle's index",
    (e) => e.pipe(withIndex((i) => ({ ...i, bundle: "0".repeat(36) }))),
    "E_INDEX_MISMATCH"
  ],
  [
    "an index that names a file too few",
    (e) => e.pipe(withIndex((i) => ({ ...i, blobs: [] }))),
    "E_INDEX_MISMATCH"
  ],
  [
    "an index with another size",
    (e) =>
      e.pipe(
        withIndex((i) => ({
          ...i,
          blobs: (i.blobs as ReadonlyArray<object>).map((b) => ({ ...b, size: 1 })) as Json
        }))
      ),
    "E_INDEX_MISMATCH"
  ],
  [
    "a content under another name",
    (e) =>
      e.pipe(
        withIndex((i) => ({
          ...i,
          blobs: (i.blobs as ReadonlyArray<object>).map((b) => ({
            ...b,
            blob: "a".repeat(64)
          })) as Json
        }))
      ),
    "E_BLOB_DIGEST"
  ],
  [
    "changes that begin too late",
    (e) => e.pipe(withIndex((i) => firstFeed(i, { base: 3 }))),
    "E_GAP",
    /0123/u
  ],
  [
    "fewer bytes than said",
    (e) =>
      e.pipe(
        withLines(
          (l) => [l],
          ({ plainSize }) => ({ plainSize: plainSize + 1 })
        )
      ),
    "E_RECORD_DIGEST"
  ],
  [
    "more bytes than said",
    (e) =>
      e.pipe(
        withLines(
          (l) => [l],
          ({ plainSize }) => ({ plainSize: plainSize - 1 })
        )
      ),
    "E_PLAIN_LIMIT"
  ],
  [
    "another count",
    (e) =>
      e.pipe(
        withLines(
          (l) => [l],
          ({ count }) => ({ count: count + 1 })
        )
      ),
    "E_RECORD_COUNT"
  ],
  [
    "a smaller count",
    (e) =>
      e.pipe(
        withLines(
          (l) => [l],
          ({ count }) => ({ count: count - 1 })
        )
      ),
    "E_RECORD_COUNT"
  ],
  [
    "other lines than said",
    (e) =>
      e.pipe(
        withLines(
          (l) => [l],
          () => ({ plainSha256: Digest.make("b".repeat(64)) })
        )
      ),
    "E_RECORD_DIGEST"
  ],
  [
    "a line that is no change",
    (e) => e.pipe(withLines((l, at) => (at === 3 ? ['{"a":1}'] : [l]))),
    "E_RECORD_SCHEMA",
    /line 4/u
  ],
  [
    "a line with a space",
    (e) => e.pipe(withLines((l, at) => (at === 1 ? [` ${l}`] : [l]))),
    "E_RECORD_SCHEMA",
    /line 2/u
  ],
  [
    "a line twice",
    (e) => e.pipe(withLines((l, at) => (at === 2 ? [l, l] : [l]))),
    "E_RECORD_SCHEMA",
    /line 4/u
  ],
  [
    "a line without end",
    (e) => e.pipe(withLines((l, at) => (at === 0 ? ["x".repeat(LINE_CHARACTERS_MAX + 1)] : [l]))),
    "E_RECORD_LIMIT",
    /line 1/u
  ],
  [
    "its last change missing",
    (e) => e.pipe(withIndex((i) => firstFeed(i, { head: 1_000 }))),
    "E_RECORD_SCHEMA"
  ],
  ["a sealed file that was altered", (e) => e.pipe(withSealed(3_000)), "E_AGE_AUTH"]
]

describe("a device refuses a bundle", () => {
  it.live("with anything that central would never write, by a code of its own", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      for (const [what, change, code, detail] of FORGED) {
        yield* refused(town, yield* forged(town, change), code, detail).pipe(
          Effect.catchDefect((defect) => Effect.die(new Error(`with ${what}: ${defect}`)))
        )
      }
      assert.isTrue((yield* give(town, yield* forged(town, (effect) => effect))).applied)
    })
  )

  it.live("that is for somebody else, for central, or that is not there", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const { line } = yield* Town.anotherDevice(town.root, town.central, "other", "mia")
      const stick = newStick()
      yield* refused(town, stick, "E_NOT_FOUND")
      yield* sendHome(town, stick)
      yield* refused(town, stick, "E_WRONG_STREAM")
      const other = DeviceId.make(line.client)
      yield* town.office(exportToDevice(other, CUT).pipe(withStick(stick)))
      yield* refused(town, stick, "E_WRONG_DEVICE", new RegExp(other, "u"))
      // Somebody renames the other's bundle.
      const [mine] = (yield* forged(town, (effect) => effect)).bundles
      const theirs = stick.bundles.find((one) => one.stream.startsWith("c2d"))!
      stick.bundles = [{ ...theirs, stream: mine!.stream }]
      yield* refused(town, stick, "E_VOL_NAME")
    })
  )

  it.live("that nobody signed, or somebody who may not", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const stick = yield* forged(town, (effect) => effect)
      const [bundle] = stick.bundles
      const { signatures, text } = bundle!.signed
      const [mine] = signatures
      bundle!.signed = { text, signatures: [] }
      yield* refused(town, stick, "E_SIG_MISSING")
      bundle!.signed = { text, signatures: ["no signature"] }
      yield* refused(town, stick, "E_SIG_FORMAT")
      bundle!.signed = { text: text.replace('"seq":1', '"seq":2'), signatures }
      yield* refused(town, stick, "E_SIG_BAD")
      const home = newStick()
      yield* sendHome(town, home)
      bundle!.signed = { text, signatures: home.bundles[0]!.signed.signatures }
      yield* refused(town, stick, "E_SIG_NAMESPACE")
      bundle!.signed = { text, signatures: ["no signature", mine!] }
      assert.isTrue((yield* give(town, stick)).applied)
    })
  )

  it.live("that is sealed to another", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* Town.anotherDevice(town.root, town.central, "other", "mia")
      const clients = yield* town.office(Clients)
      const devices = yield* town.office(clients.list("device"))
      const own = devices.find(({ id }) => id === idOf(town))!
      const other = devices.find(({ id }) => id !== own.id)!
      yield* town.office(clients.put({ ...own, keys: { ...own.keys!, enc: other.keys!.enc } }))
      yield* refused(town, yield* forged(town, (effect) => effect), "E_AGE_NO_MATCH")
    })
  )

  it.live("that forks from what it has, jumps far ahead, or follows another", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      yield* roundTrip(town)
      const asked = (change: Parameters<typeof withFields>[0]) => (effect: Export) =>
        effect.pipe(withFields(change))
      const renumbered = Effect.fnUntraced(function* (seq: number, prev: string | null) {
        const stick = yield* forged(
          town,
          asked((m) => ({ ...m, seq, prev }))
        )
        stick.bundles = stick.bundles.map((one) => ({ ...one, seq }))
        return stick
      })
      yield* refused(town, yield* renumbered(1, null), "E_STREAM_FORK", /another bundle 1/u)
      yield* refused(
        town,
        yield* renumbered(2, "c".repeat(64)),
        "E_STREAM_FORK",
        /follows another/u
      )
      yield* refused(town, yield* renumbered(1_002, "c".repeat(64)), "E_SEQ_JUMP")
    })
  )

  it.live("that is too old, whatever the clock says, until a person takes it upon them", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const now = yield* Clock.currentTimeMillis
      const old = { createdAt: now - 2 * BUNDLE_MILLIS, expires: now - BUNDLE_MILLIS }
      const stick = yield* forged(town, (e) => e.pipe(withFields((m) => ({ ...m, ...old }))))
      yield* refused(town, stick, "E_EXPIRED")
      // A clock that was set back does not make it young: newer moments were signed since.
      yield* town.on(Effect.flatMap(Streams, ({ raiseFloor }) => raiseFloor(now + BUNDLE_MILLIS)))
      const young = { createdAt: now - 2, expires: now + 1_000_000 }
      const fresh = yield* forged(town, (e) => e.pipe(withFields((m) => ({ ...m, ...young }))))
      yield* refused(town, fresh, "E_EXPIRED")
      const given = yield* give(town, stick, { expiredAllowed: true })
      assert.deepInclude(given, { applied: true, clockBehind: true })
    })
  )

  it.live("that does not fit the disk, before a byte of it is copied", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const stick = yield* forged(town, (effect) => effect)
      const incoming = yield* town.on(Incoming)
      const failure = yield* importBundle("stick", GIVEN).pipe(
        withStick(stick),
        Effect.provideService(Incoming, { ...incoming, free: Effect.succeed(100) }),
        town.on,
        Effect.flip
      )
      assert.deepInclude(failure, { _tag: "BundleRefused", code: "E_NO_SPACE" })
      assert.strictEqual(stick.reads.size, 0)
    })
  )

  it.live("for a device that is blocked or unknown, already at central", () =>
    Effect.gen(function* () {
      const town = yield* Town.town
      const stick = newStick()
      const unknown = town.office(
        exportToDevice(DeviceId.make("dev_nobody"), CUT).pipe(withStick(stick))
      )
      assert.deepInclude(yield* Effect.flip(unknown), { code: "E_UNKNOWN_DEVICE" })
      const clients = yield* town.office(Clients)
      const [client] = yield* town.office(clients.list("device"))
      yield* town.office(clients.put({ ...client!, state: "blocked" }))
      assert.deepInclude(yield* Effect.flip(cutFor(town, stick)), { code: "E_REVOKED" })
      assert.lengthOf(stick.bundles, 0)
      const [entry] = yield* town.office(history(1))
      assert.deepInclude(entry, { verb: "export", outcome: "refused", device: client!.id })
    })
  )
})

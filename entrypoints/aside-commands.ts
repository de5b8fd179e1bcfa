/** What a person can do about bundles that central put aside: look at them, and let their records in. */
import { Effect, Schema } from "effect"
import { BundleRefused } from "../application/bundle-ports.ts"
import { Refused } from "../application/refused.ts"
import { asideBundles, type NotAside, releaseBundle } from "../application/release-bundle.ts"
import { BundleCode } from "../domain/bundle-refusal.ts"
import { DeviceId, Digest, Text } from "../domain/id.ts"
import { fromBundle } from "./bundle-refusals.ts"
import { defineCommand, Positive } from "./command.ts"

const AsideReport = Schema.Struct({
  device: Schema.String,
  /** Null where the kept manifest can't be read any more. */
  seq: Schema.NullOr(Schema.Int),
  id: Digest,
  at: Schema.Int,
  code: BundleCode,
  why: Schema.String,
  todo: Schema.String,
  released: Schema.NullOr(Schema.Struct({ at: Schema.Int, reason: Schema.String }))
})

export const bundleQuarantine = defineCommand({
  name: "bundle quarantine",
  side: "central",
  args: Schema.Struct({ limit: Positive }),
  report: Schema.Struct({ bundles: Schema.Array(AsideReport), more: Schema.Boolean }),
  run: Effect.fn("bundleQuarantine")(function* ({ limit }) {
    const all = yield* asideBundles
    const bundles = all
      .slice(-limit)
      .map(({ at, code, detail, device, manifest, released, seq }) => {
        const refused = new BundleRefused({ code, detail, damages: [], missing: [] })
        const { why } = fromBundle("", refused)
        const todo =
          released === null ? todoOf(code, device, seq) : "It was released; nothing is to be done."
        return { device, seq, id: manifest, at, code, why, todo, released }
      })
    return { bundles, more: all.length > limit }
  })
})

/** Long enough to say who decided and on what ground; as for revocations. */
export const RELEASE_REASON_MAX = 200

export const bundleRelease = defineCommand({
  name: "bundle release",
  side: "central",
  args: Schema.Struct({
    device: DeviceId,
    bundle: Schema.Union([Positive, Digest]),
    reason: Text(RELEASE_REASON_MAX),
    dryRun: Schema.Boolean
  }),
  report: Schema.Struct({
    device: DeviceId,
    seq: Schema.Int,
    id: Digest,
    code: BundleCode,
    dryRun: Schema.Boolean,
    carried: Schema.Struct({
      records: Schema.Int,
      results: Schema.Int,
      putAside: Schema.Int,
      refused: Schema.Int
    })
  }),
  run: (args) =>
    releaseBundle({ ...args, who: "operator" }).pipe(
      Effect.map(({ aside, carried, seq }) => ({
        device: args.device,
        seq,
        id: aside.manifest,
        code: aside.code,
        dryRun: args.dryRun,
        carried
      })),
      Effect.mapError((error) =>
        error._tag === "NotAside" ? fromNotAside(args.device, error) : fromKept(args.device, error)
      )
    )
})

const NOT_RELEASED = "Nothing was released."

const fromNotAside = (device: DeviceId, { found }: NotAside): Refused =>
  found.length === 0
    ? new Refused({
        code: "E_NOT_ASIDE",
        what: NOT_RELEASED,
        why: `No such bundle of ${device} is put aside.`,
        todo: 'See "testferry bundle quarantine": it shows the number and the id of each.'
      })
    : new Refused({
        code: "E_SEVERAL_ASIDE",
        what: NOT_RELEASED,
        why: `${found.length} bundles of ${device} have this number: ${found.join(", ")}.`,
        todo: "Give the id in place of the number, one after the other."
      })

/** What stands in the way of a bundle that lies at central already: no stick is to be taken again. */
const fromKept = (device: DeviceId, error: BundleRefused): Refused => {
  const { code, what, why } = fromBundle(NOT_RELEASED, error)
  const todo = LOST.has(code)
    ? 'The copy at central is damaged. Restore the folder "blobs" from a backup, and run this again.'
    : todoOf(error.code, device, null)
  return new Refused({ code, what, why, todo })
}

const LOST: ReadonlySet<string> = new Set(["E_PART_MISSING", "E_PART_DIGEST", "E_MEDIA_IO"])

/** Codes of bundles that are whole and truly of their device: a person may let their records in. */
const RELEASABLE: ReadonlySet<BundleCode> = new Set<BundleCode>([
  "E_REVOKED",
  "E_EPOCH",
  "E_ROLLBACK",
  "E_STREAM_FORK",
  "E_SEQ_JUMP",
  "E_GAP"
])

const todoOf = (code: BundleCode, device: string, seq: number | null): string => {
  if (RELEASABLE.has(code)) {
    return (
      "Ask the school who had the machine. If its results are to count: " +
      `testferry bundle release ${device} ${seq ?? "ID"} --reason TEXT`
    )
  }
  if (code === "E_UNKNOWN_DEVICE") {
    return "Central has no key to check it with. It can be released where a backup knows the device."
  }
  if (code === "E_NO_SPACE") return "Free some space at central, then run this again."
  return "It can't be believed and is not released. Ask the school for a new bundle of that machine."
}

export const asideCommands = [bundleQuarantine, bundleRelease] as const

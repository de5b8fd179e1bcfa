/** Commands that look at bundles and change nothing: verify needs no secret, inspect uses what there is. */
import { Effect, Option, Result, Schema } from "effect"
import { Damage, type FoundBundle, type Signatures, Standing } from "../application/bundle-ports.ts"
import { trustIn, trustInDevice } from "../application/bundle-trust.ts"
import { type InspectedBundle, inspectBundles } from "../application/inspect-bundle.ts"
import { Clients } from "../application/ports.ts"
import { Refused } from "../application/refused.ts"
import { type VerifiedBundle, verifyBundles } from "../application/verify-bundle.ts"
import { OrganisationId } from "../domain/id.ts"
import * as BundleSignatures from "../infrastructure/bundle-signatures.ts"
import * as CryptoPorts from "../infrastructure/crypto-ports.ts"
import {
  bundleExport,
  bundleImport,
  bundleReceive,
  bundleSend,
  layerStick
} from "./bundle-commands.ts"
import { fromBundle } from "./bundle-refusals.ts"
import { defineCommand, ItemsLeft } from "./command.ts"

export const VerifyReport = Schema.Struct({
  bundles: Schema.Array(
    Schema.Struct({
      stream: Schema.String,
      seq: Schema.Int,
      volumes: Schema.Int,
      bytes: Schema.Int,
      signature: Schema.Literals(["good", "not checked", "bad"]),
      damages: Schema.Array(Damage),
      missing: Schema.Array(Schema.Int),
      refused: Schema.NullOr(Refused)
    })
  ),
  exit: ItemsLeft
})
export type VerifyReport = typeof VerifyReport.Type

const verifyArgs = Schema.Struct({ from: Schema.String })

const verifyReportOf = (verified: ReadonlyArray<VerifiedBundle>): VerifyReport => {
  const bundles = verified.map(({ bytes, damages, found, missing, refused, signature }) => ({
    stream: found.stream,
    seq: found.seq,
    volumes: found.of,
    bytes,
    signature,
    damages,
    missing,
    refused: refused === null ? null : fromBundle("The bundle is not sound.", refused)
  }))
  const isBad = ({ damages, missing, refused, signature }: (typeof bundles)[number]) =>
    damages.length > 0 || missing.length > 0 || refused !== null || signature === "bad"
  return { bundles, ...(bundles.some(isBad) ? { exit: 3 as const } : {}) }
}

const NOT_CHECKED = "Nothing was checked."

/** On a computer that is neither central nor a device: digests only, nobody is trusted. */
export const verifyAnywhere = (from: string) =>
  verifyBundles(from, () => Effect.succeed(undefined)).pipe(
    Effect.map(verifyReportOf),
    Effect.mapError((error) => fromBundle(NOT_CHECKED, error)),
    Effect.provide([layerStick, BundleSignatures.layer, CryptoPorts.layerHashing])
  )

export const encodeVerify = (report: VerifyReport) =>
  Effect.orDie(Schema.encodeEffect(Schema.toCodecJson(VerifyReport))(report))

const trustInCentral = Effect.gen(function* () {
  const standing = yield* Standing
  const { list } = yield* standing.revocations
  return trustIn((yield* standing.root).document, "c2d", list)
})

/** A device knows whom central's bundles must be signed by; who signs for others it can't know. */
export const bundleVerifyAtDevice = defineCommand({
  name: "bundle.verify",
  side: "device",
  args: verifyArgs,
  report: VerifyReport,
  run: ({ from }) =>
    Effect.gen(function* () {
      const standing = yield* Standing
      const context = yield* Effect.context<Standing>()
      const { root } = yield* standing.versions
      const trustOf = ({ stream }: FoundBundle) =>
        root > 0 && stream.startsWith("c2d.")
          ? Effect.provideContext(trustInCentral, context)
          : Effect.succeed(undefined)
      return yield* verifyBundles(from, trustOf)
    }).pipe(
      Effect.map(verifyReportOf),
      Effect.mapError((error) => fromBundle(NOT_CHECKED, error)),
      Effect.provide(layerStick)
    )
})

export const bundleVerifyAtCentral = defineCommand({
  name: "bundle.verify",
  side: "central",
  args: verifyArgs,
  report: VerifyReport,
  run: ({ from }) =>
    Effect.gen(function* () {
      const clients = yield* Clients
      const context = yield* Effect.context<Standing | Signatures>()
      const trustOf = Effect.fnUntraced(function* ({ stream }: FoundBundle) {
        if (stream.startsWith("c2d.")) return yield* trustInCentral
        const client = yield* clients.find(stream.slice(4))
        return Option.isSome(client) ? yield* trustInDevice(client.value) : undefined
      }, Effect.provideContext(context))
      return yield* verifyBundles(from, trustOf)
    }).pipe(
      Effect.map(verifyReportOf),
      Effect.mapError((error) => fromBundle(NOT_CHECKED, error)),
      Effect.provide(layerStick)
    )
})

export const InspectReport = Schema.Struct({
  bundles: Schema.Array(
    Schema.Struct({
      stream: Schema.String,
      seq: Schema.Int,
      refused: Schema.NullOr(Refused),
      seen: Schema.NullOr(
        Schema.Struct({
          mode: Schema.String,
          base: Schema.Int,
          createdAt: Schema.Int,
          expires: Schema.Int,
          volumes: Schema.Int,
          parts: Schema.Int,
          bytes: Schema.Int,
          acknowledges: Schema.NullOr(Schema.Int)
        })
      ),
      inside: Schema.NullOr(
        Schema.Struct({
          organisations: Schema.Array(
            Schema.Struct({
              organisation: OrganisationId,
              from: Schema.Int,
              to: Schema.Int,
              lines: Schema.Int
            })
          ),
          contents: Schema.Int,
          held: Schema.Int
        })
      )
    })
  )
})
export type InspectReport = typeof InspectReport.Type

const inspectReportOf = (inspected: ReadonlyArray<InspectedBundle>): InspectReport => ({
  bundles: inspected.map(({ found, inside, seen }) => ({
    stream: found.stream,
    seq: found.seq,
    refused: Result.isSuccess(seen) ? null : fromBundle("The bundle can't be read.", seen.failure),
    seen: Result.isSuccess(seen) ? seenOf(seen.success) : null,
    inside: Option.getOrNull(Option.map(inside, insideOf))
  }))
})

const seenOf = ({ ack, base, createdAt, expires, mode, parts, volumes }: SeenManifest) => ({
  mode,
  base,
  createdAt,
  expires,
  volumes,
  parts: parts.length,
  bytes: parts.reduce((sum, { size }) => sum + size, 0),
  acknowledges: ack?.seq ?? null
})
type SeenManifest = Result.Result.Success<InspectedBundle["seen"]>

const insideOf = (index: Option.Option.Value<InspectedBundle["inside"]>) =>
  "report" in index
    ? {
        organisations: index.report.cursors.map(({ organisation, version }) => ({
          organisation,
          from: 0,
          to: version,
          lines: 0
        })),
        contents: 0,
        held: index.report.blobs.length
      }
    : {
        organisations: index.feeds.map(({ base, head, lines, organisation }) => ({
          organisation,
          from: base,
          to: head,
          lines: lines?.count ?? 0
        })),
        contents: index.blobs.length,
        held: index.have.length
      }

const inspect = (from: string) =>
  inspectBundles(from).pipe(
    Effect.map(inspectReportOf),
    Effect.mapError((error) => fromBundle("Nothing was read.", error)),
    Effect.provide(layerStick)
  )

export const inspectAnywhere = inspect

export const encodeInspect = (report: InspectReport) =>
  Effect.orDie(Schema.encodeEffect(Schema.toCodecJson(InspectReport))(report))

export const bundleInspectAtDevice = defineCommand({
  name: "bundle.inspect",
  side: "device",
  args: verifyArgs,
  report: InspectReport,
  run: ({ from }) => inspect(from)
})

export const bundleInspectAtCentral = defineCommand({
  name: "bundle.inspect",
  side: "central",
  args: verifyArgs,
  report: InspectReport,
  run: ({ from }) => inspect(from)
})

export const bundleCommandsOfDevice = [
  bundleSend,
  bundleImport,
  bundleVerifyAtDevice,
  bundleInspectAtDevice
] as const

export const bundleCommandsOfCentral = [
  bundleExport,
  bundleReceive,
  bundleVerifyAtCentral,
  bundleInspectAtCentral
] as const

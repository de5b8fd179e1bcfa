/**
 * The command tree for bundles on sticks. The same words work on both sides: what they do follows
 * from whose data directory it is.
 */
import path from "node:path"
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Refused } from "../application/refused.ts"
import { DeviceId, OrganisationId } from "../domain/id.ts"
import { atCentral } from "./at-central.ts"
import { answerAtDevice } from "./at-device.ts"
import type { InspectReport, VerifyReport } from "./bundle-checks.ts"
import type { ExportsReport, HomeReport, ImportReport, ReceiveReport } from "./bundle-commands.ts"
import { damageText } from "./bundle-refusals.ts"
import { quarantineTree, releaseTree } from "./cli-bundle-aside.ts"
import { answer, shared } from "./cli-run.ts"
import { sideOf } from "./settings.ts"
import { showSync } from "./show.ts"
import { table } from "./terminal.ts"
import { byteSize, count } from "./terminal-units.ts"

const load = Effect.promise(() => import("./bundle-commands.ts"))
const loadChecks = Effect.promise(() => import("./bundle-checks.ts"))

const from = Argument.Path("from").pipe(
  Argument.withDescription("The stick, a folder on it, or one volume")
)
const dryRun = Flag.Boolean("dry-run").pipe(
  Flag.withDefault(false),
  Flag.withDescription("Show what would happen, and change nothing")
)

const exportTree = Command.make(
  "export",
  {
    to: Flag.Directory("to").pipe(Flag.withDescription("The stick, or a folder")),
    device: Flag.String("device").pipe(
      Flag.withSchema(DeviceId),
      Flag.optional,
      Flag.withDescription("At central: for which device")
    ),
    organisation: Flag.String("organisation").pipe(
      Flag.withSchema(OrganisationId),
      Flag.optional,
      Flag.withDescription("At central: for every device of an organisation")
    ),
    full: Flag.Boolean("full").pipe(
      Flag.withDefault(false),
      Flag.withDescription("At central: everything, whatever the device is known to hold")
    ),
    maxVolume: Flag.Int("max-volume").pipe(
      Flag.optional,
      Flag.withDescription("Bytes of a volume at most (default 2000000000)")
    ),
    dryRun
  },
  Effect.fnUntraced(function* ({ device, dryRun, full, maxVolume, organisation, to }) {
    const { data } = yield* shared
    const place = { to: path.resolve(to), volumeBytes: Option.getOrNull(maxVolume), dryRun }
    if (sideOf(data) === "device") {
      const { bundleSend } = yield* load
      return yield* answerAtDevice(() => bundleSend, place, showHome)
    }
    const { bundleExport } = yield* load
    const args = {
      ...place,
      device: Option.getOrNull(device),
      organisation: Option.getOrNull(organisation),
      full
    }
    yield* answer({
      run: atCentral(bundleExport, args),
      encode: bundleExport.encodeReport,
      show: showExports
    })
  })
).pipe(
  Command.withDescription(
    "Write a signed, encrypted bundle: at central for a device, on a device for central"
  )
)

const showExports = ({ bundles, dryRun, refused }: ExportsReport): string =>
  [
    ...bundles.map((bundle) =>
      [
        showWritten(
          `${bundle.mode === "full" ? "Full bundle" : "Bundle"} ${bundle.seq} for ${bundle.device}`,
          bundle
        ),
        ...bundle.organisations.map(
          (one) =>
            `  ${one.organisation}: ${count(one.changes)} changes, version ${one.from} to ${one.to}`
        ),
        `  ${count(bundle.contents.brought)} test contents (${byteSize(bundle.contents.bytes)}), ` +
          `${count(bundle.contents.held)} are there already`
      ].join("\n")
    ),
    ...refused.map(
      (one) => `${one.device}: ${one.refused.what} ${one.refused.why} ${one.refused.todo}`
    ),
    ...(dryRun ? ["Nothing was written: this was a dry run."] : [])
  ].join("\n")

const showHome = (report: HomeReport): string => {
  const written = showWritten(`Bundle ${report.seq} to central`, report)
  if (report.records === 0) return written
  const what = `${count(report.results)} results (${count(report.records)} records)`
  return report.written === null
    ? `${written}\n${what} would be on the stick.`
    : `${written}\n${what} on the stick; keep this machine's data until the receipt comes.`
}

interface Writing {
  readonly volumes: number
  readonly bytes: number
  readonly written: { readonly bytes: number; readonly readBack: "medium" | "cache" } | null
}

const showWritten = (what: string, { bytes, volumes, written }: Writing): string => {
  if (written === null) return `${what}: ${byteSize(bytes)} in ${volumes} volumes would be written.`
  const line = `${what}: ${byteSize(written.bytes)} in ${volumes} ${volumes === 1 ? "volume" : "volumes"}`
  return written.readBack === "medium"
    ? `${line}, written and read back. Safe to remove.`
    : `${line}, written. This stick can't be read back past the memory of the system: take it out, ` +
        'put it in again, and run "testferry bundle verify".'
}

const importTree = Command.make(
  "import",
  {
    from,
    dryRun,
    confirmRemovals: Flag.Boolean("confirm-removals").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Allow more than a tenth of what is here to be removed")
    ),
    allowExpired: Flag.Boolean("allow-expired").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Take a bundle that is older than it may be; the office will see it")
    )
  },
  Effect.fnUntraced(function* ({ allowExpired, confirmRemovals, dryRun, from }) {
    const { data } = yield* shared
    const place = path.resolve(from)
    const { bundleImport, bundleReceive } = yield* load
    if (sideOf(data) === "device") {
      const args = { from: place, dryRun, confirmRemovals, expiredAllowed: allowExpired }
      return yield* answerAtDevice(() => bundleImport, args, showImport)
    }
    if (dryRun) return yield* noRehearsal
    yield* answer({
      run: atCentral(bundleReceive, { from: place }),
      encode: bundleReceive.encodeReport,
      show: showReceived
    })
  })
).pipe(
  Command.withDescription(
    "Take in what a stick brings: on a device from central, at central from devices"
  )
)

const noRehearsal = new Refused({
  code: "E_USAGE",
  what: "Nothing was received.",
  why: "Central takes in whatever a device sends, so that there is nothing to rehearse.",
  todo: 'Look at the stick with "testferry bundle verify" or "bundle inspect".',
  exit: 2
})

const showImport = (report: ImportReport): string =>
  [
    ...(report.clockBehind
      ? ["The clock of this machine is behind: central has signed later than it shows. Set it."]
      : []),
    ...showReceipts(report.receipts),
    ...(report.already ? [`Bundle ${report.seq} was imported before; nothing changed.`] : []),
    ...(report.sync === null ? [] : [showSync(report.sync)]),
    ...report.ahead.map((one) => `${one}: this machine is already further than the bundle.`),
    ...(report.applied && !report.already ? [`Bundle ${report.seq} is imported.`] : []),
    ...showLeft("", report.left),
    ...(report.receiptWritten
      ? ["A receipt for the office lies on the stick."]
      : report.applied
        ? ["No receipt could be written onto the stick; the next bundle home will tell."]
        : [])
  ].join("\n")

const showReceipts = (receipts: ImportReport["receipts"]): ReadonlyArray<string> => [
  ...(receipts.heard === 0
    ? []
    : [
        `${count(receipts.heard)} receipts: central has ${count(receipts.results)} more results ` +
          `(${count(receipts.acknowledged)} records) of this machine.`
      ]),
  ...receipts.trouble.map(({ id, reason }) => `  ${id}: ${reason}`),
  ...receipts.ignored.map((reason) => `A receipt does not count: ${reason}.`)
]

const showReceived = ({ bundles, receipts }: ReceiveReport): string =>
  [
    ...(bundles.length === 0
      ? []
      : [
          table(
            ["DEVICE", "BUNDLE", "STATUS", "RESULTS", "RECEIPT"],
            bundles.map(({ carried, device, receiptWritten, seq, status }) => [
              device,
              seq,
              status,
              carried.results,
              receiptWritten ? "on the stick" : "not written"
            ])
          )
        ]),
    ...bundles.flatMap(({ refused }) =>
      refused === null ? [] : [`${refused.why} ${refused.todo}`]
    ),
    ...bundles.flatMap(({ carried, device }) => showPutAside(device, carried)),
    ...(bundles.some(({ status }) => status === "quarantined")
      ? ['Bundles were put aside whole. See "testferry bundle quarantine".']
      : []),
    ...new Set(bundles.flatMap(({ device, left }) => showLeft(`${device}: `, left))),
    `${count(receipts)} receipts told something new.`
  ].join("\n")

/** A stick that nobody cleans. */
const showLeft = (whose: string, left: number): ReadonlyArray<string> =>
  left === 0
    ? []
    : [
        `${whose}${count(left)} older bundles were not looked at. Remove old bundles from the stick.`
      ]

const showPutAside = (
  device: string,
  { putAside, refused }: ReceiveReport["bundles"][number]["carried"]
): ReadonlyArray<string> => [
  ...(putAside > 0
    ? [`${device}: ${count(putAside)} records were put aside. See "testferry results list".`]
    : []),
  ...(refused > 0
    ? [
        `${device}: ${count(refused)} records were damaged before they were written; it sends them again.`
      ]
    : [])
]

const verifyTree = Command.make(
  "verify",
  { from },
  Effect.fnUntraced(function* ({ from }) {
    const { data } = yield* shared
    const args = { from: path.resolve(from) }
    const checks = yield* loadChecks
    const side = sideOf(data)
    if (side === "device") {
      return yield* answerAtDevice(() => checks.bundleVerifyAtDevice, args, showVerified)
    }
    const run =
      side === "central"
        ? atCentral(checks.bundleVerifyAtCentral, args)
        : checks.verifyAnywhere(args.from)
    yield* answer({ run, encode: checks.encodeVerify, show: showVerified })
  })
).pipe(
  Command.withDescription(
    "Check every byte of a stick; needs no secret, and names all damage at once"
  )
)

const SIGNATURES: Readonly<Record<VerifyReport["bundles"][number]["signature"], string>> = {
  good: "good",
  bad: "BAD",
  "not checked": "not checked (this machine trusts nobody for it)"
}

const showVerified = ({ bundles }: VerifyReport): string =>
  bundles
    .map(({ bytes, damages, missing, refused, seq, signature, stream, volumes }) =>
      [
        `${stream}, bundle ${seq}: ${byteSize(bytes)} read of ${volumes} volumes, signature ${SIGNATURES[signature]}`,
        ...damages.map((damage) => `  ${damageText(damage)}`),
        ...(missing.length === 0 ? [] : [`  volume ${missing.join(", ")} is not on this stick`]),
        ...(refused === null ? [] : [`  ${refused.why} ${refused.todo}`]),
        damages.length + missing.length === 0 && refused === null ? "  sound" : "  NOT sound"
      ].join("\n")
    )
    .join("\n")

const inspectTree = Command.make(
  "inspect",
  { from },
  Effect.fnUntraced(function* ({ from }) {
    const { data } = yield* shared
    const args = { from: path.resolve(from) }
    const checks = yield* loadChecks
    const side = sideOf(data)
    if (side === "device") {
      return yield* answerAtDevice(() => checks.bundleInspectAtDevice, args, showInspected)
    }
    const run =
      side === "central"
        ? atCentral(checks.bundleInspectAtCentral, args)
        : checks.inspectAnywhere(args.from)
    yield* answer({ run, encode: checks.encodeInspect, show: showInspected })
  })
).pipe(
  Command.withDescription(
    "Show what a finder of the stick sees and, where the key is here, what is inside"
  )
)

const showInspected = ({ bundles }: InspectReport): string =>
  bundles
    .map(({ inside, refused, seen, seq, stream }) =>
      [
        `${stream}, bundle ${seq}`,
        ...(refused === null ? [] : [`  ${refused.why} ${refused.todo}`]),
        ...(seen === null
          ? []
          : [
              `  anybody sees: ${seen.mode}, made ${new Date(seen.createdAt).toISOString()}, good until ` +
                `${new Date(seen.expires).toISOString().slice(0, 10)}, ${seen.parts} parts, ${byteSize(seen.bytes)}, ` +
                `${seen.volumes} volumes`
            ]),
        ...(inside === null
          ? ["  inside: sealed, and the key is not here"]
          : [
              ...inside.organisations.map(
                (one) =>
                  `  inside: ${one.organisation}, version ${one.from} to ${one.to}, ${count(one.lines)} changes`
              ),
              `  inside: ${count(inside.contents)} test contents, ${count(inside.held)} that should be there already`
            ])
      ].join("\n")
    )
    .join("\n")

export const bundleTree = Command.make("bundle").pipe(
  Command.withDescription("Carry data on USB sticks to and from machines without a network"),
  Command.withSubcommands([
    exportTree,
    importTree,
    verifyTree,
    inspectTree,
    quarantineTree,
    releaseTree
  ])
)

/**
 * Changes whom everybody trusts: makes the next root document with new keys, a new epoch or other
 * root holders, and puts it into force once enough root keys have signed it (format §3.2, §3.4).
 *
 * Old keys stay where they are: what was sealed to them, or signed by them, is still on its way.
 */
import { Clock, Effect, Option, Result, Schema } from "effect"
import type { BundleCode } from "../domain/bundle-refusal.ts"
import type { Signed } from "../domain/enrolment.ts"
import { revocationsText } from "../domain/revocations.ts"
import {
  inForce,
  ROOT_MILLIS,
  type RootDocument,
  type RootHolders,
  type RootRole,
  readRoot,
  rootText
} from "../domain/root.ts"
import { firstRoots, followRoots } from "./accept-roots.ts"
import { BundleKeys, BundleRefused, Signatures, Standing } from "./bundle-ports.ts"
import { trustIn } from "./bundle-trust.ts"
import { happened } from "./happened.ts"
import { Atomic, Authority } from "./ports.ts"

/** What can be replaced by a new key; root keys are given by their holders instead. */
export const ROTATED = ["c2d", "device-ca", "revocation", "ingest"] as const
export type Rotated = (typeof ROTATED)[number]

export interface RootChange {
  readonly rotate: ReadonlyArray<Rotated>
  /** Begins every stream anew (format §2.6). */
  readonly newEpoch: boolean
  /** Who holds the root keys from now on. */
  readonly holders: RootHolders | undefined
  /** To whom results are sealed from now on; as before when it is not said. */
  readonly results?: RootDocument["results"]
}

/** No root is in force at central: its holders have not signed the first one, or it has expired. */
export class NoRootInForce extends Schema.TaggedError<NoRootInForce>()("NoRootInForce", {
  reason: Schema.Literals(["unsigned", "expired"])
}) {}

/** The root keys on this disk are not enough: their holders must sign this text. */
export class RootHoldersNeeded extends Schema.TaggedError<RootHoldersNeeded>()(
  "RootHoldersNeeded",
  { version: Schema.Int, text: Schema.String, detail: Schema.String }
) {}

/** The document names keys that central does not have: it could not speak to anybody any more. */
export class RootNotOurs extends Schema.TaggedError<RootNotOurs>()("RootNotOurs", {
  detail: Schema.String
}) {}

/** The root that central speaks by. Fails with NoRootInForce. */
export const rootInForce = Effect.gen(function* () {
  const standing = yield* Standing
  const { root } = yield* standing.versions
  if (root === 0) return yield* new NoRootInForce({ reason: "unsigned" })
  const { document } = yield* standing.root
  const now = yield* Clock.currentTimeMillis
  return Result.isSuccess(inForce(document, now))
    ? document
    : yield* new NoRootInForce({ reason: "expired" })
})

/** Makes the next root document, unsigned. An expired root can be replaced like any other. */
export const proposeRoot = Effect.fn("proposeRoot")(function* (change: RootChange) {
  const authority = yield* Authority
  const standing = yield* Standing
  if ((yield* standing.versions).root === 0) {
    return yield* new NoRootInForce({ reason: "unsigned" })
  }
  const { document: current } = yield* standing.root
  const version = current.version + 1
  const made = new Map<RootRole, { readonly id: string; readonly raw: string }>()
  for (const name of change.rotate) {
    const role = ROLE[name]
    if (role !== undefined) made.set(role, yield* authority.newKey(role, version))
  }
  const role = (name: RootRole) => {
    const key = made.get(name)
    return key === undefined ? current.roles[name] : { threshold: 1, keys: [key.id] }
  }
  const roles = {
    root:
      change.holders === undefined
        ? current.roles.root
        : {
            threshold: change.holders.threshold,
            keys: change.holders.keys.map(({ id }) => id)
          },
    c2d: role("c2d"),
    deviceCa: role("deviceCa"),
    revocation: role("revocation")
  }
  const known = new Map(Object.entries(current.keys))
  for (const { id, raw } of [...made.values(), ...(change.holders?.keys ?? [])]) known.set(id, raw)
  const used = new Set(Object.values(roles).flatMap(({ keys }) => keys))
  const next: RootDocument = {
    ...current,
    version,
    epoch: current.epoch + (change.newEpoch ? 1 : 0),
    expires: (yield* Clock.currentTimeMillis) + ROOT_MILLIS,
    keys: Object.fromEntries([...known].filter(([id]) => used.has(id))),
    roles,
    results: change.results === undefined ? current.results : change.results,
    ingest: change.rotate.includes("ingest") ? yield* authority.newIngest(version) : current.ingest
  }
  return next
})

const ROLE: Readonly<Record<Rotated, RootRole | undefined>> = {
  c2d: "c2d",
  "device-ca": "deviceCa",
  revocation: "revocation",
  ingest: undefined
}

/**
 * Makes the next root document and puts it into force with the root keys on this disk. Fails with
 * RootHoldersNeeded, and changes nothing, where these are not enough.
 */
export const changeRoot = Effect.fn("changeRoot")(function* (change: RootChange) {
  const text = rootText(yield* proposeRoot(change))
  return yield* adoptRoot({ text, signatures: [] }).pipe(
    Effect.catchTag("BundleRefused", ({ code, detail }) =>
      Effect.fail(
        code === "E_ROOT_SIG"
          ? new RootHoldersNeeded({ version: versionOf(text), text, detail })
          : new BundleRefused({ code, detail, damages: [], missing: [] })
      )
    )
  )
})

/**
 * Puts a signed root document into force; root keys on this disk sign it too. The same one again
 * changes nothing. Fails with BundleRefused (E_ROOT_SIG, E_ROOT_VERSION, E_ROOT_EXPIRED) and with
 * RootNotOurs.
 */
export const adoptRoot = Effect.fn("adoptRoot")(function* (given: Signed) {
  const atomic = yield* Atomic
  const authority = yield* Authority
  const standing = yield* Standing
  const chain = yield* standing.chain
  const held = chain.find(({ text }) => text === given.text)
  const read = readRoot(given.text)
  if (Result.isFailure(read)) return yield* refuse(read.failure.code, read.failure.detail)
  const root = read.success
  if (held !== undefined) return { document: root, changed: false }
  if (root.version <= chain.length) {
    return yield* refuse("E_ROOT_VERSION", `another root ${root.version} is in force already`)
  }
  const missing = yield* authority.lacks(root)
  if (Option.isSome(missing)) return yield* new RootNotOurs({ detail: missing.value })
  const signed = yield* countersigned(given, root)
  const now = yield* Clock.currentTimeMillis
  const { fresh } = yield* (chain.length === 0 ? firstRoots : followRoots)([signed], now)
  yield* atomic.run(
    Effect.gen(function* () {
      yield* standing.putRoots(fresh)
      yield* resignRevocations(root)
      yield* happened({ verb: "root", who: "operator", reason: `root ${root.version} is in force` })
    })
  )
  return { document: root, changed: true }
})

/** Who has not heard the list yet could not believe it, where the key that signed it is gone. */
const resignRevocations = Effect.fnUntraced(function* (root: RootDocument) {
  const keys = yield* BundleKeys
  const signatures = yield* Signatures
  const standing = yield* Standing
  const { list, signed } = yield* standing.revocations
  if (signed === null) return
  const trust = trustIn(root, "revocation", list)
  if (Result.isSuccess(signatures.check("revocations", signed, trust))) return
  const next = revocationsText({ ...list, version: list.version + 1 })
  yield* standing.putRevocations(yield* keys.sign("revocations", next))
})

/** Adds the signatures of root keys on this disk that count: those of the old root and the new. */
const countersigned = Effect.fnUntraced(function* (given: Signed, next: RootDocument) {
  const authority = yield* Authority
  const standing = yield* Standing
  const { root } = yield* standing.versions
  const before = root === 0 ? [] : (yield* standing.root).document.roles.root.keys
  const counting = new Set([...before, ...next.roles.root.keys])
  const own = yield* authority.signRoot(given.text, counting)
  return { text: given.text, signatures: [...given.signatures, ...own.signatures] }
})

const versionOf = (text: string): number =>
  Result.match(readRoot(text), { onSuccess: ({ version }) => version, onFailure: () => 0 })

const refuse = (code: BundleCode, detail: string) =>
  Effect.fail(new BundleRefused({ code, detail, damages: [], missing: [] }))

/**
 * Synchronises with central over a network: the data first, then what central signs beside it. On
 * sticks these documents come along; here they are asked for, when central says that there are
 * newer ones (format §3.2 to §3.4).
 */
import { Clock, Effect, Option, Result } from "effect"
import type { Newest } from "../domain/feed.ts"
import { inForce } from "../domain/root.ts"
import { acceptRevocations } from "./accept-revocations.ts"
import { acceptRoots } from "./accept-roots.ts"
import { type BundleRefused, Standing } from "./bundle-ports.ts"
import { makeReport } from "./make-report.ts"
import { CentralDocuments, type CentralFailure, DeviceIdentity, type Membership } from "./ports.ts"
import type { PullOptions } from "./pull.ts"
import { recheckingAlways } from "./recheck.ts"
import { NotEnrolled, sync } from "./sync.ts"

/** A certificate that ends sooner than this is renewed: a school may be away for a term. */
const RENEW_MILLIS = 90 * 24 * 3_600_000

/** What kept a document from being taken over, or told; what was there before still holds. */
export interface DocumentFailure {
  readonly document: "root" | "revocations" | "certificate" | "report"
  readonly why: CentralFailure | BundleRefused
}

/**
 * Like `sync`, with the documents. Those that fail are reported and tried again next time; the data
 * is pulled all the same, unless this device's root has expired: then central's word no longer
 * counts, and it fails with BundleRefused (E_ROOT_EXPIRED) or with what kept the next root away.
 */
export const syncOnline = Effect.fn("syncOnline")(function* (options: PullOptions) {
  const identity = yield* DeviceIdentity
  const standing = yield* Standing
  if (Option.isNone(yield* identity.membership)) return yield* new NotEnrolled()
  const { document } = yield* standing.root
  if (Result.isFailure(inForce(document, yield* Clock.currentTimeMillis))) yield* fetchRoots
  const synced = yield* sync(options)
  const told = synced.organisations.flatMap(({ pulled }) =>
    Result.isSuccess(pulled) && pulled.success.newest !== undefined ? [pulled.success.newest] : []
  )
  const membership = yield* identity.membership
  if (options.dryRun || Option.isNone(membership)) return { synced, documents: [] }
  const before = yield* standing.versions
  const failures = yield* learn(newestOf(told), membership.value)
  const after = yield* standing.versions
  const isNews = after.root !== before.root || after.revocations !== before.revocations
  // A central that says nothing of such documents does not take reports either.
  const tells =
    told.length > 0 && synced.outcome !== "failed" && (synced.outcome !== "unchanged" || isNews)
  return { synced, documents: [...failures, ...(tells ? yield* tellCentral : [])] }
})

const tellCentral = Effect.gen(function* () {
  const documents = yield* CentralDocuments
  const identity = yield* DeviceIdentity
  // Asked anew: a renewed certificate may say other organisations.
  const membership = Option.getOrThrow(yield* identity.membership)
  const now = yield* makeReport(membership).pipe(recheckingAlways(membership.organisations))
  const said = yield* Effect.result(documents.report(now))
  const failed: ReadonlyArray<DocumentFailure> = Result.isFailure(said)
    ? [{ document: "report", why: said.failure }]
    : []
  return failed
})

const newestOf = (told: ReadonlyArray<Newest>): Newest => ({
  root: Math.max(0, ...told.map(({ root }) => root)),
  revocations: Math.max(0, ...told.map(({ revocations }) => revocations)),
  certificate: Math.max(0, ...told.map(({ certificate }) => certificate))
})

/** Roots first: they say whose word on the others counts. */
const learn = Effect.fnUntraced(function* (newest: Newest, { certificate }: Membership) {
  const standing = yield* Standing
  const known = yield* standing.versions
  const now = yield* Clock.currentTimeMillis
  const ends = certificate.notAfter - now < RENEW_MILLIS
  const failures: Array<DocumentFailure> = []
  const attempt = Effect.fnUntraced(function* <A, R>(
    document: DocumentFailure["document"],
    due: boolean,
    fetch: Effect.Effect<A, DocumentFailure["why"], R>
  ) {
    const fetched = due ? yield* Effect.result(fetch) : undefined
    if (fetched !== undefined && Result.isFailure(fetched))
      failures.push({ document, why: fetched.failure })
  })
  yield* attempt("root", newest.root > known.root, fetchRoots)
  yield* attempt("revocations", newest.revocations > known.revocations, fetchRevocations)
  const asked = newest.certificate > 0 && (ends || newest.certificate > certificate.serial)
  yield* attempt("certificate", asked, fetchCertificate)
  return failures
})

/** Walks on until central has no newer root. Each answer leads on by one, or it is refused. */
const fetchRoots = Effect.gen(function* () {
  const documents = yield* CentralDocuments
  const standing = yield* Standing
  for (;;) {
    const { root } = yield* standing.versions
    const chain = yield* documents.roots(root)
    yield* acceptRoots(chain, yield* Clock.currentTimeMillis)
    if ((yield* standing.versions).root === root) return
  }
})

const fetchRevocations = Effect.gen(function* () {
  const documents = yield* CentralDocuments
  yield* acceptRevocations(yield* documents.revocations)
})

const fetchCertificate = Effect.gen(function* () {
  const documents = yield* CentralDocuments
  const identity = yield* DeviceIdentity
  yield* identity.renew(yield* documents.certificate)
})

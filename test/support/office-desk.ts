/** A central with something to see at its office's page: devices well and not, results here and aside. */
import { Clock, Effect, Layer, Option } from "effect"
import { Devices } from "../../application/bundle-ports.ts"
import { createAccount } from "../../application/create-account.ts"
import { Atomic, Clients, Feeds, History } from "../../application/ports.ts"
import { OpenedResults, Records } from "../../application/record-ports.ts"
import { canonical } from "../../domain/canonical.ts"
import type { DeviceReport } from "../../domain/device-report.ts"
import { NO_COUNTS } from "../../domain/history.ts"
import { Digest, EntityId, OrganisationId } from "../../domain/id.ts"
import { factsOf } from "../../domain/opening.ts"
import { newIdentity } from "../../infrastructure/age-file.ts"
import { freshFolder } from "./database.ts"
import * as Office from "./office.ts"
import * as Real from "./real-central.ts"
import { resultDocument, type TestDevice, testDevice } from "./results.ts"
import { enter, putResult } from "./sealed-records.ts"

export const PASSWORD = "right, and long enough"
const SCHOOL = OrganisationId.make("0123")
export const WELL = testDevice("well")
export const BEHIND = testDevice("behind")
export const SILENT = testDevice("silent")
const DIGEST = Digest.make("d".repeat(64))

const account = (login: string, role: "administrator" | "results-officer") =>
  createAccount({ login, password: PASSWORD, label: `Called ${login}`, mail: null, role })

const known = Effect.fnUntraced(function* (device: TestDevice, name: string) {
  const clients = yield* Clients
  const now = yield* Clock.currentTimeMillis
  yield* enter(device)
  const entered = Option.getOrThrow(yield* clients.find(device.id))
  yield* clients.put({ ...entered, name, organisations: [SCHOOL] })
  return now
})

const report = (device: TestDevice, at: number, more: Partial<DeviceReport>): DeviceReport => ({
  schema: "testferry/report/1",
  device: device.id,
  serial: 1,
  at,
  program: "0.1.0",
  cursors: [],
  blobs: [],
  root: 1,
  revocations: 0,
  disk: { free: 64 * 1024 ** 3, total: 256 * 1024 ** 3 },
  ...more
})

/** Fills an empty central. */
export const fill = Effect.gen(function* () {
  const { blobs: _, ...rest } = yield* catalogue
  const { recipient } = yield* newIdentity("x25519")
  yield* account("root", "administrator")
  yield* account("rosa", "results-officer")
  yield* account("riva", "administrator")
  yield* devices
  const document = (number: number, taker: string) =>
    resultDocument(BEHIND, number, {
      testTaker: EntityId.make(taker),
      delivery: rest.delivery,
      organisation: SCHOOL
    })
  const first = document(0, rest.takers[0] ?? "")
  const sha256 = yield* putResult(BEHIND, first, { number: 0, recipients: [recipient] })
  const text = canonical({ ...first })
  const atomic = yield* Atomic
  const opened = yield* OpenedResults
  yield* atomic.run(
    opened.put([{ device: BEHIND.id, sha256, text, facts: factsOf(first), openedAt: 1_000 }])
  )
  // A result that waits, sealed, and one that central could not accept.
  yield* putResult(BEHIND, document(1, rest.takers[1] ?? ""), {
    number: 1,
    recipients: [recipient]
  })
  yield* aside
  return rest
})

const catalogue = Effect.gen(function* () {
  const feeds = yield* Feeds
  yield* Office.people("sync-manager", [{ login: "mia", organisation: SCHOOL }])
  const logins = ["ada", "bo", "cy"]
  yield* Office.people(
    "test-taker",
    logins.map((login) => ({ login }))
  )
  yield* Office.center(SCHOOL, "Hall")
  yield* Effect.scoped(
    Effect.flatMap(freshFolder(), (folder) => Office.publishText(folder, "maths", "about maths"))
  )
  yield* Office.eligible("Hall", "maths", logins)
  const takers = yield* Effect.forEach(logins, Office.idOfPerson)
  return {
    takers,
    delivery: yield* Office.idOfDelivery("maths"),
    blobs: yield* feeds.blobs([SCHOOL])
  }
})

/** One that has everything, one that has nothing and its disk full, one that never came. */
const devices = Effect.gen(function* () {
  const clients = yield* Clients
  const feeds = yield* Feeds
  const history = yield* History
  const reports = yield* Devices
  const now = yield* known(WELL, "Room 1")
  yield* known(BEHIND, "Room 2")
  yield* known(SILENT, "Room 3")
  const { epoch, head } = yield* feeds.buckets(SCHOOL)
  yield* clients.seen(WELL.id, now, "0.1.0/1")
  yield* reports.putReport(
    report(WELL, now, {
      cursors: [{ organisation: SCHOOL, epoch, version: head }],
      blobs: [...(yield* feeds.blobs([SCHOOL]))]
    })
  )
  yield* reports.putReport(
    report(BEHIND, now, {
      cursors: [{ organisation: SCHOOL, epoch, version: head - 2 }],
      disk: { free: 1_000, total: 256 * 1024 ** 3 },
      own: { ledger: 11, open: 2, alarms: ["disk", "results-key"] }
    })
  )
  const happened = {
    who: "device",
    organisation: null,
    counts: { delivery: NO_COUNTS },
    bytes: 10,
    millis: 5
  }
  yield* history.append({
    ...happened,
    at: now,
    verb: "receive",
    device: BEHIND.id,
    outcome: "done",
    reason: '=1+1, "quoted"'
  })
  yield* history.append({
    ...happened,
    at: now,
    verb: "sync",
    device: WELL.id,
    outcome: "failed",
    reason: "no"
  })
})

const aside = Effect.gen(function* () {
  const atomic = yield* Atomic
  const records = yield* Records
  yield* records.noteLedger(BEHIND.id, { count: 8, head: null })
  const [stored] = yield* Effect.map(records.numbers(BEHIND.id), ({ received }) => received)
  yield* atomic.run(
    records.add(BEHIND.id, [
      {
        carrier: "bundle",
        at: 7,
        stage: "quarantined",
        reason: "E_RECORD_SCOPE",
        session: null,
        altered: false,
        record: {
          ledger: {
            prev: null,
            id: "ex_aside",
            revision: 1,
            kind: "result",
            number: (stored ?? 0) + 4,
            sha256: DIGEST
          },
          body: "what came"
        }
      }
    ])
  )
})

export const layerDesk = Layer.effectDiscard(fill).pipe(Layer.provideMerge(Real.layerEmbedded))

/** A central with people at its office, two organisations and nothing else. */
export const layerClerks = Layer.effectDiscard(
  Effect.gen(function* () {
    yield* account("root", "administrator")
    yield* account("riva", "administrator")
    yield* account("rosa", "results-officer")
    yield* Real.importCenters([
      ["School", SCHOOL],
      ["Other", OrganisationId.make("123")]
    ])
  })
).pipe(Layer.provideMerge(Real.layerEmbedded))

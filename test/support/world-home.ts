/**
 * The way home in the simulated world: what devices owe, sent over a bad line or long after, central's
 * word on it, lost and late, and what people do at central with what has come.
 */
import assert from "node:assert/strict"
import path from "node:path"
import { Deferred, Effect, Exit, Fiber, Result, Schema } from "effect"
import { changeRoot } from "../../application/change-root.ts"
import { decryptResults } from "../../application/decrypt-results.ts"
import { hearReceipt } from "../../application/hear-receipt.ts"
import { Atomic } from "../../application/ports.ts"
import { Outbox, ResultsOpener, SealedResults } from "../../application/record-ports.ts"
import { releaseRecord } from "../../application/release-record.ts"
import { sealedHere } from "../../application/sealed-results.ts"
import { Moments } from "../../application/session-ports.ts"
import { sync } from "../../application/sync.ts"
import { canonical } from "../../domain/canonical.ts"
import type { Signed } from "../../domain/enrolment.ts"
import { DeviceId, EntityId, Recipient } from "../../domain/id.ts"
import { RECORD_KINDS } from "../../domain/ledger.ts"
import { ALL_RESULTS } from "../../domain/opening.ts"
import { RecordsReceipt, type Submission } from "../../domain/result.ts"
import { newIdentity } from "../../infrastructure/age-file.ts"
import { boxOpener, type ResultsIdentity } from "../../infrastructure/open-result.ts"
import { handOver, type Trouble } from "./carrier.ts"
import type { Dice } from "./dice.ts"
import type { Machine, Rules, Step, World } from "./world.ts"
import { on } from "./world-rules.ts"
import { assertTruth, note, outboxRows, recordRows } from "./world-truth.ts"

/** Names new results keys in the root document: the office keeps the private halves. */
export const nameResultsKeys = Effect.fnUntraced(function* (world: World, dice: Dice) {
  const { keys } = world.truth
  const id = `r${keys.length + 1}`
  const active = { id, ...(yield* newIdentity("hybrid")) }
  keys.push(active)
  const recovery = keys.at(dice.chance(1, 2) ? 0 : -1) ?? active
  const named = ({ id, recipient }: typeof active) => ({ id, recipient: Recipient.make(recipient) })
  const results = { active: named(active), recovery: named(recovery) }
  const change = { rotate: [], newEpoch: false, holders: undefined, results }
  yield* Effect.orDie(world.central.run(changeRoot(change)))
  return id
})

const rekeyResults: Step = (world, dice) =>
  Effect.tap(nameResultsKeys(world, dice), () => Effect.sync(() => note(world, "results rekeyed")))

/** Looks at central's word as it is signed, and keeps copies of all that passes. */
export const overhear = (world: World) => {
  for (const machine of world.machines) {
    machine.line.onReceipt = Effect.fnUntraced(function* (submission, receipt) {
      machine.submissions.push(submission)
      machine.receipts.push(receipt)
      yield* assertTrue(world, machine, submission, receipt)
    })
  }
}

const decodeReceipt = Schema.decodeUnknownEffect(Schema.fromJsonString(RecordsReceipt))

/** A receipt names every record in its order, and says of each what became of it. */
const assertTrue = Effect.fnUntraced(function* (
  world: World,
  { line }: Machine,
  { records }: Submission,
  { text }: Signed
) {
  const receipt = yield* Effect.orDie(decodeReceipt(text))
  assert.deepEqual(
    receipt.records.map(({ id, kind, sha256 }) => [kind, id, sha256]),
    records.map(({ ledger: { id, kind, sha256 } }) => [kind, id, sha256])
  )
  const rows = yield* world.central.run(recordRows)
  for (const { id, kind, reason, sha256, status } of receipt.records) {
    const row = rows.find(
      (one) => one.device === line.client && one.sha256 === sha256 && one.altered === 0
    )
    if (status === "refused") continue
    const stage = row === undefined ? "nowhere" : row.stage
    const isThere = status === "quarantined" ? stage === status : stage !== "quarantined"
    assert.ok(isThere && row !== undefined, `${kind} ${id} is ${status}, says a receipt; ${stage}`)
    if (status === "quarantined") assert.equal(reason, row.reason)
  }
})

const BATCH_TROUBLES: ReadonlyArray<Trouble["what"]> = [
  "question lost",
  "answer lost",
  "answer lost",
  "cut",
  "asked twice"
]

const ONLY_RECORDS = {
  dryRun: false,
  confirmRemovals: false,
  kinds: [],
  records: RECORD_KINDS
} as const

export const owes = ({ rules, site }: Machine) =>
  Effect.map(
    site.run(
      Effect.flatMap(Outbox, (outbox) =>
        outbox.countOwed({ kinds: undefined, ends: rules.statusExecutionsToSync })
      )
    ),
    (count) => count > 0
  )

/** Sends what is owed and nothing else; some batch meets trouble, or none. */
const send = on(
  Effect.fnUntraced(function* (world, machine, dice) {
    const { line, site } = machine
    const what = dice.chance(2, 3) ? dice.pick(BATCH_TROUBLES) : undefined
    line.calls = 0
    line.trouble = what === undefined ? undefined : { what, at: 1 + dice.below(3) }
    const { outcome, submitted } = yield* Effect.orDie(site.run(sync(ONLY_RECORDS)))
    const { at } = line.trouble ?? { at: 0 }
    const met = what !== undefined && line.calls >= at
    if (met) note(world, `sending, ${what}`)
    if (met && at > 1) note(world, "trouble after a batch")
    const kept = Object.values(submitted.kept).reduce((sum, one) => sum + one, 0)
    const failure = submitted.failure === null ? "" : submitted.failure._tag
    return `${what ?? "good line"} at ${at}: ${outcome} ${kept} of ${submitted.owed} ${failure}`
  }),
  owes
)

/** Dies, or gives up, while central does not answer: it may have taken the batch or not. */
const brokenSend = on(
  Effect.fnUntraced(function* (world, machine, dice) {
    const { line, site } = machine
    const kill = dice.chance(2, 3)
    line.calls = 0
    line.silent = Deferred.makeUnsafe()
    line.trouble = {
      what: dice.pick(["silence", "silent after"] as const) ?? "silence",
      at: 1 + dice.below(2)
    }
    const fiber = yield* Effect.forkChild(site.run(sync(ONLY_RECORDS)))
    yield* Effect.raceFirst(Deferred.await(line.silent), Fiber.await(fiber))
    const corpse = path.join(world.root, `${machine.name}-killed`)
    if (kill) site.copyTo(corpse)
    yield* Fiber.interrupt(fiber)
    const exit = yield* Fiber.await(fiber)
    if (kill) yield* site.reopen(site.restoreFrom(corpse))
    if (Exit.isFailure(exit)) note(world, kill ? "killed while sending" : "cancelled while sending")
    return `${kill ? "killed" : "cancelled"}, ${line.trouble.what} at ${line.trouble.at}`
  }),
  owes
)

/** Requests of some other day reach central: again, mixed, in another order, or damaged. */
const lateBatch: Step = Effect.fnUntraced(function* (world, dice) {
  const machine = dice.pick(world.machines.filter(({ submissions }) => submissions.length > 0))
  if (machine === undefined) return "nothing was sent yet"
  const first = dice.pick(machine.submissions)
  const second = dice.pick(machine.submissions)
  if (first === undefined || second === undefined) return "nothing"
  const how = dice.pick(["again", "reordered", "mixed", "damaged"] as const) ?? "again"
  const { ledger } = first
  const records = {
    again: first.records,
    reordered: [...first.records].reverse(),
    mixed: [...second.records.slice(1), ...first.records, ...second.records],
    damaged: first.records.map((one) => ({ ...one, body: `${one.body} ` }))
  }[how]
  const answered = yield* Effect.result(handOver(world.central, machine.line, { ledger, records }))
  if (Result.isFailure(answered)) return `${machine.name} ${how}: ${answered.failure._tag}`
  note(world, `late, ${how}`)
  return `${machine.name} ${how}: ${records.length}`
})

/** Says that central has all that this device owes, in central's words: but nobody signed that. */
const forged = Effect.fnUntraced(function* ({ line, site }: Machine) {
  const { anew } = yield* site.run(Effect.flatMap(Outbox, ({ head }) => head))
  const owed = (yield* site.run(outboxRows)).filter(({ stage }) => stage !== "purged")
  return canonical({
    schema: "testferry/records-receipt/1",
    device: line.client,
    at: 0,
    anew: anew ?? 0,
    records: owed.map(({ id, kind, sha256 }) => ({
      kind,
      id,
      revision: 1,
      sha256,
      status: "stored",
      reason: null
    }))
  })
})

/** Central's word arrives late, at the right device or at another, or not as it was said. */
const lateReceipt = on(
  Effect.fnUntraced(function* (world, machine, dice) {
    const others = world.machines.filter((one) => one !== machine)
    const foreign = dice.chance(1, 4) ? dice.pick(others)?.receipts : undefined
    const receipt = dice.pick(foreign ?? machine.receipts)
    if (receipt === undefined) return "central never said anything"
    const isForged = dice.chance(1, 3)
    const text = isForged ? yield* forged(machine) : receipt.text
    const heard = yield* Effect.result(machine.site.run(hearReceipt({ ...receipt, text })))
    if (foreign !== undefined || isForged) {
      assert.ok(Result.isFailure(heard), "a word that was not central's to this device counted")
      note(world, isForged ? "forged receipt" : "receipt of another")
      return "refused"
    }
    if (Result.isFailure(heard)) return heard.failure.detail
    const { acknowledged, refused, unknown } = heard.success
    note(world, "late receipt")
    note(world, "receipt that settles", acknowledged.length)
    return `${acknowledged.length} acknowledged, ${refused.length} refused, ${unknown} unknown`
  }),
  ({ receipts }) => Effect.succeed(receipts.length > 0)
)

/** Somebody whom a platform launched; nobody makes such records yet. Rarely one that can't count. */
const launch = Effect.fnUntraced(function* (world: World, machine: Machine, dice: Dice) {
  const number = world.next()
  const device = DeviceId.make(machine.line.client)
  const wrong = dice.chance(1, 4) ? dice.pick(["device", "form", "result"] as const) : undefined
  const body = {
    schema: wrong === "form" ? "testferry/lti-user/9" : "testferry/lti-user/1",
    device: wrong === "device" ? `dev_${"0".repeat(16)}` : device,
    user: `somebody ${number}`,
    consumer: EntityId.make("lti_platform"),
    variables: { LIS_NAME: `${number}` },
    launchedAt: { ...(yield* machine.site.run(Effect.flatMap(Moments, ({ now }) => now))) }
  }
  const record = {
    kind: wrong === "result" ? ("result" as const) : ("lti-user" as const),
    id: `lti_${number}`,
    revision: 1,
    body: wrong === "result" ? `bm90IHNlYWxlZA== ${number}` : canonical(body),
    end: "finished" as const,
    stage: "queued" as const
  }
  yield* machine.site.run(
    Effect.gen(function* () {
      const atomic = yield* Atomic
      const outbox = yield* Outbox
      yield* atomic.run(outbox.append(record))
    })
  )
  return `${record.id} ${wrong === undefined ? "" : `of a wrong ${wrong}`}`
})

const launched = on(launch)

/** A device goes back to a copy after it has sent more, and gives the same numbers to others. */
const fork = on(
  Effect.fnUntraced(function* (world, machine, dice) {
    const { line, site } = machine
    line.trouble = undefined
    const folder = path.join(world.root, `${machine.name}-fork${world.next()}`)
    site.copyTo(folder)
    const first = yield* launch(world, machine, dice)
    yield* Effect.orDie(site.run(sync(ONLY_RECORDS)))
    yield* assertTruth(world)
    yield* site.reopen(site.restoreFrom(folder))
    world.truth.restored = machine
    const second = yield* launch(world, machine, dice)
    const { submitted } = yield* Effect.orDie(site.run(sync(ONLY_RECORDS)))
    return `${first} and ${second}: ${Object.values(submitted.kept).join()}`
  })
)

/** How a device sends is a setting; what waited for a wider one goes then. */
const changeRules = on((world, { rules }, dice) =>
  Effect.sync(() => {
    const ends = dice.chance(1, 2)
      ? (["finished"] as const)
      : (["finished", "terminated", "cancelled"] as const)
    rules.statusExecutionsToSync = ends
    rules.chunkSize = 1 + dice.below(7)
    note(world, "other rules")
    return `${ends.join()} by ${rules.chunkSize}`
  })
)

/** A person looks at something that was put aside, and takes it as it is. */
const release: Step = Effect.fnUntraced(function* (world, dice) {
  const waiting = (yield* world.central.run(recordRows)).filter(
    ({ altered, stage }) => stage === "quarantined" && altered === 0
  )
  const chosen = dice.pick(waiting)
  if (chosen === undefined) return "nothing is put aside"
  yield* releaseOne(world, chosen)
  return `${chosen.kind} ${chosen.id} ${chosen.reason}`
})

const releaseOne = (world: World, { device, sha256 }: { device: string; sha256: string }) =>
  Effect.gen(function* () {
    const [row] = (yield* world.central.run(recordRows)).filter((one) => one.sha256 === sha256)
    if (row === undefined) return
    yield* Effect.orDie(
      world.central.run(releaseRecord(DeviceId.make(device), row.sha256, "operator"))
    )
    note(world, "released")
  })

/** Takes everything that was put aside. */
export const releaseAll = Effect.fnUntraced(function* (world: World) {
  for (const row of yield* world.central.run(recordRows)) {
    if (row.stage === "quarantined" && row.altered === 0) yield* releaseOne(world, row)
  }
})

/** Runs the decrypt command with some of the keys. */
export const decrypt = (
  world: World,
  keys: ReadonlyArray<ResultsIdentity & { readonly id: string }>
) => {
  const open = boxOpener(keys)
  const opener: ResultsOpener["Service"] = {
    keys: keys.map(({ id }) => id),
    open: (boxes) => Effect.promise(() => Promise.all(boxes.map((box) => open(box))))
  }
  return world.central.run(
    decryptResults(ALL_RESULTS).pipe(
      Effect.provideServiceEffect(SealedResults, sealedHere("officer")),
      Effect.provideService(ResultsOpener, opener),
      Effect.orDie
    )
  )
}

const decryptSome: Step = Effect.fnUntraced(function* (world, dice) {
  const { keys } = world.truth
  const some = dice.chance(1, 2) ? keys : keys.slice(-1)
  const { counts } = yield* decrypt(world, some)
  note(world, "decrypted early", counts.decrypted + counts.duplicate)
  note(world, "sealed to a retired key", counts["wrong-key"])
  return `${counts.decrypted} ${counts.duplicate} ${counts["wrong-key"]}`
})

export const HOME: Rules["commands"] = [
  [22, "send", send],
  [10, "broken send", brokenSend],
  [12, "late batch", lateBatch],
  [10, "late receipt", lateReceipt],
  [9, "launched", launched],
  [5, "fork", fork],
  [3, "other rules", changeRules],
  [4, "release", release],
  [4, "decrypt", decryptSome],
  [4, "rekey results", rekeyResults]
]

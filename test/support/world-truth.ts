/**
 * Knows what the people of the simulated world answered, in plain maps, and holds it against what
 * devices and central say of it after every step (invariants 4, 6, 7, 8, 9 and 12).
 */
import assert from "node:assert/strict"
import { Effect, Schema } from "effect"
import { Digest, type EntityId, type OrganisationId } from "../../domain/id.ts"
import { RECORD_KINDS, type RecordKind } from "../../domain/ledger.ts"
import { CentralStage, DeviceStage, isOpen } from "../../domain/lifecycle.ts"
import type { ExecutionId } from "../../domain/result.ts"
import type { ResultsIdentity } from "../../infrastructure/open-result.ts"
import { executions, read } from "./observe.ts"
import type { Machine, World } from "./world.ts"

/** A session as its test-taker knows it: whatever was saved with success, by part. */
export interface Sitting {
  readonly execution: ExecutionId
  readonly organisation: OrganisationId
  readonly person: EntityId
  readonly center: EntityId
  /** The key of the test-taker when it was begun: only that opens what was saved. */
  readonly recipient: string
  readonly stage: DeviceStage
  readonly answers: ReadonlyMap<string, { readonly seq: number; readonly value: string }>
}
export type Sittings = ReadonlyMap<ExecutionId, Sitting>

/** Something that a device numbered in one of its lives. */
export interface Made {
  readonly machine: Machine
  readonly kind: RecordKind
  readonly id: string
  /** What was answered, for a result of a session. */
  readonly answers: ReadonlyArray<string> | undefined
}

export interface Truth {
  /** Every record that ever was, by the digest of its bytes. */
  readonly made: Map<Digest, Made>
  /** Gone with the only disk that had it, as far as anybody knows. */
  readonly lost: Set<Digest>
  /** What central has now; what it ever had, and ever had otherwise than in quarantine. */
  here: ReadonlySet<Digest>
  readonly everHere: Set<Digest>
  readonly everStored: Set<Digest>
  /** Results keys of every root so far, newest last. */
  readonly keys: Array<ResultsIdentity & { readonly id: string }>
  /** Somebody put an older copy in the place of a database in this step: of central, or of devices. */
  restored: "central" | Machine | undefined
  /** Central went back to a copy at least once, and what was acknowledged before may be gone. */
  wasRestored: boolean
  readonly happened: Map<string, number>
}

export const newTruth = (): Truth => ({
  made: new Map(),
  lost: new Set(),
  here: new Set(),
  everHere: new Set(),
  everStored: new Set(),
  keys: [],
  restored: undefined,
  wasRestored: false,
  happened: new Map()
})

/** Counts something, so that a test can see that it happens at all. */
export const note = ({ truth }: World, what: string, times = 1) => {
  if (times > 0) truth.happened.set(what, (truth.happened.get(what) ?? 0) + times)
}

const OutboxRow = Schema.Struct({
  number: Schema.Int,
  kind: Schema.Literals(RECORD_KINDS),
  id: Schema.String,
  sha256: Digest,
  stage: DeviceStage,
  gone: Schema.Int
})
export const outboxRows = read(
  OutboxRow,
  "SELECT number, kind, id, sha256, stage, body IS NULL AS gone FROM outbox ORDER BY number"
)

const RecordRow = Schema.Struct({
  device: Schema.String,
  sha256: Digest,
  number: Schema.Int,
  kind: Schema.Literals(RECORD_KINDS),
  id: Schema.String,
  revision: Schema.Int,
  stage: CentralStage,
  reason: Schema.NullOr(Schema.String),
  conflict: Schema.Int,
  altered: Schema.Int,
  carrier: Schema.String
})
export type RecordRow = typeof RecordRow.Type
export const recordRows = read(
  RecordRow,
  `SELECT device, sha256, number, kind, id, revision, stage, reason, conflict, altered, carrier
   FROM records ORDER BY number, kind, id`
)

/** Looks at everybody; after every step, and whenever central may have taken something. */
export const assertTruth = Effect.fnUntraced(function* (world: World) {
  const { truth } = world
  const records = yield* world.central.run(recordRows)
  const durable = new Set<Digest>()
  const outboxes = new Map<Machine, ReadonlyArray<typeof OutboxRow.Type>>()
  for (const machine of world.machines) {
    const rows = yield* machine.site.run(outboxRows)
    outboxes.set(machine, rows)
    for (const row of rows) {
      learn(world, machine, row)
      if (row.gone === 0) durable.add(row.sha256)
    }
    yield* assertSittings(machine)
    yield* assertSettled(world, machine, rows)
  }
  assertKeptOnce(world, records)
  for (const [machine, rows] of outboxes) {
    for (const row of rows) assertEntitled(world, machine, row)
  }
  for (const sha256 of truth.here) durable.add(sha256)
  for (const [sha256, { id, kind, machine }] of truth.made) {
    if (durable.has(sha256)) truth.lost.delete(sha256)
    else if (!truth.lost.has(sha256)) {
      const isExpected = truth.restored === "central" || truth.restored === machine
      assert.ok(isExpected, `the ${kind} ${id} of ${machine.name} is nowhere any more`)
      truth.lost.add(sha256)
      note(world, "lost with a disk")
    }
  }
  truth.restored = undefined
})

const learn = (world: World, machine: Machine, row: typeof OutboxRow.Type) => {
  const { id, kind, sha256 } = row
  if (world.truth.made.has(sha256)) return
  const sitting = [...machine.sittings.values()].find(({ execution }) => execution === id)
  const answers =
    kind !== "result" || sitting === undefined
      ? undefined
      : [...sitting.answers.values()].map(({ value }) => value).sort()
  world.truth.made.set(sha256, { machine, kind, id, answers })
  note(world, `made ${kind}`)
}

/** Invariants 7 and 12: each once, none thrown away, and what contradicts another is flagged. */
const assertKeptOnce = (world: World, records: ReadonlyArray<RecordRow>) => {
  const { truth } = world
  const whole = records.filter(({ altered }) => altered === 0)
  const here = new Set(whole.map(({ sha256 }) => sha256))
  assert.equal(here.size, whole.length, "something is kept twice")
  if (truth.restored === "central") truth.wasRestored = true
  else for (const one of truth.here) assert.ok(here.has(one), "central threw something away")
  const names = new Map<string, number>()
  const namesOf = ({ device, id, kind, number, revision }: RecordRow) => [
    `${device} ${number}`,
    `${device} ${kind} ${id} ${revision}`
  ]
  for (const row of whole) {
    for (const name of namesOf(row)) names.set(name, (names.get(name) ?? 0) + 1)
  }
  for (const row of whole) {
    const made = truth.made.get(row.sha256)
    assert.equal(made?.machine.line.client, row.device, `nobody made ${row.kind} ${row.id}`)
    const contradicted = namesOf(row).some((name) => (names.get(name) ?? 0) > 1)
    assert.equal(row.conflict === 1, contradicted, `the flag of ${row.kind} ${row.id}`)
    if (!truth.everHere.has(row.sha256)) {
      note(world, `${row.kind} by ${row.carrier}`)
      if (row.conflict === 1) note(world, "kept beside another")
      if (row.stage === "quarantined") note(world, `put aside ${row.reason}`)
    }
    truth.everHere.add(row.sha256)
    if (row.stage !== "quarantined") truth.everStored.add(row.sha256)
  }
  truth.here = here
}

/** Invariant 8: nothing counts as kept, and less is forgotten, without central's having had it. */
const assertEntitled = (world: World, machine: Machine, row: typeof OutboxRow.Type) => {
  const { gone, id, kind, sha256, stage } = row
  const said = `the ${kind} ${id} of ${machine.name} is ${stage}`
  const { everHere, everStored } = world.truth
  assert.equal(gone === 1, stage === "purged", said)
  if (stage === "acknowledged") assert.ok(everHere.has(sha256), `${said}, but never was at central`)
  if (stage !== "purged") return
  assert.ok(everStored.has(sha256), `${said}, but central never accepted it`)
  assert.ok(machine.rules.deleteAfterSend, `${said}, but nobody said that it may be`)
}

const SessionRow = Schema.Struct({
  execution: Schema.String,
  stage: DeviceStage,
  stripped: Schema.Int,
  parts: Schema.NullOr(Schema.String)
})
const sessionRows = read(
  SessionRow,
  `SELECT execution, json_extract(body, '$.stage') AS stage, key_box IS NULL AS stripped,
     (SELECT group_concat(part || ' ' || seq, ',') FROM
       (SELECT part, seq FROM session_saves s WHERE s.execution = sessions.execution
        ORDER BY part)) AS parts
   FROM sessions ORDER BY number`
)

/** Nobody but its people changes a session; one that ended keeps no answer and no key. */
const assertSittings = Effect.fnUntraced(function* ({ name, sittings, site }: Machine) {
  const rows = yield* site.run(sessionRows)
  assert.equal(rows.length, sittings.size, `sessions on ${name}`)
  for (const { execution, stage } of sittings.values()) {
    const row = rows.find((one) => one.execution === execution)
    assert.equal(row?.stage, stage, `the stage of ${execution} on ${name}`)
    const known = isOpen(stage) ? partsOf(sittings.get(execution)) : null
    assert.equal(row?.parts ?? null, known, `what is saved of ${execution} on ${name}`)
    assert.equal(row?.stripped === 1, !isOpen(stage), `the key of ${execution} on ${name}`)
  }
})

const partsOf = (sitting: Sitting | undefined): string | null => {
  const parts = [...(sitting?.answers ?? [])].map(([part, { seq }]) => `${part} ${seq}`)
  return parts.length === 0 ? null : parts.sort().join()
}

/** What synchronising knows of a session is true: it holds what is needed just so long. */
const assertSettled = Effect.fnUntraced(function* (
  { truth }: World,
  { name, sittings, site }: Machine,
  rows: ReadonlyArray<typeof OutboxRow.Type>
) {
  for (const { id, state } of yield* site.run(executions)) {
    const sitting = [...sittings.values()].find(({ execution }) => execution === id)
    const owed = rows.filter(
      (row) => row.id === id && row.stage !== "acknowledged" && row.stage !== "purged"
    )
    const open = sitting !== undefined && isOpen(sitting.stage)
    const expected = open ? "running" : owed.length > 0 ? "pending" : "settled"
    // Sent again to a central that was restored: it was settled before.
    const again =
      truth.wasRestored && owed.length > 0 && owed.every(({ sha256 }) => truth.everHere.has(sha256))
    if (state !== "settled" || !again) assert.equal(state, expected, `${id} on ${name}`)
  }
})

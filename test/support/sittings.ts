/**
 * Puts into a device's outbox what a session leaves there, without a player: a session, its log and
 * its result, sealed as a device seals. And changes submissions on their way.
 */
import { Effect, Option } from "effect"
import {
  Atomic,
  Central,
  type CentralFailure,
  DeviceIdentity,
  Executions
} from "../../application/ports.ts"
import { Outbox } from "../../application/record-ports.ts"
import { canonical } from "../../domain/canonical.ts"
import type { Signed } from "../../domain/enrolment.ts"
import type { Execution } from "../../domain/execution.ts"
import { type DeviceId, Digest, EntityId, type OrganisationId } from "../../domain/id.ts"
import type { LedgerEntry } from "../../domain/ledger.ts"
import type { EndStage } from "../../domain/lifecycle.ts"
import { ExecutionId, type SessionBody, type Submission } from "../../domain/result.ts"
import * as Age from "../../infrastructure/age-file.ts"
import { sha256 } from "./offers.ts"
import { ORGANISATION } from "./town.ts"

let made = 0

export interface Sitting {
  readonly execution: ExecutionId
  readonly entries: ReadonlyArray<LedgerEntry>
}

interface Changes {
  readonly execution?: ExecutionId
  readonly revision?: number
  readonly organisation?: OrganisationId
  readonly delivery?: EntityId
  readonly testTaker?: EntityId
  readonly eligibility?: EntityId
  readonly end?: EndStage
  readonly stage?: "sealed" | "queued"
  /** Instead of a sealed box. */
  readonly result?: string
  /** Characters of the answers. */
  readonly size?: number
}

/** One that ended: its session and its result are queued, and the execution waits for a receipt. */
export const sit = (changes: Changes = {}) =>
  Effect.gen(function* () {
    const atomic = yield* Atomic
    const executions = yield* Executions
    const identity = yield* DeviceIdentity
    const outbox = yield* Outbox
    const { device } = Option.getOrThrow(yield* identity.membership)
    made += 1
    const execution = changes.execution ?? ExecutionId.make(`ex_${String(made).padStart(20, "0")}`)
    const box = changes.result ?? (yield* sealed(`answers of ${execution} ${made}`, changes.size))
    const session = sessionOf(device, execution, changes, sha256(box))
    const rest = {
      id: execution,
      revision: session.revision,
      end: session.end,
      stage: changes.stage ?? ("queued" as const)
    }
    return yield* atomic.run(
      Effect.gen(function* () {
        const result = yield* outbox.append({ ...rest, kind: "result", body: box })
        const entry = yield* outbox.append({
          ...rest,
          kind: "test-session",
          body: canonical({ ...session })
        })
        yield* executions.put(executionOf(session))
        return { execution, entries: [result, entry] } satisfies Sitting
      })
    )
  })

/** Sealed to somebody whom nobody here is. */
export const sealed = (text: string, size = 0) =>
  Effect.map(Effect.orDie(Age.seal([NOBODY], Buffer.from(text.padEnd(size, " ")))), (bytes) =>
    Buffer.from(bytes).toString("base64")
  )
const NOBODY = (await Effect.runPromise(Age.newIdentity("x25519"))).recipient

/** Facts of a session, by names that no roster has unless they are given. */
export const sessionOf = (
  device: DeviceId,
  execution: ExecutionId,
  changes: Changes = {},
  result: Digest | null = null
): SessionBody => ({
  schema: "testferry/session/1",
  device,
  execution,
  revision: changes.revision ?? 1,
  organisation: changes.organisation ?? ORGANISATION,
  testCenter: EntityId.make("ctr_hall"),
  eligibility: changes.eligibility ?? EntityId.make("elg_one"),
  delivery: changes.delivery ?? EntityId.make("dlv_math"),
  contentVersion: 1,
  blob: Digest.make("0".repeat(64)),
  testTaker: changes.testTaker ?? EntityId.make("usr_ada"),
  attempt: 1,
  end: changes.end ?? "finished",
  startedAt: { wall: 1_700_000_000_000, mono: 5_000, boot: "b" },
  finishedAt: { wall: 1_700_000_600_000, mono: 605_000, boot: "b" },
  result
})

const executionOf = (session: SessionBody): Execution => ({
  id: session.execution,
  organisation: session.organisation,
  delivery: session.delivery,
  contentVersion: session.contentVersion,
  blob: session.blob,
  testTaker: session.testTaker,
  testCenter: session.testCenter,
  eligibility: session.eligibility,
  wrap: EntityId.make("kw_one"),
  state: "pending",
  startedAt: session.startedAt?.wall ?? 0
})

type Submit = (submission: Submission) => Effect.Effect<Signed, CentralFailure>

/** Runs a device's verb while something happens to what it submits. */
export const submitting =
  (change: (submit: Submit) => Submit) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Central, (central) =>
      Effect.provideService(effect, Central, {
        ...central,
        submit: change((submission) => central.submit(submission))
      })
    )

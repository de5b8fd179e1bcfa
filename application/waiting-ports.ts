/**
 * The edge of the hexagon where devices wait that asked by stick, so that everybody at the office sees
 * the same ones. As in ports.ts: storage failures are defects.
 */
import { Context, type Effect, type Option } from "effect"
import type { Signed } from "../domain/enrolment.ts"
import type { DeviceId, Digest, OrganisationId } from "../domain/id.ts"

/** What goes onto the stick. */
export interface Answer {
  readonly path: string
  readonly note: Signed
}

/** What somebody decided about a request. */
export type Decision =
  | {
      readonly state: "approved"
      readonly at: number
      readonly by: string
      readonly device: DeviceId
      readonly organisations: ReadonlyArray<OrganisationId>
      readonly answer: Answer
    }
  | {
      readonly state: "refused"
      readonly at: number
      readonly by: string
      readonly reason: string
    }

/** A request that central keeps; `id` is the digest of its text. */
export interface KeptRequest {
  readonly id: Digest
  readonly note: Signed
  readonly cameAt: number
  readonly by: string
  readonly decision: Decision | null
}

export class WaitingDevices extends Context.Service<
  WaitingDevices,
  {
    /** Those that nobody has decided about, the oldest first. */
    readonly waiting: Effect.Effect<ReadonlyArray<KeptRequest>>
    /** So many of the others, the newest first. */
    readonly decided: (limit: number) => Effect.Effect<ReadonlyArray<KeptRequest>>
    readonly find: (id: Digest) => Effect.Effect<Option.Option<KeptRequest>>
    /** Keeps a request as waiting; one that is kept already stays as it is. */
    readonly add: (request: Omit<KeptRequest, "decision">) => Effect.Effect<void>
    /**
     * Whether the request still waits. Until the transaction ends nobody else can decide about it: to
     * be called in one.
     */
    readonly claim: (id: Digest) => Effect.Effect<boolean>
    readonly decide: (id: Digest, decision: Decision) => Effect.Effect<void>
    /** Forgets what came before `from` or, by a clock that was wrong, after `to`. */
    readonly forgetOutside: (from: number, to: number) => Effect.Effect<void>
  }
>()("testferry/WaitingDevices") {}

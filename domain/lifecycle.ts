/**
 * Owns every arrow in the life of a delivery execution, on the device and at central: one pure step
 * function each. What is not in the table does not happen (design invariants 6 to 9).
 */
import { Result, Schema } from "effect"

/** From the login of a test-taker to the day when the device may forget what central keeps. */
export const DeviceStage = Schema.Literals([
  "awaiting",
  "authorised",
  "started",
  "paused",
  "finished",
  "terminated",
  "cancelled",
  "sealed",
  "queued",
  "sent",
  "acknowledged",
  "purged"
])
export type DeviceStage = typeof DeviceStage.Type

export const DEVICE_EVENTS = [
  "authorise",
  "withdraw",
  "start",
  "pause",
  "resume",
  "finish",
  "terminate",
  "cancel",
  "seal",
  "queue",
  "send",
  "fail",
  "acknowledge",
  "resend",
  "purge"
] as const
export type DeviceEvent = (typeof DEVICE_EVENTS)[number]

/** How an execution may end. Which of these are sent is a setting. */
export const EndStage = Schema.Literals(["finished", "terminated", "cancelled"])
export type EndStage = typeof EndStage.Type
export const SENT_BY_DEFAULT: ReadonlyArray<EndStage> = ["finished", "terminated", "cancelled"]

/** A session that a person sits, or could go on with. */
export const isOpen = (stage: DeviceStage): boolean =>
  stage === "awaiting" || stage === "authorised" || stage === "started" || stage === "paused"

/** Something is owed to central: the device may not forget, nor central's removal take away. */
export const isOwed = (stage: DeviceStage): boolean =>
  !isOpen(stage) && stage !== "acknowledged" && stage !== "purged"

type Arrows<Stage extends string, Event extends string> = Readonly<
  Record<Stage, Readonly<Partial<Record<Event, Stage>>>>
>

const DEVICE: Arrows<DeviceStage, DeviceEvent> = {
  awaiting: { authorise: "authorised", cancel: "cancelled" },
  authorised: { start: "started", withdraw: "awaiting", cancel: "cancelled" },
  started: { pause: "paused", finish: "finished", terminate: "terminated" },
  paused: { resume: "started", authorise: "authorised", terminate: "terminated" },
  // The three ends are left in the transaction that reaches them.
  finished: { seal: "sealed" },
  terminated: { seal: "sealed" },
  cancelled: { seal: "sealed" },
  // What is not to be sent stays here until the setting says otherwise.
  sealed: { queue: "queued" },
  queued: { send: "sent" },
  // An answer that was lost leaves it sent: it is sent again until a receipt comes.
  sent: { send: "sent", fail: "queued", acknowledge: "acknowledged" },
  // Receipts come twice, by both carriers; the second says nothing new. A central that was restored
  // from a backup has lost what it acknowledged since: it is sent all again that is still here.
  acknowledged: { acknowledge: "acknowledged", resend: "queued", purge: "purged" },
  purged: { acknowledge: "purged" }
}

export const CentralStage = Schema.Literals([
  "received",
  "stored",
  "quarantined",
  "decrypted",
  "undecryptable",
  "exported"
])
export type CentralStage = typeof CentralStage.Type

export const CENTRAL_EVENTS = [
  "store",
  "quarantine",
  "release",
  "decrypt",
  "give-up",
  "retry",
  "export"
] as const
export type CentralEvent = (typeof CENTRAL_EVENTS)[number]

const CENTRAL: Arrows<CentralStage, CentralEvent> = {
  received: { store: "stored", quarantine: "quarantined" },
  // A device that was unknown when its results came may be approved later.
  quarantined: { release: "stored" },
  stored: { decrypt: "decrypted", "give-up": "undecryptable" },
  // Another key may open it one day.
  undecryptable: { retry: "stored" },
  decrypted: { export: "exported" },
  exported: { export: "exported" }
}

/** There is no such arrow; nothing is to be changed. */
export interface NoSuchStep {
  readonly stage: string
  readonly event: string
}

export const stepOnDevice = (
  stage: DeviceStage,
  event: DeviceEvent
): Result.Result<DeviceStage, NoSuchStep> => follow(DEVICE[stage][event], stage, event)

export const stepAtCentral = (
  stage: CentralStage,
  event: CentralEvent
): Result.Result<CentralStage, NoSuchStep> => follow(CENTRAL[stage][event], stage, event)

const follow = <Stage extends string>(
  next: Stage | undefined,
  stage: string,
  event: string
): Result.Result<Stage, NoSuchStep> =>
  next === undefined ? Result.fail({ stage, event }) : Result.succeed(next)

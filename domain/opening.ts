/**
 * What passes between those who keep sealed results and whoever opens them (format §3.7): sealed
 * ones out, what became of them back. Over the control socket, over HTTPS, or as files.
 */
import { Schema } from "effect"
import { DeviceId, Digest, EntityId, OrganisationId } from "./id.ts"
import { ExecutionId, RECORD_BYTES_MAX, ResultDocument, ResultSignatures } from "./result.ts"

/** Results for one batch, and how many characters of them: what two processes hold in memory. */
export const BATCH_RESULTS_MAX = 256
export const BATCH_CHARACTERS_MAX = 4 * 1_048_576

/** Which results are meant; all, where nothing is said. */
export const ResultsFilter = Schema.Struct({
  delivery: Schema.NullOr(EntityId),
  organisation: Schema.NullOr(OrganisationId)
})
export type ResultsFilter = typeof ResultsFilter.Type
export const ALL_RESULTS: ResultsFilter = { delivery: null, organisation: null }

/** The name of a results key, as root documents, files and reports say it. */
export const KeyId = Schema.String.check(Schema.isPattern(/^[a-z0-9][a-z0-9-]{0,39}$/u)).pipe(
  Schema.brand("KeyId")
)
export type KeyId = typeof KeyId.Type

const Name = { device: DeviceId, sha256: Digest }

/** A sealed result, and by whom it must be signed to count. */
export const SealedResult = Schema.Struct({
  ...Name,
  /** As the device's ledger names it: the execution, and its revision. */
  id: Schema.String.check(Schema.isMaxLength(120)),
  revision: Schema.Int,
  /** The age file in base64. Empty when it is gone. */
  box: Schema.String.check(Schema.isMaxLength(2 * RECORD_BYTES_MAX)),
  /** Raw public keys in base64; none when nobody knows the device. */
  signers: Schema.Array(Schema.String.check(Schema.isMaxLength(64))).check(Schema.isMaxLength(64))
})
export type SealedResult = typeof SealedResult.Type

/**
 * Why a sealed result was not opened. "wrong-key": sealed to other recipients. "altered": not the
 * bytes that were sealed, or that the device numbered. "bad-signature": the device that sent it did
 * not sign it, or signed it as something else. "unreadable": all of that is right, but this program
 * does not know its form.
 */
export const Unopened = Schema.Literals(["wrong-key", "altered", "bad-signature", "unreadable"])
export type Unopened = typeof Unopened.Type

/** What is asked of an opened document before anybody reads it. */
export type ResultFacts = Pick<
  ResultDocument,
  "device" | "execution" | "revision" | "delivery" | "organisation"
>

export const factsOf = ({
  delivery,
  device,
  execution,
  organisation,
  revision
}: ResultDocument): ResultFacts => ({ delivery, device, execution, organisation, revision })

/**
 * A document as its device wrote it, letter for letter: the canonical text of a ResultDocument, what
 * it says of itself, and the signatures over the text that came with it.
 */
export interface OpenedText {
  readonly text: string
  readonly facts: ResultFacts
  readonly signatures: typeof ResultSignatures.Type
}

/** What became of one box in the hands of whoever opened it. */
export type Tried = Pick<SealedResult, "device" | "sha256"> &
  (OpenedText | { readonly why: Unopened | "unknown-device" })

/** What came of one try. Whoever keeps it can check that the device said so: it was signed. */
export const Opening = Schema.Union([
  Schema.Struct({ ...Name, document: ResultDocument, signatures: ResultSignatures }),
  Schema.Struct({ ...Name, why: Schema.Union([Unopened, Schema.Literal("unknown-device")]) })
])
export type Opening = typeof Opening.Type

/** As it is handed to somebody else. The text is a ResultDocument: whoever opened it has read it. */
export const asOpening = (one: Tried): Opening => {
  const { device, sha256 } = one
  if ("why" in one) return { device, sha256, why: one.why }
  const document: ResultDocument = JSON.parse(one.text)
  return { device, sha256, document, signatures: one.signatures }
}

/** What it counts as, once it was kept. "duplicate" is opened too; "same" was settled before. */
export const OUTCOMES = [
  "decrypted",
  "duplicate",
  "wrong-key",
  "altered",
  "bad-signature",
  "unknown-device",
  "unreadable",
  "same"
] as const
export const OpeningOutcome = Schema.Literals(OUTCOMES)
export type OpeningOutcome = typeof OpeningOutcome.Type

export const OpeningCounts = Schema.Record(OpeningOutcome, Schema.Int)
export type OpeningCounts = typeof OpeningCounts.Type

export const NO_OUTCOMES: OpeningCounts = {
  decrypted: 0,
  duplicate: 0,
  "wrong-key": 0,
  altered: 0,
  "bad-signature": 0,
  "unknown-device": 0,
  unreadable: 0,
  same: 0
}

export const isOpened = (outcome: OpeningOutcome): boolean =>
  outcome === "decrypted" || outcome === "duplicate" || outcome === "same"

/** How many were tried and stay sealed. */
export const leftSealed = (counts: OpeningCounts): number =>
  OUTCOMES.filter((outcome) => !isOpened(outcome)).reduce((sum, one) => sum + counts[one], 0)

/** One run of the decrypt command, as history remembers it. */
export const OpeningRun = Schema.Struct({
  keys: Schema.Array(Schema.String.check(Schema.isMaxLength(40))).check(Schema.isMaxLength(64)),
  filter: ResultsFilter,
  counts: OpeningCounts,
  millis: Schema.Int,
  /** Whether it came to its end. */
  ended: Schema.Boolean
})
export type OpeningRun = typeof OpeningRun.Type

/** "248 decrypted, 2 wrong key": what is not nought. */
export const countsText = (counts: OpeningCounts): string =>
  OUTCOMES.filter((outcome) => counts[outcome] > 0)
    .map((outcome) => `${counts[outcome]} ${WORDS[outcome]}`)
    .join(", ") || "nothing to open"

const WORDS: Readonly<Record<OpeningOutcome, string>> = {
  decrypted: "decrypted",
  duplicate: "decrypted beside another of the same execution",
  "wrong-key": "sealed to another key",
  altered: "altered",
  "bad-signature": "not signed by their device",
  "unknown-device": "of an unknown device",
  unreadable: "in a form that this version does not know",
  same: "opened before"
}

/** A record of which document, device and ledger agree on what it is. */
export const agrees = (
  sealed: Pick<SealedResult, "device" | "id" | "revision">,
  document: Pick<ResultDocument, "device" | "execution" | "revision">
): boolean =>
  document.device === sealed.device &&
  document.execution === ExecutionId.make(sealed.id, { disableChecks: true }) &&
  document.revision === sealed.revision

/** What whoever opens asks of whoever keeps, and the answers. */
export const OPENING_ASKS = {
  waiting: { ask: ResultsFilter, answer: Schema.Struct({ count: Schema.Int }) },
  retry: { ask: ResultsFilter, answer: Schema.Struct({}) },
  sealed: {
    ask: ResultsFilter,
    answer: Schema.Struct({
      batch: Schema.Array(SealedResult).check(Schema.isMaxLength(BATCH_RESULTS_MAX))
    })
  },
  opened: {
    ask: Schema.Struct({
      openings: Schema.Array(Opening).check(Schema.isMaxLength(BATCH_RESULTS_MAX))
    }),
    answer: Schema.Struct({ outcomes: Schema.Array(OpeningOutcome) })
  },
  ran: { ask: OpeningRun, answer: Schema.Struct({}) }
} as const

export type OpeningAsks = {
  readonly [Name in keyof typeof OPENING_ASKS]: {
    readonly ask: (typeof OPENING_ASKS)[Name]["ask"]["Type"]
    readonly answer: (typeof OPENING_ASKS)[Name]["answer"]["Type"]
  }
}

/** What two processes send one another at most: a batch of opened results, as JSON. */
export const ASK_BYTES_MAX = 4 * RECORD_BYTES_MAX

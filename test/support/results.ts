/** Makes results as devices make them: documents, signed by the device, sealed to recipients. */
import { generateKeyPairSync, hash, type KeyObject } from "node:crypto"
import { Effect } from "effect"
import { canonical } from "../../domain/canonical.ts"
import { NAMESPACE } from "../../domain/enrolment.ts"
import { DeviceId, Digest, EntityId, OrganisationId } from "../../domain/id.ts"
import type { SealedResult } from "../../domain/opening.ts"
import { ExecutionId, type ResultDocument } from "../../domain/result.ts"
import { seal } from "../../infrastructure/age-file.ts"
import { encodeRawKey, rawPublicKey, sign } from "../../infrastructure/sshsig.ts"

export interface TestDevice {
  readonly id: DeviceId
  readonly key: KeyObject
  /** The raw public key in base64. */
  readonly signer: string
}

export const testDevice = (name: string): TestDevice => {
  const { privateKey } = generateKeyPairSync("ed25519")
  const id = DeviceId.make(`dev_${hash("sha256", name).slice(0, 16)}`)
  return { id, key: privateKey, signer: encodeRawKey(rawPublicKey(privateKey)) }
}

/** A number that makes the execution its own. */
export const executionId = (number: number) =>
  ExecutionId.make(`ex_${hash("sha256", String(number)).slice(0, 20)}`)

export const STARTED = Date.UTC(2026, 10, 21, 8, 0, 0, 123)
export const FINISHED = Date.UTC(2026, 10, 21, 9, 30, 0, 456)
export const SECRET_ANSWER = "the-answer-that-nobody-may-read"

export const resultDocument = (
  device: TestDevice,
  number: number,
  changes: Partial<ResultDocument> = {}
): ResultDocument => ({
  schema: "testferry/result/1",
  device: device.id,
  execution: executionId(number),
  revision: 1,
  organisation: OrganisationId.make("0123"),
  testCenter: EntityId.make("ctr_north"),
  eligibility: EntityId.make("elg_1"),
  delivery: EntityId.make("dlv_rivers"),
  contentVersion: 3,
  blob: Digest.make("b".repeat(64)),
  testTaker: EntityId.make(`tt_${number}`),
  attempt: 1,
  end: "finished",
  startedAt: { wall: STARTED, mono: 1_000, boot: "boot-1" },
  finishedAt: { wall: FINISHED, mono: 5_401_333, boot: "boot-1" },
  log: { count: 4, head: Digest.make("c".repeat(64)) },
  prevLedger: null,
  recipients: ["r2026", "r2026-recovery"],
  variables: [
    {
      item: null,
      position: 0,
      attempt: 1,
      variables: [outcome("SCORE", "float", ["1.5"])]
    },
    {
      item: "item-1",
      position: 1,
      attempt: 1,
      variables: [
        {
          kind: "response",
          identifier: "RESPONSE",
          cardinality: "single",
          baseType: "string",
          values: [{ value: SECRET_ANSWER }],
          at: FINISHED
        },
        outcome("SCORE", "float", ["1"])
      ]
    }
  ],
  ...changes
})

const outcome = (identifier: string, baseType: "float", values: ReadonlyArray<string>) => ({
  kind: "outcome" as const,
  identifier,
  cardinality: "single" as const,
  baseType,
  values: values.map((value) => ({ value })),
  at: FINISHED
})

/** The innermost envelope. */
export const signedText = (text: string, by: KeyObject): string =>
  canonical({ text, signatures: [sign(by, NAMESPACE.result, Buffer.from(text))] })

export const sealedBox = (recipients: ReadonlyArray<string>, text: string) =>
  Effect.map(Effect.orDie(seal(recipients, Buffer.from(text))), (bytes) =>
    Buffer.from(bytes).toString("base64")
  )

/** A sealed result as central gives it out. */
export const sealedResult = Effect.fnUntraced(function* (
  recipients: ReadonlyArray<string>,
  device: TestDevice,
  document: ResultDocument
) {
  const box = yield* sealedBox(recipients, signedText(canonical({ ...document }), device.key))
  const sealed: SealedResult = {
    device: device.id,
    sha256: Digest.make(hash("sha256", box)),
    id: document.execution,
    revision: document.revision,
    box,
    signers: [device.signer]
  }
  return sealed
})

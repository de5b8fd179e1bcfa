/**
 * A school on the morning of an exam: a central with results keys, one hall, a proctor and
 * test-takers, and a device that has everything. The results keys stay with the test.
 */
import { tmpdir } from "node:os"
import path from "node:path"
import { Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { logIn } from "../../application/log-in.ts"
import { publish } from "../../application/publish.ts"
import { begin, enter } from "../../application/sit.ts"
import { canonical } from "../../domain/canonical.ts"
import { NAMESPACE, Signed } from "../../domain/enrolment.ts"
import { PERSON_KINDS } from "../../domain/entity.ts"
import { EntityId, Recipient } from "../../domain/id.ts"
import { ResultDocument, SignedResult } from "../../domain/result.ts"
import { RootDocument } from "../../domain/root.ts"
import * as AgeFile from "../../infrastructure/age-file.ts"
import { openKeys } from "../../infrastructure/file-keys.ts"
import { sign } from "../../infrastructure/sshsig.ts"
import * as Office from "./office.ts"
import { openCentral, scratch } from "./site.ts"
import { anotherDevice, HALL, ORGANISATION, synced, TAKERS } from "./town.ts"

export interface ResultsKeys {
  readonly active: AgeFile.Identity
  readonly recovery: AgeFile.Identity
}

/** Two new results keys, of the kind that results are sealed to. */
export const newResultsKeys = Effect.all({
  active: AgeFile.newIdentity("hybrid"),
  recovery: AgeFile.newIdentity("hybrid")
})

/** Names results keys in central's root document, and signs it anew; before anybody enrols. */
export const nameResultsKeys = Effect.fnUntraced(function* (
  directory: string,
  { active, recovery }: ResultsKeys
) {
  const sql = yield* SqlClient.SqlClient
  const root = yield* (yield* openKeys(path.join(directory, "keys"))).ed25519("root")
  const [first] = yield* sql<{ signed: string }>`
    SELECT signed FROM documents WHERE kind = 'root' AND version = 1`
  const before = yield* decodeSigned(first?.signed)
  const document: RootDocument = {
    ...(yield* decodeRoot(before.text)),
    results: {
      active: { id: "r1", recipient: Recipient.make(active.recipient) },
      recovery: { id: "x1", recipient: Recipient.make(recovery.recipient) }
    }
  }
  const text = canonical(document)
  const signatures = [sign(root.key, NAMESPACE.root, Buffer.from(text))]
  yield* sql`
    UPDATE documents SET signed = ${canonical({ text, signatures })}
    WHERE kind = 'root' AND version = 1`
}, Effect.orDie)

const decodeSigned = Schema.decodeUnknownEffect(Schema.fromJsonString(Signed))
const decodeRoot = Schema.decodeUnknownEffect(Schema.fromJsonString(RootDocument))

/** Opens a result as the office does, by one of its keys. */
export const openResult = Effect.fnUntraced(function* (key: AgeFile.Identity, body: string) {
  const bytes = yield* AgeFile.open([key.identity], Buffer.from(body, "base64"))
  const signed = yield* decodeSignedResult(Buffer.from(bytes).toString("utf8"))
  return { signed, document: yield* decodeResult(signed.text) }
})

const decodeSignedResult = Schema.decodeUnknownEffect(Schema.fromJsonString(SignedResult))
const decodeResult = Schema.decodeUnknownEffect(Schema.fromJsonString(ResultDocument))

/** `maths` may be sat without a proctor, `essay` with one; each of the test-takers may sit both. */
export const exam = Effect.gen(function* () {
  const root = yield* scratch(tmpdir())
  const central = yield* openCentral(path.join(root, "central"))
  const office = central.run
  const keys = yield* newResultsKeys
  yield* office(nameResultsKeys(central.directory, keys))
  yield* central.reopen(Effect.void)
  yield* office(Office.people("sync-manager", [{ login: "mia", organisation: ORGANISATION }]))
  yield* office(Office.people("proctor", [{ login: "pia" }, { login: "pol" }]))
  yield* office(
    Office.people(
      "test-taker",
      TAKERS.map((login) => ({ login }))
    )
  )
  yield* office(Office.center(ORGANISATION, HALL, { proctors: ["pia"] }))
  yield* office(Office.center(ORGANISATION, "Annexe", { proctors: ["pol"] }))
  for (const id of ["maths", "essay"]) yield* office(Office.publishText(root, id, `about ${id}`))
  yield* office(Office.eligible(HALL, "maths", TAKERS, { maxExecutions: 2 }))
  yield* office(Office.eligible(HALL, "essay", TAKERS, { proctored: true }))
  const { device, line } = yield* anotherDevice(root, central, "device", "mia")
  yield* device.run(synced())
  return { root, central, office, device, line, on: device.run, keys }
})
export type Exam = Effect.Success<typeof exam>

/** Somebody of the exam, logged in. */
export const visitorOf = (login: string) =>
  Effect.map(logIn(login, Office.passwordOf(login), PERSON_KINDS), ({ visitor }) => visitor)

/** A session that runs. */
export const sitting = Effect.fnUntraced(function* (login: string, delivery = "maths") {
  const visitor = yield* visitorOf(login)
  const { execution } = yield* begin(visitor, {
    delivery: EntityId.make(`dlv_${delivery}`),
    eligibility: undefined
  })
  return { visitor, execution, session: yield* enter(visitor, execution) }
})

/** Publishes a package file at central as `id`. */
export const publishFile = (file: string, id: string) =>
  publish({
    file,
    id: EntityId.make(`dlv_${id}`),
    label: `Test ${id}`,
    period: {},
    maxExecutions: undefined,
    proctored: false,
    dryRun: false
  }).pipe(Effect.orDie)

/** One answer, as a runner saves it. */
export const answer = (item: string, value: string, at = 0) => ({
  state: JSON.stringify({ shown: item }),
  variables: [
    {
      item,
      position: 1,
      attempt: 1,
      variables: [
        {
          kind: "response" as const,
          identifier: "RESPONSE",
          cardinality: "single" as const,
          baseType: "string" as const,
          values: [{ value }],
          at
        }
      ]
    }
  ]
})

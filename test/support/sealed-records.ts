/** Puts sealed results among the records of a central, as if devices had handed them over. */
import { hash } from "node:crypto"
import { Effect } from "effect"
import { Atomic, Clients } from "../../application/ports.ts"
import { Records } from "../../application/record-ports.ts"
import { canonical } from "../../domain/canonical.ts"
import { Digest } from "../../domain/id.ts"
import type { ResultDocument, SessionBody } from "../../domain/result.ts"
import { sealedBox, signedText, type TestDevice } from "./results.ts"

/** Makes a device known to central. */
export const enter = (device: TestDevice) =>
  Effect.flatMap(Clients, (clients) =>
    clients.put({
      id: device.id,
      kind: "device",
      name: device.id,
      organisations: [],
      state: "active",
      createdAt: 0,
      lastSeenAt: null,
      program: null,
      keys: { sig: device.signer, auth: device.signer, enc: "age1x" },
      serial: 1
    })
  )

export interface Put {
  readonly number: number
  /** What is inside; the document unless something else is to be. */
  readonly text?: string
  readonly signedBy?: TestDevice
  readonly recipients: ReadonlyArray<string>
  /** Changes the bytes after the ledger was written. */
  readonly change?: (box: string) => string
}

/** Keeps a sealed result and its session as "stored". Answers the result's digest. */
export const putResult = Effect.fnUntraced(function* (
  device: TestDevice,
  document: ResultDocument,
  put: Put
) {
  const atomic = yield* Atomic
  const records = yield* Records
  const text = put.text ?? canonical({ ...document })
  const box = yield* sealedBox(put.recipients, signedText(text, (put.signedBy ?? device).key))
  const sha256 = Digest.make(hash("sha256", box))
  const session = sessionOf(document, sha256)
  const entry = {
    prev: null,
    id: document.execution,
    revision: document.revision
  }
  const rest = {
    carrier: "https",
    at: put.number,
    stage: "stored",
    reason: null,
    altered: false
  } as const
  const sessionText = canonical({ ...session })
  yield* atomic.run(
    records.add(device.id, [
      {
        ...rest,
        session: null,
        record: {
          ledger: { ...entry, kind: "result", number: 2 * put.number + 1, sha256 },
          body: (put.change ?? ((same) => same))(box)
        }
      },
      {
        ...rest,
        session,
        record: {
          ledger: {
            ...entry,
            kind: "test-session",
            number: 2 * put.number + 2,
            sha256: Digest.make(hash("sha256", sessionText))
          },
          body: sessionText
        }
      }
    ])
  )
  return sha256
})

const sessionOf = (document: ResultDocument, result: Digest): SessionBody => {
  const { log: _log, prevLedger: _prev, recipients: _to, variables: _answers, ...facts } = document
  return { ...facts, schema: "testferry/session/1", result }
}

/** Makes root holders, root documents and their signatures for tests. */
import { generateKeyPairSync, type KeyObject } from "node:crypto"
import { NAMESPACE, type Signed } from "../../domain/enrolment.ts"
import { Recipient } from "../../domain/id.ts"
import { type RootDocument, rootText } from "../../domain/root.ts"
import { keyId, rawPublicKey, sign } from "../../infrastructure/sshsig.ts"

export interface Holder {
  readonly key: KeyObject
  readonly id: string
  readonly raw: string
}

export const holder = (): Holder => {
  const key = generateKeyPairSync("ed25519").privateKey
  const raw = rawPublicKey(key)
  return { key, id: keyId(raw), raw: Buffer.from(raw).toString("base64") }
}

/** The key of every role but root. */
export const online = holder()

const ingest = { id: "i1", recipient: Recipient.make("age1test") }

/** A root document with these holders; the other roles have one key of central's. */
export const rootOf = (
  holders: ReadonlyArray<Holder>,
  threshold: number,
  changes: Partial<RootDocument> = {}
): RootDocument => {
  const role = { threshold: 1, keys: [online.id] }
  return {
    schema: "testferry/root/1",
    version: 1,
    epoch: 1,
    expires: 4_000_000_000_000,
    keys: Object.fromEntries([...holders, online].map(({ id, raw }) => [id, raw])),
    roles: {
      root: { threshold, keys: holders.map(({ id }) => id) },
      c2d: role,
      deviceCa: role,
      revocation: role
    },
    results: null,
    ingest,
    ...changes
  }
}

export const signText = (text: string, by: ReadonlyArray<Holder>): Signed => ({
  text,
  signatures: by.map(({ key }) => sign(key, NAMESPACE.root, Buffer.from(text)))
})

export const signRoot = (root: RootDocument, by: ReadonlyArray<Holder>): Signed =>
  signText(rootText(root), by)

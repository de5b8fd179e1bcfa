/**
 * Reads and writes what root holders pass to central and back: public keys as OpenSSH writes them,
 * documents to be signed with `ssh-keygen -Y sign`, and the signatures.
 */
import fs from "node:fs"
import path from "node:path"
import { Effect } from "effect"
import { Refused } from "../application/refused.ts"
import type { Signed } from "../domain/enrolment.ts"
import { type RootHolders, THRESHOLD_MAX } from "../domain/root.ts"
import { ARMOR_CHARACTERS_MAX, keyId, readPublicKeyLine } from "../infrastructure/sshsig.ts"

/** A root document with nine holders of each role has some 5,000 characters. */
const ROOT_CHARACTERS_MAX = 65_536

/** Reads holders from a list of files, `a.pub,b.pub,c.pub`. Refuses with E_ROOT_KEYS. */
export const readHolders = Effect.fnUntraced(function* (list: string, threshold: number) {
  const holders: Array<RootHolders["keys"][number]> = []
  for (const name of list.split(",")) {
    const raw = readPublicKeyLine(yield* readText(name.trim(), ARMOR_CHARACTERS_MAX))
    if (raw === undefined) return yield* wrongKeys(`${name} is no ed25519 public key of OpenSSH.`)
    holders.push({ id: keyId(raw), raw: Buffer.from(raw).toString("base64") })
  }
  if (new Set(holders.map(({ id }) => id)).size < holders.length) {
    return yield* wrongKeys("One key is named twice.")
  }
  if (threshold < 1 || threshold > Math.min(THRESHOLD_MAX, holders.length)) {
    return yield* wrongKeys(`${threshold} of ${holders.length} root keys can't be asked for.`)
  }
  const found: RootHolders = { keys: holders, threshold }
  return found
})

/** Writes a document that is to be signed, byte for byte, and answers where. */
export const writeRoot = (directory: string, version: number, text: string) =>
  Effect.sync(() => {
    const file = path.join(directory, `root-${String(version).padStart(6, "0")}.json`)
    fs.writeFileSync(file, text)
    return file
  })

/** Says how root holders sign such a document and what happens then. */
export const howToSign = (file: string): string =>
  `Have enough of them run "ssh-keygen -Y sign -f THEIR-KEY -n testferry-root-v1 ${file}", then run ` +
  `"testferry central root adopt ${file} SIGNATURE SIGNATURE".`

/** Reads a document and its signature files. */
export const readSigned = Effect.fnUntraced(function* (
  document: string,
  signatures: ReadonlyArray<string>
) {
  const signed: Signed = {
    text: yield* readText(document, ROOT_CHARACTERS_MAX),
    signatures: yield* Effect.forEach(signatures, (name) => readText(name, ARMOR_CHARACTERS_MAX))
  }
  return signed
})

const readText = (name: string, max: number): Effect.Effect<string, Refused> =>
  Effect.suspend(() => {
    try {
      const text = fs.statSync(name).size > max * 4 ? undefined : fs.readFileSync(name, "utf8")
      return text === undefined || text.length > max
        ? Effect.fail(unreadable(name, "it is far too large"))
        : Effect.succeed(text)
    } catch (error) {
      return Effect.fail(unreadable(name, error instanceof Error ? error.message : "it is away"))
    }
  })

const unreadable = (name: string, why: string) =>
  new Refused({
    code: "E_FILE",
    what: "Nothing was changed.",
    why: `${name} can't be read: ${why}.`,
    todo: "Check the name of the file."
  })

const wrongKeys = (why: string) =>
  Effect.fail(
    new Refused({
      code: "E_ROOT_KEYS",
      what: "Nothing was changed.",
      why,
      todo: "Give --root-keys A.pub,B.pub,C.pub (made by ssh-keygen -t ed25519) and --root-threshold 2."
    })
  )

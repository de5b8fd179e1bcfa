/** What an operator can do about root documents: see, replace keys, propose to their holders, adopt. */
import { Clock, Effect, Option, Schema } from "effect"
import { type BundleRefused, Standing } from "../application/bundle-ports.ts"
import {
  adoptRoot,
  changeRoot,
  type NoRootInForce,
  proposeRoot,
  ROTATED,
  type RootHoldersNeeded,
  type RootNotOurs
} from "../application/change-root.ts"
import { Authority } from "../application/ports.ts"
import { Refused } from "../application/refused.ts"
import { PublicKey, Signed } from "../domain/enrolment.ts"
import { RootDocument, rootText } from "../domain/root.ts"
import { fingerprintWords } from "../infrastructure/fingerprint.ts"
import { defineCommand, type ServedCommand } from "./command.ts"
import { howToSign, writeRoot } from "./root-files.ts"
import type { CentralPorts } from "./wiring.ts"

export const rootShow = defineCommand({
  name: "central root show",
  side: "central",
  args: Schema.Struct({}),
  report: Schema.Struct({
    /** Null while the holders of the root keys have not signed the first one. */
    root: Schema.NullOr(RootDocument),
    signatures: Schema.Int,
    words: Schema.String,
    now: Schema.Int
  }),
  run: Effect.fn("rootShow")(function* () {
    const authority = yield* Authority
    const standing = yield* Standing
    const now = yield* Clock.currentTimeMillis
    const chain = yield* standing.chain
    const first = chain[0]?.text ?? Option.getOrElse(yield* authority.draft, () => "")
    return {
      root: chain.length === 0 ? null : (yield* standing.root).document,
      signatures: chain.at(-1)?.signatures.length ?? 0,
      words: fingerprintWords(Buffer.from(first)),
      now
    }
  })
})

const Changed = Schema.Struct({ version: Schema.Int, epoch: Schema.Int, expires: Schema.Int })

export const rootRotate = defineCommand({
  name: "central root rotate",
  side: "central",
  args: Schema.Struct({ roles: Schema.Array(Schema.Literals(ROTATED)), directory: Schema.String }),
  report: Changed,
  run: ({ directory, roles }) =>
    changeRoot({ rotate: roles, newEpoch: false, holders: undefined }).pipe(
      Effect.map(({ document }) => changed(document)),
      Effect.catch((error) => refusedRoot(error, directory))
    )
})

const Holders = Schema.Struct({
  keys: Schema.Array(Schema.Struct({ id: Schema.String, raw: PublicKey })),
  threshold: Schema.Int
})

export const rootPropose = defineCommand({
  name: "central root propose",
  side: "central",
  args: Schema.Struct({
    roles: Schema.Array(Schema.Literals(ROTATED)),
    newEpoch: Schema.Boolean,
    holders: Schema.NullOr(Holders),
    directory: Schema.String
  }),
  report: Schema.Struct({ version: Schema.Int, file: Schema.String }),
  run: ({ directory, holders, newEpoch, roles }) =>
    proposeRoot({ rotate: roles, newEpoch, holders: holders ?? undefined }).pipe(
      Effect.flatMap((document) =>
        Effect.map(writeRoot(directory, document.version, rootText(document)), (file) => ({
          version: document.version,
          file
        }))
      ),
      Effect.catch((error) => refusedRoot(error, directory))
    )
})

export const rootAdopt = defineCommand({
  name: "central root adopt",
  side: "central",
  args: Schema.Struct({ signed: Signed, directory: Schema.String }),
  report: Schema.Struct({ ...Changed.fields, changed: Schema.Boolean }),
  run: ({ directory, signed }) =>
    adoptRoot(signed).pipe(
      Effect.map((adopted) => ({ ...changed(adopted.document), changed: adopted.changed })),
      Effect.catch((error) => refusedRoot(error, directory))
    )
})

const changed = ({ epoch, expires, version }: RootDocument) => ({ version, epoch, expires })

/** Says what is the matter with a root, and leaves the document that must be signed where it says. */
export const refusedRoot = (
  error: RootHoldersNeeded | NoRootInForce | RootNotOurs | BundleRefused,
  directory: string
): Effect.Effect<never, Refused> => {
  if (error._tag === "RootHoldersNeeded")
    return Effect.flatMap(toSign(error, directory), Effect.fail)
  return Effect.fail(error._tag === "NoRootInForce" ? fromNoRoot(error) : notAdopted(error))
}

/** Writes the document that root holders must sign, and says so. */
export const toSign = (needed: RootHoldersNeeded, directory: string) =>
  Effect.map(
    writeRoot(directory, needed.version, needed.text),
    (file) =>
      new Refused({
        code: "E_ROOT_HOLDERS",
        what: "Nothing was changed yet: the holders of the root keys must agree.",
        why: `The root keys on this computer are not enough (${needed.detail}).`,
        todo: howToSign(file)
      })
  )

export const fromNoRoot = ({ reason }: NoRootInForce): Refused =>
  reason === "unsigned"
    ? new Refused({
        code: "E_NO_ROOT",
        what: "Nothing was done.",
        why: "The holders of the root keys have not signed this central's first root document yet.",
        todo:
          'Have them sign root-000001.json in the data directory ("ssh-keygen -Y sign -f THEIR-KEY -n ' +
          'testferry-root-v1 FILE"), then run "testferry central root adopt FILE SIGNATURE SIGNATURE".'
      })
    : new Refused({
        code: "E_ROOT_EXPIRED",
        what: "Nothing was done.",
        why: "This central's root document has expired: no device trusts it any more.",
        todo: 'Make the next one: "testferry central root propose", and see its help.'
      })

const notAdopted = (error: RootNotOurs | BundleRefused): Refused =>
  error._tag === "RootNotOurs"
    ? new Refused({
        code: "E_ROOT_NOT_OURS",
        what: "The root document was not put into force.",
        why: `It names keys that this central does not have: it lacks ${error.detail}.`,
        todo: 'Have exactly the document signed that "central root propose" or "central init" wrote.'
      })
    : new Refused({
        code: error.code,
        what: "The root document was not put into force.",
        why: `Its word does not count: ${error.detail}.`,
        todo: "Give the document byte for byte as it was proposed, and a signature of enough holders."
      })

/** All of them, as the control socket serves them. */
export const rootCommands: ReadonlyArray<ServedCommand<CentralPorts>> = [
  rootShow,
  rootRotate,
  rootPropose,
  rootAdopt
]

/** Root keys that are never on central's disk: a first root, a rotation, and a hand-over (§3.2). */
import { spawnSync } from "node:child_process"
import fs from "node:fs"
import { basename, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { Refused } from "../application/refused.ts"
import { rootAdopt, rootPropose, rootShow } from "../entrypoints/root-commands.ts"
import { readHolders, readSigned } from "../entrypoints/root-files.ts"
import { readCentral } from "../entrypoints/settings.ts"
import { type CentralPorts, layerCentral } from "../entrypoints/wiring.ts"
import { publicKeyLine } from "../infrastructure/sshsig.ts"
import { freshFolder } from "./support/database.ts"
import { holder, signText } from "./support/roots.ts"
import { done, filesOf, refused, report } from "./support/testferry.ts"

const LONG = 240_000
const hasSshKeygen = spawnSync("ssh-keygen", ["-?"]).error === undefined

/** Makes a person's key, on a computer of their own, and answers how they sign a document. */
const person = (folder: string, name: string): ((document: string) => string) => {
  const key = join(folder, name)
  const copyOf = (document: string) => join(folder, `${name}-${basename(document)}`)
  if (hasSshKeygen) {
    keygen("-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key)
    return (document) => {
      fs.copyFileSync(document, copyOf(document))
      keygen("-q", "-Y", "sign", "-f", key, "-n", "testferry-root-v1", copyOf(document))
      return `${copyOf(document)}.sig`
    }
  }
  // Without OpenSSH on this machine our own signatures stand for its: they are the same bytes.
  const own = holder()
  fs.writeFileSync(`${key}.pub`, publicKeyLine(Buffer.from(own.raw, "base64"), name))
  return (document) => {
    const [armored = ""] = signText(fs.readFileSync(document, "utf8"), [own]).signatures
    fs.writeFileSync(`${copyOf(document)}.sig`, armored)
    return `${copyOf(document)}.sig`
  }
}

const keygen = (...args: ReadonlyArray<string>) => {
  const { status, stderr } = spawnSync("ssh-keygen", args, { encoding: "utf8" })
  assert.strictEqual(status, 0, stderr)
}

/** A command of central over its data directory, in this process: starting one costs a second. */
const here = <A, E>(data: string, effect: Effect.Effect<A, E, CentralPorts>) =>
  Effect.flatMap(readCentral(data), (settings) =>
    Effect.provide(effect, Layer.fresh(layerCentral(data, settings)))
  )

const adopt = (data: string, document: string, ...signatures: ReadonlyArray<string>) =>
  Effect.flatMap(readSigned(document, signatures), (signed) =>
    here(data, rootAdopt.run({ signed, directory: data }))
  )

const codeOf = <A>(effect: Effect.Effect<A, Refused>) =>
  Effect.map(Effect.flip(effect), ({ code }) => code)

describe("root keys that are kept elsewhere", () => {
  it.live(
    "put two of three signatures before everything that devices are to trust",
    () =>
      Effect.gen(function* () {
        const folder = yield* freshFolder()
        const data = join(folder, "central")
        const people = (...names: ReadonlyArray<string>) =>
          names.map((name) => join(folder, `${name}.pub`)).join(",")
        const anna = person(folder, "anna")
        const ben = person(folder, "ben")
        const cleo = person(folder, "cleo")
        const dora = person(folder, "dora")
        const init = ["central", "init", "--root-threshold", "2", "--root-keys"]
        yield* refused(data, "E_ROOT_KEYS", [...init, people("anna", "anna")])
        assert.isFalse(fs.existsSync(join(data, "central.json")))

        const made = yield* report(data, ...init, people("anna", "ben", "cleo"))
        const first = join(data, "root-000001.json")
        assert.strictEqual(made.rootToSign, first)
        assert.notProperty(filesOf(join(data, "keys")), "root.pem")
        yield* refused(data, "E_NO_ROOT", ["central", "serve", "--port", "0"])

        assert.strictEqual(yield* codeOf(adopt(data, first, anna(first))), "E_ROOT_SIG")
        const stranger = adopt(data, first, anna(first), dora(first))
        assert.strictEqual(yield* codeOf(stranger), "E_ROOT_SIG")
        const said = yield* done(data, "central", "root", "adopt", first, anna(first), cleo(first))
        assert.match(said, /^Root 1 is in force: epoch 1/u)
        const shown = yield* here(data, rootShow.run({}))
        assert.deepInclude(shown, { words: String(made.rootWords), signatures: 2 })

        yield* refused(data, "E_ROOT_HOLDERS", ["central", "root", "rotate", "--role", "c2d"])
        const second = join(data, "root-000002.json")
        const rotated = yield* adopt(data, second, ben(second), cleo(second))
        assert.deepInclude(rotated, { version: 2, epoch: 1, changed: true })
        assert.isFalse((yield* adopt(data, second)).changed, "once more changes nothing")

        const holders = yield* readHolders(people("anna", "ben", "dora"), 2)
        const proposed = rootPropose.run({ roles: [], newEpoch: true, holders, directory: data })
        const { file: third } = yield* here(data, proposed)
        const tooFew = adopt(data, third, anna(third), dora(third))
        assert.strictEqual(yield* codeOf(tooFew), "E_ROOT_SIG")
        const handed = yield* adopt(data, third, anna(third), dora(third), cleo(third))
        assert.deepInclude(handed, { version: 3, epoch: 2, changed: true })

        const foreign = fs.readFileSync(third, "utf8").replace('"version":3', '"version":4')
        const forged = foreign.replaceAll(/"recipient":"age1[^"]+"/gu, '"recipient":"age1theirs"')
        const fourth = join(folder, "root-000004.json")
        fs.writeFileSync(fourth, forged)
        const taken = adopt(data, fourth, anna(fourth), dora(fourth))
        assert.strictEqual(yield* codeOf(taken), "E_ROOT_NOT_OURS")
      }),
    LONG
  )
})

/** Root keys that are never on central's disk: a first root, a rotation, and a hand-over (§3.2). */
import { spawnSync } from "node:child_process"
import fs from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freshFolder } from "./support/database.ts"
import { holder, signText } from "./support/roots.ts"
import { done, filesOf, refused, report } from "./support/testferry.ts"

const LONG = 240_000
const hasSshKeygen = spawnSync("ssh-keygen", ["-?"]).error === undefined

/** A person with a key on a computer of their own. */
interface Person {
  readonly pub: string
  /** Signs a document as such a person does; answers the signature's file. */
  readonly sign: (document: string) => string
}

/** Without OpenSSH on this machine our own signatures stand for its, which are the same bytes. */
const person = (folder: string, name: string): Person => {
  const key = join(folder, name)
  const signature = (document: string) => join(folder, `${name}-${document.split("/").at(-1)}.sig`)
  if (!hasSshKeygen) {
    const { raw, ...own } = holder()
    fs.writeFileSync(`${key}.pub`, ourLine(raw))
    return {
      pub: `${key}.pub`,
      sign: (document) => {
        const text = fs.readFileSync(document, "utf8")
        const [armored = ""] = signText(text, [{ raw, ...own }]).signatures
        fs.writeFileSync(signature(document), armored)
        return signature(document)
      }
    }
  }
  keygen("-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key)
  return {
    pub: `${key}.pub`,
    sign: (document) => {
      const copy = join(folder, `${name}-${document.split("/").at(-1)}`)
      fs.copyFileSync(document, copy)
      keygen("-q", "-Y", "sign", "-f", key, "-n", "testferry-root-v1", copy)
      return signature(document)
    }
  }
}

const ourLine = (raw: string): string =>
  `ssh-ed25519 ${Buffer.concat([
    Buffer.from([0, 0, 0, 11]),
    Buffer.from("ssh-ed25519"),
    Buffer.from([0, 0, 0, 32]),
    Buffer.from(raw, "base64")
  ]).toString("base64")} nobody\n`

const keygen = (...args: ReadonlyArray<string>) => {
  const { status, stderr } = spawnSync("ssh-keygen", args, { encoding: "utf8" })
  assert.strictEqual(status, 0, stderr)
}

describe("root keys that are kept elsewhere", () => {
  it.live(
    "put two of three signatures before everything that devices are to trust",
    () =>
      Effect.gen(function* () {
        const folder = yield* freshFolder()
        const data = join(folder, "central")
        const [anna, ben, cleo, dora] = ["anna", "ben", "cleo", "dora"].map((name) =>
          person(folder, name)
        ) as [Person, Person, Person, Person]
        const keys = (...people: ReadonlyArray<Person>) => [
          "--root-keys",
          people.map(({ pub }) => pub).join(","),
          "--root-threshold",
          "2"
        ]
        yield* refused(data, "E_ROOT_KEYS", ["central", "init", ...keys(anna, anna)])
        assert.isFalse(fs.existsSync(join(data, "central.json")))

        const made = yield* report(data, "central", "init", ...keys(anna, ben, cleo))
        const first = join(data, "root-000001.json")
        assert.strictEqual(made.rootToSign, first)
        assert.notProperty(filesOf(join(data, "keys")), "root.pem")
        yield* refused(data, "E_NO_ROOT", ["central", "serve", "--port", "0"])
        yield* refused(data, "E_NO_ROOT", ["central", "root", "rotate", "--role", "c2d"])

        const adopt = ["central", "root", "adopt"]
        yield* refused(data, "E_ROOT_SIG", [...adopt, first, anna.sign(first)])
        yield* refused(data, "E_ROOT_SIG", [...adopt, first, anna.sign(first), dora.sign(first)])
        const adopted = yield* report(data, ...adopt, first, anna.sign(first), cleo.sign(first))
        assert.deepInclude(adopted, { version: 1, epoch: 1, changed: true })
        const shown = yield* report(data, "central", "root", "show")
        assert.deepInclude(shown, { words: made.rootWords, signatures: 2 })

        yield* refused(data, "E_ROOT_HOLDERS", ["central", "root", "rotate", "--role", "c2d"])
        const second = join(data, "root-000002.json")
        const rotated = yield* done(data, ...adopt, second, ben.sign(second), cleo.sign(second))
        assert.match(rotated, /^Root 2 is in force/u)

        const propose = ["central", "root", "propose", "--new-epoch", ...keys(anna, ben, dora)]
        const third = (yield* report(data, ...propose)).file
        assert.strictEqual(third, join(data, "root-000003.json"))
        const lost = [anna.sign(third), dora.sign(third)]
        yield* refused(data, "E_ROOT_SIG", [...adopt, third, ...lost])
        const handed = yield* report(data, ...adopt, third, ...lost, cleo.sign(third))
        assert.deepInclude(handed, { version: 3, epoch: 2, changed: true })
      }),
    LONG
  )
})

/** Private keys as files: made once, kept from others, never replaced. */
import { execFile, execFileSync } from "node:child_process"
import { sign, verify } from "node:crypto"
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { recipientOf } from "../infrastructure/age-file.ts"
import { type FileKeys, openKeys } from "../infrastructure/file-keys.ts"
import { keyId, publicKeyObject } from "../infrastructure/sshsig.ts"

const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "testferry-keys-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

/** One key of every sort, in a form that can be compared. */
const everyKey = Effect.fnUntraced(function* (keys: FileKeys) {
  const signing = yield* keys.ed25519("sig")
  const x25519 = yield* keys.ageIdentity("enc", "x25519")
  const hybrid = yield* keys.ageIdentity("results", "hybrid")
  const secret = Buffer.from(yield* keys.secret("db")).toString("hex")
  return { keyId: signing.keyId, x25519, hybrid, secret }
})

describe("a folder of keys", () => {
  it.effect("gives the same keys again, whoever opens it", () =>
    Effect.gen(function* () {
      const folder = join(yield* scratch, "data", "keys")
      const first = yield* everyKey(yield* openKeys(folder))
      assert.deepStrictEqual(yield* everyKey(yield* openKeys(folder)), first)
      assert.match(first.secret, /^[0-9a-f]{64}$/)
      for (const { identity, recipient } of [first.x25519, first.hybrid]) {
        assert.strictEqual(yield* recipientOf(identity), recipient)
      }
      assert.match(first.hybrid.recipient, /^age1pq1/)
      const other = yield* everyKey(yield* openKeys(join(yield* scratch, "keys")))
      assert.notStrictEqual(other.keyId, first.keyId)
      assert.notStrictEqual(other.secret, first.secret)
    })
  )

  it.effect("can be read by its owner only, and holds nothing but keys", () =>
    Effect.gen(function* () {
      const folder = join(yield* scratch, "keys")
      yield* everyKey(yield* openKeys(folder))
      const names = readdirSync(folder).sort()
      assert.deepStrictEqual(names, ["db.secret", "enc.age", "results.age", "sig.pem"])
      assert.strictEqual(lstatSync(folder).mode & 0o777, 0o700)
      for (const name of names) {
        assert.strictEqual(lstatSync(join(folder, name)).mode & 0o777, 0o600, name)
      }
    })
  )

  it.effect("gives a signing key whose three forms are one key", () =>
    Effect.gen(function* () {
      const keys = yield* openKeys(join(yield* scratch, "keys"))
      const { key, keyId: id, raw } = yield* keys.ed25519("sig")
      const signature = sign(null, Buffer.from("x"), key)
      assert.isTrue(verify(null, Buffer.from("x"), publicKeyObject(raw), signature))
      assert.strictEqual(id, keyId(raw))
    })
  )

  it.effect("makes each key once when many ask at the same time", () =>
    Effect.gen(function* () {
      const folder = join(yield* scratch, "keys")
      const asked = Array.from({ length: 20 }, () => Effect.flatMap(openKeys(folder), everyKey))
      const [first, ...others] = yield* Effect.all(asked, { concurrency: "unbounded" })
      for (const other of others) assert.deepStrictEqual(other, first)
      assert.lengthOf(readdirSync(folder), 4)
    })
  )

  it.effect("makes each key once when two processes start together", () =>
    Effect.gen(function* () {
      const folder = join(yield* scratch, "keys")
      const one = "const { openKeys } = await import('./infrastructure/file-keys.ts');"
      const two = "const { Effect } = await import('effect');"
      const print = `const keys = await Effect.runPromise(openKeys(${JSON.stringify(folder)}));
        const { keyId } = await Effect.runPromise(keys.ed25519("sig"));
        console.log(keyId, (await Effect.runPromise(keys.ageIdentity("enc", "x25519"))).recipient)`
      const args = ["--no-warnings", "--input-type=module", "-e", `${one}${two}${print}`]
      const started = [0, 1].map(() => promisify(execFile)(process.execPath, args))
      const [first, second] = yield* Effect.promise(() => Promise.all(started))
      assert.match(first!.stdout, /^SHA256:\S+ age1\S+\n$/)
      assert.strictEqual(second!.stdout, first!.stdout)
    })
  )

  it.effect("refuses a key that others can read or write, and leaves it as it is", () =>
    Effect.gen(function* () {
      const folder = join(yield* scratch, "keys")
      const keys = yield* openKeys(folder)
      yield* everyKey(keys)
      const path = join(folder, "sig.pem")
      const held = readFileSync(path, "utf8")
      for (const mode of [0o640, 0o604, 0o620, 0o601]) {
        chmodSync(path, mode)
        const refused = yield* Effect.flip(keys.ed25519("sig"))
        assert.deepInclude(refused, { _tag: "KeyFileRefused", path, reason: "open-to-others" })
      }
      assert.strictEqual(readFileSync(path, "utf8"), held)
      chmodSync(path, 0o600)
      yield* keys.ed25519("sig")
    })
  )

  it.effect("is refused when others can enter it", () =>
    Effect.gen(function* () {
      const folder = join(yield* scratch, "keys")
      mkdirSync(folder)
      chmodSync(folder, 0o755)
      const refused = yield* Effect.flip(openKeys(folder))
      assert.deepInclude(refused, { path: folder, reason: "open-to-others" })
    })
  )

  it.effect("refuses what is no key rather than making a new one in its place", () =>
    Effect.gen(function* () {
      const folder = join(yield* scratch, "keys")
      const keys = yield* openKeys(folder)
      const good = yield* keys.ageIdentity("good", "x25519")
      for (const text of ["", "x", "\0".repeat(9_000), `${good.identity.slice(0, -1)}Q\n`]) {
        for (const name of ["bad.pem", "bad.age", "bad.secret"]) {
          writeFileSync(join(folder, name), text, { mode: 0o600 })
        }
        for (const asked of [
          keys.ed25519("bad"),
          keys.ageIdentity("bad", "x25519"),
          keys.ageIdentity("bad", "hybrid"),
          keys.secret("bad")
        ]) {
          assert.strictEqual(
            (yield* Effect.flip<unknown, { reason: string }, never>(asked)).reason,
            "damaged"
          )
        }
        assert.strictEqual(readFileSync(join(folder, "bad.pem"), "utf8"), text)
      }
      const otherKind = yield* Effect.flip(keys.ageIdentity("good", "hybrid"))
      assert.strictEqual(otherKind.reason, "damaged")
    })
  )

  it.effect("refuses a link, a folder and a pipe in place of a key, without waiting", () =>
    Effect.gen(function* () {
      const folder = join(yield* scratch, "keys")
      const keys = yield* openKeys(folder)
      yield* keys.secret("real")
      symlinkSync(join(folder, "real.secret"), join(folder, "linked.secret"))
      symlinkSync(join(folder, "nowhere"), join(folder, "dangling.secret"))
      mkdirSync(join(folder, "folder.secret"))
      execFileSync("mkfifo", ["-m", "600", join(folder, "pipe.secret")])
      for (const name of ["linked", "dangling", "folder", "pipe"]) {
        assert.strictEqual((yield* Effect.flip(keys.secret(name))).reason, "not-a-file", name)
      }
      assert.isFalse(existsSync(join(folder, "nowhere")))
    })
  )

  it.effect("takes no name that leads out of it", () =>
    Effect.gen(function* () {
      const keys = yield* openKeys(join(yield* scratch, "keys"))
      for (const name of ["../sig", "a/b", "", ".", "A", "x".repeat(65)]) {
        const exit = yield* Effect.exit(keys.secret(name))
        assert.strictEqual(exit._tag, "Failure")
      }
    })
  )
})

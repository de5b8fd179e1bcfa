/** Sticks, judged by our own check and by the tools that schools have: the verdicts must agree. */
import { spawnSync } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { verifyBundles } from "../application/verify-bundle.ts"
import * as AgeFile from "../infrastructure/age-file.ts"
import { layerHashing } from "../infrastructure/crypto-ports.ts"
import { publicKeyLine, rawPublicKey } from "../infrastructure/sshsig.ts"
import * as StickMedium from "../infrastructure/stick-medium.ts"
import * as StickWriter from "../infrastructure/stick-writer.ts"
import { openVolume } from "../infrastructure/zip-volume-reader.ts"
import { badMedium } from "./support/bad-medium.ts"
import { bundle, CENTRAL, DEVICE, layerSignatures, put, trustIn } from "./support/bundles.ts"
import { freshFolder } from "./support/database.ts"

const provided = Effect.provide(
  Layer.mergeAll(StickMedium.layer, StickWriter.layer, layerHashing, layerSignatures)
)
const SEGMENT = 4_096
const THREE_VOLUMES = { sizes: [700, 9_000, 200_000], volume: 100_000 }

/** With central's key known, or, on a machine that trusts nobody yet, without. */
const check = (from: string, isTrusting = true) =>
  Effect.gen(function* () {
    const trust = isTrusting ? trustIn(CENTRAL) : undefined
    const [verified] = yield* verifyBundles(from, () => Effect.succeed(trust))
    assert.isDefined(verified)
    return verified
  })

/** Flips bits of one byte of an entry, where it lies in its volume. */
const flip = Effect.fnUntraced(function* (file: string, name: string, at: number) {
  const { entries } = yield* Effect.scoped(openVolume(file))
  const bytes = fs.readFileSync(file)
  const place = (entries.get(name)?.offset ?? Number.NaN) + at
  bytes[place] = (bytes[place] ?? 0) ^ 0x40
  fs.writeFileSync(file, bytes)
})

const run = (command: string, args: ReadonlyArray<string>, input?: Buffer) => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { input, cwd: "/" })
  return { isHere: error === undefined, ok: status === 0, out: `${stdout}${stderr}`, stdout }
}

const PYTHON = `
import sys, zipfile
for file in sys.argv[1:]:
    try: print("good" if zipfile.ZipFile(file).testzip() is None else "bad")
    except zipfile.BadZipFile: print("bad")
`

/** What each tool that is here says of the structure and checksums of volumes. */
const structure = (files: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<boolean>> => {
  const said = [
    ["unzip", "-tq"],
    ["7z", "t", "-bd"]
  ].map(([command = "", ...args]) =>
    files.map((file) => run(command, [...args, file])).filter(({ isHere }) => isHere)
  )
  const python = run("python3", ["-c", PYTHON, ...files])
  const verdicts = said.map((results) => results.map(({ ok }) => ok))
  if (python.isHere)
    verdicts.push(
      python.out
        .trim()
        .split("\n")
        .map((word) => word === "good")
    )
  return verdicts.filter((one) => one.length > 0)
}

/** Sees that every tool that is here says the same of each volume. */
const expectStructure = (files: ReadonlyArray<string>, good: boolean) => {
  const verdicts = structure(files)
  assert.isNotEmpty(verdicts)
  for (const verdict of verdicts)
    assert.deepStrictEqual(
      verdict,
      files.map(() => good)
    )
}

/** The entries that `sha256sum -c` finds wrong in a volume, as README.txt says to ask it. */
const wrongSums = Effect.fnUntraced(function* (file: string) {
  const aside = yield* freshFolder()
  spawnSync("unzip", ["-q", file, "-d", aside])
  const { stdout } = spawnSync("sha256sum", ["-c", "SHA256SUMS"], { cwd: aside })
  return [...`${stdout}`.matchAll(/^(.+): FAILED/gmu)].map(([, name = ""]) => name)
})

/** Whether `ssh-keygen` finds central's signature under the manifest of a volume. */
const isSigned = Effect.fnUntraced(function* (file: string) {
  const aside = yield* freshFolder()
  const at = (name: string) => path.join(aside, name)
  const line = publicKeyLine(rawPublicKey(CENTRAL), "")
  fs.writeFileSync(at("allowed_signers"), `central namespaces="testferry-c2d-v1" ${line}\n`)
  fs.writeFileSync(at("sig"), run("unzip", ["-p", file, "manifest.json.sig"]).stdout)
  const manifest = run("unzip", ["-p", file, "manifest.json"]).stdout
  const who = ["-I", "central", "-n", "testferry-c2d-v1"]
  const args = ["-Y", "verify", "-f", at("allowed_signers"), ...who, "-s", at("sig")]
  return run("ssh-keygen", args, manifest).ok
})

describe("checking a stick", () => {
  it.effect("finds an honest one good, as all tools do, and needs no secret", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const made = bundle(THREE_VOLUMES)
      const { paths } = yield* put(to, made)
      const trusting = yield* check(to)
      assert.strictEqual(trusting.signature, "good")
      assert.deepStrictEqual(trusting.manifest, made.manifest)
      const { damages, missing, refused, signature } = yield* check(to, false)
      assert.deepStrictEqual(
        { damages, missing, refused, signature },
        { damages: [], missing: [], refused: null, signature: "not checked" }
      )
      expectStructure(paths, true)
      for (const file of paths) {
        assert.deepStrictEqual(yield* wrongSums(file), [])
        assert.isTrue(yield* isSigned(file))
      }
    }).pipe(provided)
  )

  it.effect("names every damaged stretch in one pass, and the tools the same parts", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const made = bundle(THREE_VOLUMES)
      const { paths } = yield* put(to, made)
      const [first = "", second = "", third = "", ...more] = paths
      assert.deepStrictEqual(more, [])
      const piece = (volume: number) => {
        const found = made.parts.findLast(({ part }) => part.volume === volume)?.part
        assert.isDefined(found)
        return found
      }
      const last = piece(3)
      yield* flip(first, "p/000001.age", SEGMENT)
      yield* flip(second, piece(2).name, 0)
      yield* flip(second, piece(2).name, 3 * SEGMENT + 5)
      yield* flip(third, last.name, last.size - 1)
      const { damages, refused } = yield* check(to)
      assert.isNull(refused)
      const damage = (volume: number, part: string, segment: number, to: number) => {
        const from = segment * SEGMENT
        return { code: "E_PART_DIGEST" as const, volume, part, segment, from, to }
      }
      assert.deepStrictEqual(damages, [
        damage(1, "p/000001.age", 1, 2 * SEGMENT - 1),
        damage(2, piece(2).name, 0, SEGMENT - 1),
        damage(2, piece(2).name, 3, 4 * SEGMENT - 1),
        damage(3, last.name, last.segments.length - 1, last.size - 1)
      ])
      expectStructure(paths, false)
      for (const [at, file] of paths.entries()) {
        const ours = damages.filter(({ volume }) => volume === at + 1).map(({ part }) => part)
        assert.deepStrictEqual(yield* wrongSums(file), [...new Set(ours)])
        assert.isTrue(yield* isSigned(file))
      }
    }).pipe(provided)
  )

  it.effect("names what can't be read, after trying again", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const made = bundle()
      const { paths } = yield* put(to, made)
      const { entries } = yield* Effect.scoped(openVolume(paths[0] ?? ""))
      const bad = (entries.get("p/000001.age")?.offset ?? 0) + SEGMENT
      const read = (times: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            let left = times
            yield* badMedium(to, ({ method, offset, path: file }) =>
              method === "read" && file === paths[0] && offset === bad && left-- > 0
                ? "EIO"
                : undefined
            )
            return (yield* check(to)).damages
          })
        )
      assert.deepStrictEqual(yield* read(2), [])
      const [from, end] = [SEGMENT, 2 * SEGMENT - 1]
      assert.deepStrictEqual(yield* read(3), [
        { code: "E_MEDIA_IO", volume: 1, part: "p/000001.age", segment: 1, from, to: end }
      ])
    }).pipe(provided)
  )

  it.effect("names the volumes that are not there, and checks the others", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const made = bundle(THREE_VOLUMES)
      const { paths } = yield* put(to, made)
      fs.rmSync(paths[1] ?? "")
      yield* flip(paths[0] ?? "", "p/000001.age", 0)
      const { damages, missing, refused } = yield* check(to)
      assert.deepStrictEqual({ missing, refused }, { missing: [2], refused: null })
      assert.deepStrictEqual(
        damages.map(({ part }) => part),
        ["p/000001.age"]
      )
    }).pipe(provided)
  )

  it.effect("names a volume that was cut off, and the damage in the others beside it", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const { paths } = yield* put(to, bundle(THREE_VOLUMES))
      const [first = "", second = ""] = paths
      yield* flip(first, "p/000001.age", 0)
      fs.truncateSync(second, Math.floor(fs.statSync(second).size / 2))
      const { damages, missing, refused } = yield* check(to)
      assert.strictEqual(refused?.code, "E_ZIP_EOCD")
      assert.include(refused?.detail, path.basename(second))
      assert.deepStrictEqual(
        damages.map(({ part }) => part),
        ["p/000001.age"]
      )
      assert.deepStrictEqual(missing, [])
      expectStructure([second], false)
    }).pipe(provided)
  )

  it.effect("does not guess which of mixed volumes is meant", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const other = yield* freshFolder()
      const { paths } = yield* put(to, bundle())
      const foreign = yield* put(other, bundle())
      fs.copyFileSync(foreign.paths[1] ?? "", paths[1] ?? "")
      const { damages, manifest, refused } = yield* check(to)
      assert.strictEqual(refused?.code, "E_VOLUME_MIX")
      assert.include(refused?.detail, path.basename(paths[1] ?? ""))
      assert.deepStrictEqual({ damages, manifest }, { damages: [], manifest: null })
    }).pipe(provided)
  )

  it.effect("refuses a bundle under another number, device or direction", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      yield* put(to, bundle())
      const folder = path.join(to, "TESTFERRY/to-device", DEVICE)
      for (const name of fs.readdirSync(folder)) {
        fs.renameSync(path.join(folder, name), path.join(folder, name.replace("42", "43")))
      }
      assert.strictEqual((yield* check(to)).refused?.code, "E_VOL_NAME")
      fs.renameSync(folder, path.join(path.dirname(folder), "dev_another"))
      assert.strictEqual((yield* check(to)).refused?.code, "E_VOL_NAME")
      fs.renameSync(path.join(to, "TESTFERRY/to-device"), path.join(to, "TESTFERRY/to-central"))
      assert.strictEqual((yield* check(to, false)).refused?.code, "E_VOL_NAME")
    }).pipe(provided)
  )

  it.effect("finds a forged one forged, as ssh-keygen does, though all its sums are right", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const signer = generateKeyPairSync("ed25519").privateKey
      const { paths } = yield* put(to, bundle({ signer }))
      const [file = ""] = paths
      const { manifest, refused, signature } = yield* check(to)
      assert.deepStrictEqual(
        { code: refused?.code, manifest, signature },
        { code: "E_SIG_UNKNOWN_KEY", manifest: null, signature: "bad" }
      )
      expectStructure(paths, true)
      assert.deepStrictEqual(yield* wrongSums(file), [])
      assert.isFalse(yield* isSigned(file))
    }).pipe(provided)
  )

  it.effect("leaves contents that age opens, put together from their parts", () =>
    Effect.gen(function* () {
      const to = yield* freshFolder()
      const { identity, recipient } = yield* AgeFile.newIdentity("x25519")
      const text = Buffer.alloc(200_000, "what a school must not see ")
      const sealed = Buffer.from(yield* AgeFile.seal([recipient], text))
      const made = bundle({ files: [sealed.subarray(0, 700), sealed] })
      const { paths } = yield* put(to, made)
      const pieces = made.parts.filter(({ part }) => part.name.startsWith("p/000001"))
      const whole = Buffer.concat(
        pieces.map(({ part }) => {
          const file = paths[part.volume - 1] ?? ""
          return run("unzip", ["-p", file, part.name]).stdout
        })
      )
      assert.isAbove(pieces.length, 1)
      assert.isTrue(Buffer.from(yield* AgeFile.open([identity], whole)).equals(text))
      const key = path.join(yield* freshFolder(), "key")
      fs.writeFileSync(key, `${identity}\n`, { mode: 0o600 })
      const age = run("age", ["-d", "-i", key], whole)
      if (age.isHere) assert.isTrue(text.equals(age.stdout))
    }).pipe(provided)
  )
})

/**
 * Sealed and opened results as files, for carrying them by hand (format §3.7). One folder of sealed
 * ones, one JSON file each; another one of opened ones, that a person chose: nothing opened is
 * written into the first. Every file is written aside and renamed, so a run that was killed goes on.
 *
 * Who carries a folder may change it: what comes back counts at central only with the signature of
 * the device; on the opening machine the keys of devices are compared by their words.
 */
import { hash } from "node:crypto"
import { appendFile, mkdir, open, readdir, rename } from "node:fs/promises"
import path from "node:path"
import { Effect, Layer, Option, Schema, Stream } from "effect"
import { type OpenedResult, OpenedResults, SealedResults } from "../application/record-ports.ts"
import { Refused } from "../application/refused.ts"
import { DeviceId, Digest } from "../domain/id.ts"
import {
  ASK_BYTES_MAX,
  asOpening,
  BATCH_RESULTS_MAX,
  Opening,
  SealedResult
} from "../domain/opening.ts"

/** Holds a bigger batch than this in memory only where one result is that large. */
const BATCH_CHARACTERS = 16 * 1_048_576

/** `dev_….<digest>.json`; nothing else in a folder is looked at. */
const NAME = /^[a-z0-9_]{1,80}\.[0-9a-f]{64}\.json$/u
const nameOf = ({ device, sha256 }: { readonly device: string; readonly sha256: string }) =>
  `${device}.${sha256}.json`

/** Writes sealed results into a folder. Answers the words of the devices' keys. */
export const writeSealed = Effect.fn("writeSealed")(function* (
  directory: string,
  batch: ReadonlyArray<SealedResult>
) {
  yield* attempt(directory, () => mkdir(directory, { recursive: true, mode: 0o700 }))
  yield* Effect.forEach(batch, (one) => writeJson(path.join(directory, nameOf(one)), one), {
    discard: true
  })
})

/** What was opened, and what was not, as the decrypt command left it in a folder. */
export const openedIn = (directory: string) => filesIn(directory, decodeOpening)

/**
 * One digest over the keys of all devices of a folder, in an order of its own: the same on the
 * machine that packed and on the one that opens, unless somebody changed a key on the way.
 */
export const keysDigest = Effect.fn("keysDigest")(function* (directory: string) {
  const keys = new Set<string>()
  for (const name of yield* namesIn(directory)) {
    const { device, signers } = yield* sealedOrDamaged(directory, name)
    if (signers !== NO_SIGNERS) keys.add(`${device} ${[...signers].sort().join(" ")}`)
  }
  return hash("sha256", [...keys].sort().join("\n"), "buffer")
})

/** Keepers of a folder of sealed results, whose opened ones go into another. */
export const layerSealed = (from: string, to: string) =>
  Layer.effect(
    SealedResults,
    Effect.gen(function* () {
      yield* attempt(to, () => mkdir(to, { recursive: true, mode: 0o700 }))
      let left: Array<string> | undefined
      const waiting = Effect.gen(function* () {
        const done = yield* openedNames(to)
        const names = yield* namesIn(from)
        return names.filter((name) => !done.has(name))
      })
      return SealedResults.of({
        lanes: 1,
        waiting: () => Effect.map(waiting, (names) => names.length),
        // A file that says why it did not open is overwritten: it is tried again by itself.
        retry: () => Effect.void,
        step: Effect.fn("FolderResults.step")(function* (_, opener) {
          left ??= [...(yield* waiting)]
          const batch: Array<SealedResult> = []
          let characters = 0
          while (
            left.length > 0 &&
            batch.length < BATCH_RESULTS_MAX &&
            characters < BATCH_CHARACTERS
          ) {
            const sealed = yield* sealedOrDamaged(from, left.shift() ?? "")
            batch.push(sealed)
            characters += sealed.box.length
          }
          if (batch.length === 0) return undefined
          const openings = (yield* opener(batch)).map(asOpening)
          yield* Effect.forEach(openings, (one) => writeJson(path.join(to, nameOf(one)), one), {
            discard: true
          })
          return openings.map((one) => ("why" in one ? one.why : ("decrypted" as const)))
        }),
        ended: (run) =>
          attempt(to, () => appendFile(path.join(to, "runs.jsonl"), `${JSON.stringify(run)}\n`))
      })
    })
  )

/** Opened results of a folder, for export. */
export const layerOpened = (directory: string) =>
  Layer.effect(
    OpenedResults,
    Effect.gen(function* () {
      const seen = new Map<string, number>()
      const all = openedIn(directory).pipe(
        Stream.map((one) => ("document" in one ? [one] : [])),
        Stream.flattenIterable,
        Stream.orDie
      )
      const name = ({ document }: { readonly document: OpenedResult["document"] }) =>
        `${document.execution} ${document.revision}`
      yield* Stream.runForEach(all, (one) =>
        Effect.sync(() => void seen.set(name(one), (seen.get(name(one)) ?? 0) + 1))
      )
      return OpenedResults.of({
        put: () => Effect.die(new Error("a folder of opened results is only read")),
        list: ({ delivery, organisation }) =>
          all.pipe(
            Stream.filter(
              ({ document }) =>
                (delivery === undefined || document.delivery === delivery) &&
                (organisation === undefined || document.organisation === organisation)
            ),
            Stream.map(
              (one): OpenedResult => ({
                device: one.device,
                sha256: one.sha256,
                document: one.document,
                openedAt: 0,
                conflict: (seen.get(name(one)) ?? 0) > 1
              })
            )
          )
      })
    })
  )

const decodeSealed = Schema.decodeUnknownOption(Schema.fromJsonString(SealedResult))
const decodeOpening = Schema.decodeUnknownOption(Schema.fromJsonString(Opening))

const filesIn = <A>(directory: string, decode: (text: string) => Option.Option<A>) =>
  Stream.unwrap(
    Effect.map(namesIn(directory), (names) =>
      Stream.mapEffect(Stream.fromIterable(names), (name) =>
        readJson(path.join(directory, name), decode)
      )
    )
  )

const namesIn = (directory: string) =>
  Effect.map(
    attempt(directory, () => readdir(directory)),
    (names) => names.filter((name) => NAME.test(name)).sort()
  )

/** Results that were opened before; what could not be, or can't be read, is tried again. */
const openedNames = Effect.fnUntraced(function* (directory: string) {
  const opened = new Set<string>()
  for (const name of yield* namesIn(directory)) {
    const one = yield* Effect.option(readJson(path.join(directory, name), decodeOpening))
    if (Option.isSome(one) && "document" in one.value) opened.add(name)
  }
  return opened
})

/** Of a damaged file: somebody would have signed it, but nobody knows who. */
const NO_SIGNERS: ReadonlyArray<string> = [""]

/** A damaged file does not stop the others: it counts as altered. */
const sealedOrDamaged = (directory: string, file: string) =>
  readJson(path.join(directory, file), decodeSealed).pipe(
    Effect.catchIf(
      ({ code }) => code === "E_RESULTS_FILE",
      () => {
        const [device = "", sha256 = ""] = file.split(".")
        const damaged: SealedResult = {
          device: DeviceId.make(device, { disableChecks: true }),
          sha256: Digest.make(sha256, { disableChecks: true }),
          id: "",
          revision: 0,
          box: "",
          signers: NO_SIGNERS
        }
        return Effect.succeed(damaged)
      }
    )
  )

const readJson = Effect.fnUntraced(function* <A>(
  file: string,
  decode: (text: string) => Option.Option<A>
) {
  const text = yield* attempt(file, async () => {
    await using handle = await open(file, "r")
    const { size } = await handle.stat()
    if (size > ASK_BYTES_MAX) throw new Error("it is larger than any result")
    // Awaited here, or the handle would be closed before.
    return await handle.readFile("utf8")
  })
  const value = decode(text)
  return Option.isSome(value) ? value.value : yield* Effect.fail(unreadable(file))
})

const writeJson = (file: string, value: unknown) =>
  attempt(file, async () => {
    const aside = `${file}.partial`
    await using handle = await open(aside, "w", 0o600)
    await handle.writeFile(JSON.stringify(value))
    await handle.sync()
    await rename(aside, file)
  })

const attempt = <A>(file: string, work: () => Promise<A>) =>
  Effect.tryPromise({
    try: work,
    catch: (cause) =>
      new Refused({
        code: "E_RESULTS_FOLDER",
        what: "Not everything was done.",
        why: `${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
        todo: "Check the folder and the room on it, and run this again to go on."
      })
  })

const unreadable = (file: string): Refused =>
  new Refused({
    code: "E_RESULTS_FILE",
    what: "Not everything was done.",
    why: `${file} is not a file that "results pack" or "results decrypt" wrote, or it was damaged.`,
    todo: "Pack it again at central, or move it away, and run this again to go on."
  })

/**
 * Sits a delivery as a test-taker would, through the runner API over HTTP like any other runner, with
 * plausible answers: to rehearse an exam day, and to have something to compare in a demonstration.
 * Unlike a runner it reads the package itself, which says what would be right.
 */
import { createHash } from "node:crypto"
import { Clock, Effect, Layer, Redacted, References, Schema, Stream } from "effect"
import { Refused } from "../application/refused.ts"
import { Visitors } from "../application/session-ports.ts"
import { files } from "../application/sit.ts"
import { type Answer, matchesCorrect, plausible, type Question } from "../domain/plausible.ts"
import { MANIFEST } from "../domain/qti-document.ts"
import { ExecutionId } from "../domain/result.ts"
import { readManifest } from "../infrastructure/qti-manifest.ts"
import { type ItemRef, readItemRefs, readQuestions } from "../infrastructure/qti-questions.ts"
import { defineCommand } from "./command.ts"

const Given = Schema.Record(Schema.String, Schema.NullOr(Schema.Array(Schema.String)))

export const SimulateReport = Schema.Struct({
  execution: Schema.String,
  delivery: Schema.String,
  label: Schema.String,
  stage: Schema.String,
  answers: Schema.Array(
    Schema.Struct({
      item: Schema.String,
      response: Schema.String,
      values: Schema.NullOr(Schema.Array(Schema.String)),
      score: Schema.NullOr(Schema.Int)
    })
  )
})
export type SimulateReport = typeof SimulateReport.Type

export const simulateCommand = defineCommand({
  name: "device simulate-session",
  side: "device",
  args: Schema.Struct({
    login: Schema.String,
    password: Schema.Redacted(Schema.String),
    delivery: Schema.NullOr(Schema.String),
    /** Values by "item" or "item.RESPONSE"; what is not given is made up. */
    answers: Given
  }),
  report: SimulateReport,
  run: (args) =>
    Effect.gen(function* () {
      // Loaded here: most commands of a device need no server.
      const { HttpServer } = yield* Effect.promise(() => import("effect/http"))
      const DeviceServer = yield* Effect.promise(() => import("./device-server.ts"))
      // A door of its own: that of the server may have another name, or a certificate.
      const built = yield* Layer.build(
        DeviceServer.layer({
          host: "127.0.0.1",
          port: 0,
          tls: undefined,
          grace: "1 second"
        }).pipe(Layer.provide(Layer.succeed(References.MinimumLogLevel, "Warn")))
      ).pipe(Effect.orDie)
      const { address } = yield* Effect.provideContext(HttpServer.HttpServer, built)
      const base = `http://127.0.0.1:${"port" in address ? address.port : 0}`
      return yield* sit(base, args)
    }).pipe(Effect.scoped)
})

interface Args {
  readonly login: string
  readonly password: Redacted.Redacted
  readonly delivery: string | null
  readonly answers: typeof Given.Type
}

const LoggedIn = Schema.Struct({ token: Schema.String })
const Offer = Schema.Struct({
  delivery: Schema.String,
  label: Schema.String,
  denied: Schema.NullOr(Schema.String),
  session: Schema.NullOr(Schema.Struct({ execution: Schema.String }))
})
const Offers = Schema.Struct({ deliveries: Schema.Array(Offer) })
const Told = Schema.Struct({ execution: ExecutionId, stage: Schema.String })
const Problem = Schema.Struct({ code: Schema.String, title: Schema.String, detail: Schema.String })

const sit = Effect.fn("simulate")(function* (base: string, args: Args) {
  const login = { login: args.login, password: Redacted.value(args.password) }
  const { token } = yield* call(base, "POST", "/runner/v1/login", "", LoggedIn, login)
  const { deliveries } = yield* call(base, "GET", "/runner/v1/deliveries", token, Offers)
  const chosen = deliveries.find(({ delivery, denied, session }) =>
    args.delivery === null
      ? denied === null || session !== null
      : [args.delivery, `dlv_${args.delivery}`].includes(delivery)
  )
  if (chosen === undefined) return yield* nothingToSit
  const { delivery, label } = chosen
  const begun = yield* call(base, "POST", "/runner/v1/executions", token, Told, { delivery })
  const at = `/runner/v1/executions/${begun.execution}`
  yield* call(base, "POST", `${at}/start`, token, Told)
  const file = yield* insider(token, begun.execution)
  const items = yield* itemsOf(file)
  const answers: Array<SimulateReport["answers"][number]> = []
  for (const [index, item] of items.entries()) {
    const bytes = yield* file(item.file)
    const sat = satItem(item, bytes, args)
    const now = yield* Clock.currentTimeMillis
    yield* call(
      base,
      "PUT",
      `${at}/saves/${encodeURIComponent(item.identifier)}`,
      token,
      Schema.Json,
      {
        seq: 1,
        state: { answered: sat.answers.length },
        variables: [variablesOf(item, index + 1, sat, now)]
      }
    )
    answers.push(
      ...sat.answers.map(({ question, values }) => ({
        item: item.identifier,
        response: question.response,
        values,
        score: sat.score
      }))
    )
  }
  const { stage } = yield* call(base, "POST", `${at}/finish`, token, Told)
  return { execution: begun.execution, delivery, label, stage, answers } satisfies SimulateReport
})

/** Reads files of the package as they are, which the door gives to nobody. */
const insider = Effect.fnUntraced(function* (token: string, execution: ExecutionId) {
  const visitors = yield* Visitors
  const visitor = yield* Effect.flatMap(visitors.find(token), Effect.fromOption)
  const open = yield* files(visitor, execution)
  return (name: string) =>
    Effect.map(Stream.runCollect(open.read(name.normalize("NFC"))), (chunks) =>
      Buffer.concat(chunks)
    ).pipe(Effect.orDie)
}, Effect.orDie)

const itemsOf = Effect.fnUntraced(function* (file: (name: string) => Effect.Effect<Uint8Array>) {
  const manifest = readManifest(yield* file(MANIFEST))
  if ("code" in manifest) return []
  const test = manifest.resources.find(({ type }) => /^imsqti_test/u.test(type))
  if (test?.href !== undefined) return readItemRefs(yield* file(test.href), test.href)
  return manifest.resources.flatMap(
    ({ href, identifier, type }): ReadonlyArray<ItemRef> =>
      /^imsqti_item/u.test(type) && href !== undefined ? [{ identifier, file: href }] : []
  )
})

interface Sat {
  readonly answers: ReadonlyArray<{ readonly question: Question; readonly values: Answer }>
  readonly score: 0 | 1 | null
}

/** Answers an item: as it was given, or as the same login always would. */
const satItem = (item: ItemRef, bytes: Uint8Array, { answers: given, login }: Args): Sat => {
  const { questions, scoresByMatch } = readQuestions(bytes, item.file)
  const below = diceOf(`${login} ${item.identifier}`)
  const answers = questions.map((question) => {
    const values =
      given[`${item.identifier}.${question.response}`] ??
      given[item.identifier] ??
      plausible(question, below)
    return { question, values }
  })
  const [first] = answers
  const known = scoresByMatch && first !== undefined && first.question.correct.length > 0
  return { answers, score: known ? (matchesCorrect(first.question, first.values) ? 1 : 0) : null }
}

/** Numbers that follow from the words alone, so that a rehearsal can be repeated. */
const diceOf = (words: string) => {
  let thrown = 0
  return (n: number): number => {
    thrown += 1
    return (
      createHash("sha256").update(`${thrown} ${words}`).digest().readUInt32LE(0) % Math.max(1, n)
    )
  }
}

const variablesOf = (item: ItemRef, position: number, { answers, score }: Sat, at: number) => ({
  item: item.identifier,
  position,
  attempt: 1,
  variables: [
    ...answers.map(({ question, values }) => ({
      kind: "response",
      identifier: question.response,
      cardinality: question.cardinality,
      baseType: question.baseType,
      values: values?.map((value) => ({ value })) ?? null,
      at
    })),
    ...(score === null
      ? []
      : [
          {
            kind: "outcome",
            identifier: "SCORE",
            cardinality: "single",
            baseType: "float",
            values: [{ value: String(score) }],
            at
          }
        ])
  ]
})

const send = (base: string, method: string, path: string, token: string, body?: Schema.Json) =>
  Effect.promise(() =>
    fetch(base + path, {
      method,
      headers: {
        ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" })
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
  )

const call = Effect.fnUntraced(function* <A, I>(
  base: string,
  method: string,
  path: string,
  token: string,
  schema: Schema.Codec<A, I>,
  body?: Schema.Json
) {
  const answer = yield* send(base, method, path, token, body)
  const json = yield* Effect.promise(() => answer.json())
  if (!answer.ok) return yield* refused(json)
  return yield* Effect.orDie(Schema.decodeUnknownEffect(schema)(json))
})

const refused = Effect.fnUntraced(function* (json: unknown) {
  const { code, detail, title } = yield* Effect.orDie(Schema.decodeUnknownEffect(Problem)(json))
  return yield* new Refused({
    code: code === "wrong-login" ? "E_LOGIN" : `E_${code.replaceAll("-", "_").toUpperCase()}`,
    what: "The session was not sat to its end.",
    why: `The runner's door says: ${title}.`,
    todo: detail
  })
})

const nothingToSit = new Refused({
  code: "E_NOTHING_TO_SIT",
  what: "No session was begun.",
  why: "There is no such delivery for this login, or none that may be sat now.",
  todo: 'Run "testferry device open --login LOGIN" to see what the login may sit, and when.'
})

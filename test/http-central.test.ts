/** A device's road to central over HTTPS: the port's contract, and every trouble on the way. */
import type { RequestListener } from "node:http"
import { connect } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import {
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Schedule,
  Scope,
  Stream
} from "effect"
import { Atomic, Blobs, Central, CentralAway, Feeds, type Offer } from "../application/ports.ts"
import type { Refused } from "../application/refused.ts"
import { keyText } from "../domain/entity.ts"
import { START } from "../domain/feed.ts"
import { Digest, EntityId, OrganisationId } from "../domain/id.ts"
import type { CentralPorts } from "../entrypoints/wiring.ts"
import { patient, TryLater } from "../infrastructure/http-talk.ts"
import { type CentralData, centralContract } from "./contract/central.ts"
import * as DoorSupport from "./support/door.ts"
import { addDevice, Door, setState } from "./support/door.ts"
import { freePort } from "./support/free-port.ts"
import { offer, sha256 } from "./support/offers.ts"
import { badLine, memoryCache, reach, rudeServer } from "./support/reach.ts"
import { layerEmbedded } from "./support/real-central.ts"
import { layerFilled, MINE, schoolOf } from "./support/two-schools.ts"

/** Puts into central's feeds and blobs what the contract wants there. */
const offerAll = Effect.fnUntraced(function* (data: CentralData) {
  const blobs = yield* Blobs
  for (const offers of turns(data.offers)) yield* append(data.organisation, offers)
  yield* append(data.otherOrganisation, data.otherOffers)
  for (const bytes of data.contents) {
    const write = Stream.make(bytes)
    yield* blobs.write(sha256(bytes), bytes.byteLength, write, () => Effect.void)
  }
  return yield* addDevice("dev_contract", [data.organisation])
})

const append = Effect.fnUntraced(function* (
  organisation: OrganisationId,
  offers: ReadonlyArray<Offer>
) {
  const atomic = yield* Atomic
  const feeds = yield* Feeds
  yield* atomic.run(Effect.andThen(feeds.lock(organisation), feeds.append(organisation, offers)))
})

/** The offers in order, in as few turns as there can be: a feed takes each key once per turn. */
const turns = (offers: ReadonlyArray<Offer>): ReadonlyArray<ReadonlyArray<Offer>> => {
  const found: Array<Map<string, Offer>> = [new Map()]
  for (const each of offers) {
    const key = keyText(each.key)
    if (found.at(-1)?.has(key)) found.push(new Map())
    found.at(-1)?.set(key, each)
  }
  return found.map((turn) => [...turn.values()])
}

centralContract("over HTTPS", (data) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const door = yield* Door
      return reach(door.baseUrl, yield* offerAll(data))
    })
  ).pipe(Layer.provide(DoorSupport.layer(layerEmbedded)))
)

/** A device of the organisation "mine". */
const myDevice = addDevice("dev_mine", [MINE])

/** Runs a test with a door, whose log lines it may read, and a scope. */
const atDoor = <A, E>(
  test: (log: ReadonlyArray<string>) => Effect.Effect<A, E, Door | CentralPorts | Scope.Scope>,
  ports: Layer.Layer<CentralPorts, Refused> = layerFilled
) => {
  const log: Array<string> = []
  const loggers = [Logger.map(Logger.formatJson, (line) => void log.push(line))]
  return Effect.scoped(test(log)).pipe(Effect.provide(DoorSupport.layer(ports, { loggers })))
}

const page = Central.use((central) => central.page(MINE, START))
const nobody = { id: "dev_nobody", auth: DoorSupport.someKey }
const token = { token: "kept", expires: Date.now() + 600_000 }
const withToken = () => memoryCache(token)

describe("the road to central", () => {
  it.live("refuses a server with another certificate, before a byte of a request is sent", () =>
    atDoor((log) =>
      Effect.gen(function* () {
        const door = yield* Door
        const device = yield* myDevice
        const line = yield* badLine(door.port)
        for (const trust of [{ fingerprint: "00".repeat(32) }, "authorities"] as const) {
          const failure = yield* Effect.flip(
            Effect.provide(page, reach(line.baseUrl, device, { trust }))
          )
          assert.deepInclude(failure, { _tag: "CentralAway", reason: "certificate" })
        }
        assert.deepStrictEqual(log, [])
      })
    )
  )

  it.live("asks with under a kilobyte on the wire whether there is anything new", () =>
    atDoor(() =>
      Effect.gen(function* () {
        const door = yield* Door
        const device = yield* myDevice
        const { baseUrl, seen } = yield* badLine(door.port)
        yield* Effect.gen(function* () {
          const central = yield* Central
          const { epoch, head } = yield* central.page(MINE, START)
          const before = seen.sent + seen.received
          const answer = yield* central.page(MINE, { epoch, version: head })
          const bytes = seen.sent + seen.received - before
          assert.deepStrictEqual(answer.changes, [])
          assert.isBelow(bytes, 1_024)
          assert.strictEqual(seen.connections, 1)
        }).pipe(Effect.provide(reach(baseUrl, device)))
      })
    )
  )

  it.live("keeps its token between runs, and renews it once when central refuses it", () =>
    atDoor(() =>
      Effect.gen(function* () {
        const door = yield* Door
        const device = yield* myDevice
        const cache = memoryCache()
        yield* Effect.provide(page, reach(door.baseUrl, device, { cache }))
        const first = cache.kept
        yield* Effect.provide(page, reach(door.baseUrl, device, { cache }))
        assert.strictEqual(cache.kept, first)
        yield* cache.set({ ...token, token: "stale" })
        yield* Effect.provide(page, reach(door.baseUrl, device, { cache }))
        assert.notInclude(["stale", first?.token], cache.kept?.token)
        yield* setState(device.id, "blocked")
        const failure = yield* Effect.flip(
          Effect.provide(page, reach(door.baseUrl, device, { cache }))
        )
        assert.deepInclude(failure, { _tag: "CentralRefused", code: "invalid-client" })
      })
    )
  )

  it.live("asks for one token, however many requests wait for it", () =>
    atDoor((log) =>
      Effect.gen(function* () {
        const door = yield* Door
        const device = yield* myDevice
        const many = Effect.all(
          Array.from({ length: 8 }, () => page),
          { concurrency: 8 }
        )
        yield* Effect.provide(many, reach(door.baseUrl, device))
        assert.strictEqual(log.filter((line) => line.includes("/oauth/token")).length, 1)
        assert.strictEqual(log.length, 9)
      })
    )
  )

  it.live("continues a content where the connection broke, as often as it breaks", () =>
    atDoor(() =>
      Effect.gen(function* () {
        const door = yield* Door
        const device = yield* myDevice
        const { blob, content } = yield* schoolOf(MINE)
        const { baseUrl, seen } = yield* badLine(door.port, { after: 150_000, times: 9 })
        const parts = yield* Effect.provide(
          Central.use((central) => Stream.runCollect(central.blob(blob, 7))),
          reach(baseUrl, device)
        )
        assert.isTrue(Buffer.concat(parts).equals(content.subarray(7)))
        assert.strictEqual(seen.broken, 9)
        assert.isBelow(seen.received, 4_500_000)
      })
    )
  )

  it.live("tells unreachable, silent and broken-off centrals apart", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [CentralAway["reason"], string]> = [
        ["unreachable", `https://127.0.0.1:${yield* freePort}`],
        ["unreachable", "https://nowhere.invalid"],
        ["timeout", yield* rudeServer(() => {})],
        ["interrupted", yield* rudeServer((_, response) => response.destroy())],
        [
          "interrupted",
          yield* rudeServer((_, response) => {
            response.writeHead(200, { "content-type": "application/json", "content-length": 99 })
            response.write("{", () => response.destroy())
          })
        ],
        ["unavailable", yield* rudeServer(answering(503, "text/html", "<h1>Sorry</h1>"))],
        ["unavailable", yield* rudeServer(answering(403, "text/html", "<h1>Blocked</h1>"))],
        ["unavailable", yield* rudeServer(answering(302, "text/html", "", { location: "/login" }))]
      ]
      for (const [reason, baseUrl] of cases) {
        const options = { cache: withToken(), answerWithin: "100 millis" } as const
        const failure = yield* Effect.flip(Effect.provide(page, reach(baseUrl, nobody, options)))
        assert.deepInclude(failure, { _tag: "CentralAway", reason }, baseUrl)
      }
    }).pipe(Effect.scoped)
  )

  it.live("believes nothing of an answer that is not what was asked for", () =>
    Effect.gen(function* () {
      const empty = { epoch: "e", head: 0, more: false, set: { count: 0, a: 0, b: 0 }, changes: [] }
      const cases: ReadonlyArray<RequestListener> = [
        answering(200, "text/html", "{}"),
        answering(200, "application/json", "{"),
        answering(200, "application/json", "{}"),
        answering(200, "application/json", JSON.stringify({ ...empty, organisation: "theirs" })),
        (_, response) => {
          response.writeHead(200, { "content-type": "application/json" })
          const more = () => {
            while (response.write(" ".repeat(1_048_576)));
          }
          response.on("drain", more)
          more()
        }
      ]
      for (const answer of cases) {
        const baseUrl = yield* rudeServer(answer)
        const failure = yield* Effect.flip(
          Effect.provide(page, reach(baseUrl, nobody, { cache: withToken() }))
        )
        assert.strictEqual(failure._tag, "CentralInconsistent")
      }
      const wrongRange = yield* rudeServer(
        answering(206, "application/octet-stream", "xx", { "content-range": "bytes 0-1/9" })
      )
      const bytes = Central.use((central) =>
        Stream.runCollect(central.blob(Digest.make("0".repeat(64)), 4))
      )
      const failure = yield* Effect.flip(
        Effect.provide(bytes, reach(wrongRange, nobody, { cache: withToken() }))
      )
      assert.strictEqual(failure._tag, "CentralInconsistent")
    }).pipe(Effect.scoped)
  )

  it.live("tries again what may pass", () =>
    Effect.gen(function* () {
      let asked = 0
      const set = { count: 0, a: 0, b: 0 }
      const good = { organisation: "mine", epoch: "e", head: 0, more: false, set, changes: [] }
      const baseUrl = yield* rudeServer((request, response) => {
        asked += 1
        const busy = answering(503, "application/problem+json", "{}", { "retry-after": "0" })
        const fine = answering(200, "application/json", JSON.stringify(good))
        const answer = asked < 4 ? busy : fine
        answer(request, response)
      })
      yield* Effect.provide(page, reach(baseUrl, nobody, { cache: withToken() }))
      assert.strictEqual(asked, 4)
    }).pipe(Effect.scoped)
  )

  it.live("waits no less than central asks, nor less than its own schedule", () =>
    Effect.gen(function* () {
      const step = yield* Schedule.toStep(patient(Schedule.spaced("2 seconds")))
      const away = new CentralAway({ reason: "unavailable", detail: "" })
      const [, asked] = yield* step(0, new TryLater({ away, waitMillis: 7_000 }))
      const [, own] = yield* step(0, new TryLater({ away, waitMillis: 0 }))
      assert.deepStrictEqual([asked, own].map(Duration.toMillis), [7_000, 2_000])
    })
  )

  it.live("does not try again what central has refused", () =>
    Effect.gen(function* () {
      let asked = 0
      const body = { type: "t", title: "No", status: 403, code: "device-blocked", detail: "d" }
      const baseUrl = yield* rudeServer((request, response) => {
        asked += 1
        answering(403, "application/problem+json", JSON.stringify(body))(request, response)
      })
      const failure = yield* Effect.flip(
        Effect.provide(page, reach(baseUrl, nobody, { cache: withToken() }))
      )
      assert.deepInclude(failure, { _tag: "CentralRefused", code: "device-blocked", title: "No" })
      assert.strictEqual(asked, 1)
    }).pipe(Effect.scoped)
  )

  it.live("says how wrong the device's clock is", () =>
    Effect.gen(function* () {
      const offsets: Array<number> = []
      const date = new Date(Date.now() - 3_600_000).toUTCString()
      const baseUrl = yield* rudeServer(answering(500, "text/plain", "", { date }))
      const onClockOffset = (millis: number) => Effect.sync(() => void offsets.push(millis))
      yield* Effect.exit(
        Effect.provide(page, reach(baseUrl, nobody, { cache: withToken(), onClockOffset }))
      )
      assert.isNotEmpty(offsets)
      for (const offset of offsets) assert.approximately(offset, 3_600_000, 5_000)
    }).pipe(Effect.scoped)
  )

  it.live("lets a running download finish when central stops", () =>
    Effect.gen(function* () {
      const ports = Layer.succeedContext(yield* Layer.build(layerFilled))
      const server = yield* Scope.make()
      const context = yield* Layer.buildWithScope(DoorSupport.layer(ports), server)
      const { baseUrl, port } = Context.get(context, Door)
      const device = yield* Effect.provideContext(myDevice, context)
      const { blob, content } = yield* Effect.provideContext(schoolOf(MINE), context)
      const stopping = yield* Deferred.make<Fiber.Fiber<void>>()
      const stopOnce = Effect.gen(function* () {
        if (yield* Deferred.isDone(stopping)) return
        const stop = yield* Effect.forkDetach(Scope.close(server, Exit.void))
        yield* Deferred.succeed(stopping, stop)
        yield* closed(port)
      })
      const parts = yield* Central.use((central) =>
        Stream.runCollect(Stream.tap(central.blob(blob, 0), () => stopOnce))
      ).pipe(Effect.provide(reach(baseUrl, device)))
      assert.isTrue(Buffer.concat(parts).equals(content))
      yield* Fiber.join(yield* Deferred.await(stopping))
    }).pipe(Effect.scoped)
  )

  it.live("leaves a log that names nobody and gives nothing away", () =>
    atDoor(
      (log) =>
        Effect.gen(function* () {
          const door = yield* Door
          const school = OrganisationId.make("Lycée/7")
          const device = yield* addDevice("dev_contract", [school])
          const body = `{"kind":"delivery","content":{"blob":"${"1".repeat(64)}"}}`
          yield* append(school, [offer({ kind: "delivery", id: EntityId.make("dl:lost") }, body)])
          const headers = yield* DoorSupport.bearer(device.id)
          const broken = yield* door.knock({ path: `/api/v1/blobs/${"1".repeat(64)}`, headers })
          assert.strictEqual(broken.json?.code, "internal")
          yield* door.knock({ path: "/api/v1/feeds/Lyc%C3%A9e%2F7?since=0&epoch=query", headers })
          yield* door.knock({ path: "/secret-path?password=hush" })
          yield* door.knock(DoorSupport.tokenForm({ client_id: "hush-id", client_secret: "hush" }))
          yield* door.knock({
            method: "POST",
            path: "/api/v1/enrolments",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({
              request: { text: "hush", signatures: ["hush"] },
              proof: { login: "hush", password: "hush" }
            })
          })
          const text = log.join("\n")
          const secrets = [
            "hush",
            "query",
            "secret-path",
            "Lyc",
            "11111",
            headers.authorization.slice(7)
          ]
          for (const secret of secrets) assert.notInclude(text, secret)
          for (const word of ['"failed"', '"client":"dev_contract"', '"route":"none"'])
            assert.include(text, word)
          for (const line of log) assert.isObject(JSON.parse(line))
        }),
      brokenDisk
    )
  )
})

/** A failure whose message quotes data, as those of databases do. */
const brokenDisk = Layer.effect(
  Blobs,
  Effect.map(Blobs, (blobs) => ({
    ...blobs,
    size: () => Effect.die(new Error("hush: cannot read the row of Anna"))
  }))
).pipe(Layer.provideMerge(layerFilled))

/** Waits until nobody listens on a port. */
const closed = (port: number): Effect.Effect<void> =>
  Effect.callback<boolean>((resume) => {
    const socket = connect(port, "127.0.0.1")
    socket.on("connect", () => {
      socket.destroy()
      resume(Effect.succeed(false))
    })
    socket.on("error", () => resume(Effect.succeed(true)))
  }).pipe(
    Effect.repeat({ until: (gone) => gone, schedule: Schedule.spaced("5 millis") }),
    Effect.asVoid
  )

const answering =
  (
    status: number,
    type: string,
    body: string,
    headers: Record<string, string> = {}
  ): RequestListener =>
  (request, response) => {
    request.resume()
    response.writeHead(status, { "content-type": type, ...headers })
    response.end(body)
  }

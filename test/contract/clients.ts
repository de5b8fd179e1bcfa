/** Says what every adapter of the port Clients keeps. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import { type Atomic, type Client, Clients } from "../../application/ports.ts"
import { ORGANISATIONS, ZERO } from "../support/records.ts"

type Ports = Clients | Atomic
type Claim = <F>(what: string, effect: Effect.Effect<void, F, Ports>) => void

export const suite = <E>(name: string, layer: Layer.Layer<Ports, E>) => {
  const claim: Claim = (what, effect) => it.live(what, () => Effect.provide(effect, layer))
  describe(`the port Clients, ${name}`, () => {
    keeping(claim)
    once(claim)
  })
}

const device = (name: string, more: Partial<Client> = {}): Client => ({
  id: `dev_${name}`,
  kind: "device",
  name,
  organisations: ORGANISATIONS,
  state: "active",
  createdAt: 1_000,
  lastSeenAt: null,
  program: null,
  keys: { sig: `sig ${name}`, auth: "auth+/=", enc: "age1x" },
  serial: 1,
  ...more
})
const credential = (name: string, more: Partial<Client> = {}): Client => ({
  ...device(name),
  id: `cred_${name}`,
  kind: "credential",
  keys: null,
  ...more
})

const keeping = (claim: Claim) => {
  claim(
    "finds devices and credentials by id, devices by signing key",
    Effect.gen(function* () {
      const clients = yield* Clients
      const all = [device("a"), device("é%/"), credential("c", { organisations: [] })]
      for (const one of all) yield* clients.put(one)
      for (const one of all) {
        assert.deepStrictEqual(yield* clients.find(one.id), Option.some(one))
        if (one.keys === null) continue
        assert.deepStrictEqual(yield* clients.findBySigningKey(one.keys.sig), Option.some(one))
      }
      assert.isTrue(Option.isNone(yield* clients.find("dev_A")))
      assert.isTrue(Option.isNone(yield* clients.findBySigningKey("")))
    })
  )

  claim(
    "lists one kind, the oldest first",
    Effect.gen(function* () {
      const clients = yield* Clients
      assert.deepStrictEqual(yield* clients.list("device"), [])
      yield* clients.put(device("young", { createdAt: 3_000 }))
      yield* clients.put(device("b", { createdAt: 2_000 }))
      yield* clients.put(device("a", { createdAt: 2_000 }))
      yield* clients.put(credential("c"))
      const names = (yield* clients.list("device")).map((one) => one.name)
      assert.deepStrictEqual(names, ["a", "b", "young"])
      assert.deepStrictEqual(yield* clients.list("credential"), [credential("c")])
    })
  )

  claim(
    "changes what a client may, not when it was made and last seen",
    Effect.gen(function* () {
      const clients = yield* Clients
      yield* clients.put(device("a"))
      yield* clients.seen("dev_a", 5_000, "1.2.3")
      yield* clients.seen("dev_nobody", 5_000, "1.2.3")
      const changed = device("a", {
        name: "renamed",
        organisations: [ZERO],
        state: "blocked",
        keys: { sig: "new sig", auth: "new auth", enc: "age1y" },
        serial: 2
      })
      yield* clients.put({ ...changed, createdAt: 9 })
      const expected = { ...changed, lastSeenAt: 5_000, program: "1.2.3" }
      assert.deepStrictEqual(yield* clients.find("dev_a"), Option.some(expected))
      assert.deepStrictEqual(yield* clients.findBySigningKey("new sig"), Option.some(expected))
      assert.isTrue(Option.isNone(yield* clients.findBySigningKey("sig a")))
    })
  )

  claim(
    "keeps a secret's hash until another is given, and nobody else's",
    Effect.gen(function* () {
      const clients = yield* Clients
      yield* clients.put(credential("a"), "hash")
      yield* clients.put(credential("b"))
      yield* clients.put(credential("a", { name: "renamed" }))
      assert.deepStrictEqual(yield* clients.secretHash("cred_a"), Option.some("hash"))
      assert.isTrue(Option.isNone(yield* clients.secretHash("cred_b")))
      assert.isTrue(Option.isNone(yield* clients.secretHash("cred_nobody")))
      yield* clients.put(credential("a"), "another")
      assert.deepStrictEqual(yield* clients.secretHash("cred_a"), Option.some("another"))
      assert.notInclude(JSON.stringify(yield* clients.find("cred_a")), "another")
    })
  )

  claim(
    "gives one signing key to one device",
    Effect.gen(function* () {
      const clients = yield* Clients
      yield* clients.put(device("a"))
      const twin = device("twin", { keys: { sig: "sig a", auth: "x", enc: "age1z" } })
      assert.strictEqual((yield* Effect.exit(clients.put(twin)))._tag, "Failure")
      assert.strictEqual((yield* clients.list("device")).length, 1)
    })
  )
}

const once = (claim: Claim) => {
  claim(
    "lets one of twenty at once use a one-time id",
    Effect.gen(function* () {
      const clients = yield* Clients
      yield* clients.useOnce("expired 1", 0, 1)
      yield* clients.useOnce("expired 2", 0, 1)
      for (let round = 0; round < 5; round++) {
        const used = yield* Effect.forEach(
          Array.from({ length: 20 }),
          () => clients.useOnce(`id ${round}`, 1_000, 2_000),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(used.filter((fresh) => fresh).length, 1)
      }
    })
  )

  claim(
    "remembers an id until it expires, and each for itself",
    Effect.gen(function* () {
      const clients = yield* Clients
      assert.isTrue(yield* clients.useOnce("a", 0, 1_000))
      assert.isTrue(yield* clients.useOnce("b", 0, 5_000))
      assert.isFalse(yield* clients.useOnce("a", 999, 2_000))
      assert.isTrue(yield* clients.useOnce("a", 1_001, 2_000))
      assert.isFalse(yield* clients.useOnce("b", 1_001, 9_000))
      assert.isFalse(yield* clients.useOnce("a", 1_002, 2_000))
    })
  )
}

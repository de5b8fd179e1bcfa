/**
 * Makes the entities that every contender carries: the same for the same seed, valid as Testferry's
 * entities, and incompressible where the real ones are (keys, age files), so that no contender gains
 * by what the data happens to be.
 */
import { createCipheriv, createHash } from "node:crypto"
import { canonical, type Json } from "../domain/canonical.ts"

/** One entity: its id, and its canonical JSON. */
export interface Body {
  readonly id: string
  readonly body: string
}

/** What central changes between two synchronisations. */
export interface Changes {
  readonly put: ReadonlyArray<Body>
  readonly remove: ReadonlyArray<string>
}

export const TEST_TAKERS = 10_000
/** So that a run ends within minutes, and the catalogue fits into memory several times. */
export const TEST_TAKERS_MAX = 200_000
export const CENTERS = 200
export const DELIVERIES = 50
export const ELIGIBILITIES = 500
/** How many test-takers an eligibility names. */
export const ROSTER = 20

const STARTED = Date.UTC(2026, 0, 5)
const DAY = 24 * 3_600_000

/** A catalogue of one organisation: centers, deliveries, test-takers, eligibilities, in this order. */
export function* bodies(seed: number, testTakers: number = TEST_TAKERS): Generator<Body> {
  const dice = diceOf(`catalogue ${seed}`)
  for (let n = 0; n < CENTERS; n++) yield entity(center(n, dice))
  for (let n = 0; n < DELIVERIES; n++) yield entity(delivery(n, dice))
  for (let n = 0; n < testTakers; n++) yield entity(testTaker(n, dice))
  for (let n = 0; n < ELIGIBILITIES; n++) yield entity(eligibility(n, testTakers))
}

/**
 * One percent of the catalogue changed: a third new test-takers, a third edited, a third removed.
 * The edited and the removed are spread over the whole list of test-takers.
 */
export const onePercent = (seed: number, testTakers: number = TEST_TAKERS): Changes => {
  const dice = diceOf(`delta ${seed}`)
  const each = Math.max(1, Math.floor((testTakers + CENTERS + DELIVERIES + ELIGIBILITIES) / 300))
  const step = Math.floor(testTakers / (2 * each))
  if (step < 1) throw new RangeError(`${testTakers} test-takers are too few for a delta`)
  const turns = Array.from({ length: each }, (_, n) => n)
  return {
    put: [
      ...turns.map((n) => entity(testTaker(testTakers + n, dice))),
      ...turns.map((n) => entity(testTaker(2 * n * step, dice)))
    ],
    remove: turns.map((n) => testTakerId((2 * n + 1) * step))
  }
}

const center = (n: number, dice: Dice) => ({
  kind: "test-center",
  id: `tc_${n}`,
  label: `Center ${n}`,
  organisation: "bench",
  administrators: [],
  proctors: [],
  subCenters: [],
  roster: { version: 1, recipient: recipient(dice) }
})

const delivery = (n: number, dice: Dice) => ({
  kind: "delivery",
  id: `dl_${n}`,
  label: `Delivery ${n}`,
  period: { from: STARTED, to: STARTED + 90 * DAY },
  maxExecutions: 1,
  proctored: true,
  content: {
    version: 1,
    blob: dice(32).toString("hex"),
    size: 3_000_000 + n,
    plainSize: 2_990_000 + n,
    plainSha256: dice(32).toString("hex"),
    recipient: recipient(dice),
    qti: "2.2"
  }
})

/** The profile is as long as an age file around some 200 bytes of names for two readers. */
const testTaker = (n: number, dice: Dice) => ({
  kind: "test-taker",
  id: testTakerId(n),
  loginTag: dice(32).toString("hex"),
  wrap: {
    cost: { memoryKiB: 65_536, passes: 3 },
    salt: dice(16).toString("base64"),
    ver: 1,
    recipient: recipient(dice),
    box: dice(76).toString("base64")
  },
  profile: dice(300).toString("base64")
})

const testTakerId = (n: number) => `tt_${n}`

const eligibility = (n: number, testTakers: number) => ({
  kind: "eligibility",
  id: `el_${n}`,
  testCenter: `tc_${n % CENTERS}`,
  delivery: `dl_${n % DELIVERIES}`,
  testTakers: Array.from({ length: ROSTER }, (_, k) => testTakerId((n * ROSTER + k) % testTakers)),
  proctored: true,
  period: { from: STARTED, to: STARTED + 90 * DAY }
})

const entity = (value: Json & { readonly id: string }): Body => ({
  id: value.id,
  body: canonical(value)
})

const LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

/** Something of the form and length of an age X25519 recipient. */
const recipient = (dice: Dice) =>
  `age1${Array.from(dice(58), (byte) => LETTERS[byte % LETTERS.length]).join("")}`

type Dice = (size: number) => Buffer

/** The key stream of a cipher: bytes that look random and are the same for the same seed. */
const diceOf = (seed: string): Dice => {
  const key = createHash("sha256").update(seed).digest()
  const stream = createCipheriv("aes-256-ctr", key, Buffer.alloc(16))
  return (size) => stream.update(Buffer.alloc(size))
}

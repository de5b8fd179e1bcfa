/**
 * Makes the entities that every contender carries: the same for the same seed, valid as Testferry's
 * entities, as many and as long as those that Testferry's central makes of such a catalogue, and
 * incompressible where those are (keys, age files), so that no contender gains by what the data
 * happens to be.
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

/** One organisation's catalogue; every test-taker sits in one eligibility. */
export interface Catalogue {
  readonly testTakers: number
  readonly centers: number
  readonly deliveries: number
  readonly organisation: string
}

export const TEST_TAKERS = 10_000
/** So that a run ends within minutes, and the catalogue fits into memory several times. */
export const TEST_TAKERS_MAX = 200_000
export const CENTERS = 200
export const DELIVERIES = 50
/** How many test-takers an eligibility names: 10,000 make 500 eligibilities. */
export const ROSTER = 20

const STARTED = Date.UTC(2026, 0, 5)
const DAY = 24 * 3_600_000

/** Sizes of the workloads, with another number of test-takers if that is given. */
export const catalogueOf = (
  testTakers: number = TEST_TAKERS,
  organisation = "bench"
): Catalogue => ({
  testTakers,
  centers: CENTERS,
  // One that nobody may sit would not be offered to anybody.
  deliveries: Math.min(DELIVERIES, Math.ceil(testTakers / ROSTER)),
  organisation
})

/** How many entities a catalogue has. */
export const count = (of: Catalogue): number =>
  1 + of.centers + of.deliveries + 2 * of.testTakers + eligibilities(of)

/**
 * The organisation, its centers, deliveries, test-takers, key wraps and eligibilities, in this
 * order: nothing names what comes later.
 */
export function* bodies(seed: number, of: Catalogue = catalogueOf()): Generator<Body> {
  const make = makers(of, diceOf(`catalogue ${seed} ${of.organisation}`))
  yield make.organisation()
  for (let n = 0; n < of.centers; n++) yield make.center(n)
  for (let n = 0; n < of.deliveries; n++) yield make.delivery(n)
  for (let n = 0; n < of.testTakers; n++) yield make.testTaker(n)
  for (let n = 0; n < of.testTakers; n++) yield make.keyWrap(n, Math.floor(n / ROSTER))
  for (let n = 0; n < eligibilities(of); n++) yield make.eligibility(n, seated(of, n))
}

/**
 * One percent of the catalogue changed. Of the test-takers, as many are new as edited as removed,
 * spread over the whole list; a new one takes a removed one's seat, so that the eligibility changes,
 * and one key wrap comes where another goes. That makes six changes for each of the new.
 */
export const onePercent = (seed: number, of: Catalogue = catalogueOf()): Changes => {
  const each = Math.max(1, Math.floor(count(of) / 600))
  return changesOf(seed, of, each)
}

/** The changes of `onePercent` for so many new, so many edited and so many removed test-takers. */
export const changesOf = (seed: number, of: Catalogue, each: number): Changes => {
  const make = makers(of, diceOf(`delta ${seed} ${of.organisation}`))
  const step = Math.floor(of.testTakers / (2 * each))
  if (step < 1) throw new RangeError(`${of.testTakers} test-takers are too few for a delta`)
  const turns = Array.from({ length: each }, (_, n) => ({
    added: of.testTakers + n,
    edited: 2 * n * step,
    removed: (2 * n + 1) * step
  }))
  const seatOf = new Map(turns.map(({ added, removed }) => [removed, added]))
  const touched = new Set(turns.map(({ removed }) => Math.floor(removed / ROSTER)))
  const seats = (n: number) => seated(of, n).map((taker) => seatOf.get(taker) ?? taker)
  return {
    put: [
      ...turns.map(({ added }) => make.testTaker(added)),
      ...turns.map(({ added, removed }) => make.keyWrap(added, Math.floor(removed / ROSTER))),
      ...turns.map(({ edited }) => make.testTaker(edited)),
      ...[...touched].map((n) => make.eligibility(n, seats(n)))
    ],
    remove: turns.flatMap(({ removed }) => [
      make.keyWrap(removed, Math.floor(removed / ROSTER)).id,
      make.testTakerId(removed)
    ])
  }
}

const eligibilities = (of: Catalogue): number => Math.ceil(of.testTakers / ROSTER)

/** The test-takers of an eligibility, by number. */
const seated = (of: Catalogue, n: number): ReadonlyArray<number> =>
  Array.from({ length: Math.min(ROSTER, of.testTakers - n * ROSTER) }, (_, k) => n * ROSTER + k)

const makers = (of: Catalogue, dice: Dice) => {
  const { organisation } = of
  const idOf = (prefix: string) => (n: number) => `${prefix}_${organisation}-${n}`
  const centerId = idOf("tc")
  const deliveryId = idOf("dl")
  const testTakerId = idOf("tt")
  // Both remainders together repeat only after centers × deliveries: no pair comes twice.
  const delivered = (n: number) => deliveryId((n + Math.floor(n / of.centers)) % of.deliveries)
  return {
    testTakerId,
    organisation: () =>
      entity({
        kind: "organisation",
        id: `org:${organisation}`,
        organisation,
        loginKey: dice(32).toString("base64")
      }),
    center: (n: number) =>
      entity({
        kind: "test-center",
        id: centerId(n),
        label: `Center ${n}`,
        organisation,
        administrators: [],
        proctors: [],
        subCenters: [],
        roster: { version: 1, recipient: recipient(dice) }
      }),
    delivery: (n: number) =>
      entity({
        kind: "delivery",
        id: deliveryId(n),
        label: `Delivery ${n}`,
        period: { from: STARTED, to: STARTED + 90 * DAY },
        maxExecutions: 1,
        proctored: true,
        content: content(dice)
      }),
    testTaker: (n: number) => entity(testTaker(testTakerId(n), dice)),
    keyWrap: (taker: number, n: number) => {
      const subject = delivered(n)
      const reader = testTakerId(taker)
      const id = `kw:1:${subject}:${reader}`
      const box = dice(WRAP_BYTES).toString("base64")
      return entity({ kind: "key-wrap", id, subject, version: 1, reader, box })
    },
    eligibility: (n: number, takers: ReadonlyArray<number>) =>
      entity({
        kind: "eligibility",
        id: idOf("el")(n),
        testCenter: centerId(n % of.centers),
        delivery: delivered(n),
        testTakers: takers.map(testTakerId),
        proctored: true,
        period: { from: STARTED, to: STARTED + 90 * DAY }
      })
  }
}

const content = (dice: Dice) => ({
  version: 1,
  blob: dice(32).toString("hex"),
  size: 320,
  plainSize: 100,
  plainSha256: dice(32).toString("hex"),
  recipient: recipient(dice),
  qti: "2.2"
})

/** An age file to two readers around a name, and one to one reader around a key. */
const PROFILE_BYTES = 505
const WRAP_BYTES = 370

const testTaker = (id: string, dice: Dice) => ({
  kind: "test-taker",
  id,
  loginTag: dice(32).toString("hex"),
  wrap: {
    cost: { memoryKiB: 65_536, passes: 3 },
    salt: dice(16).toString("base64"),
    ver: 1,
    recipient: recipient(dice),
    box: dice(134).toString("base64")
  },
  profile: dice(PROFILE_BYTES).toString("base64")
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

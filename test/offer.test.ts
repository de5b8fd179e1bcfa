import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import type { Kind } from "../domain/entity.ts"
import { keyFromText } from "../domain/entity.ts"
import { EntityId } from "../domain/id.ts"
import { linksOf } from "../domain/links.ts"
import { type Made, sealedStamp, stamps, wrapId, wrapParts } from "../domain/offer.ts"
import { type CatalogueRecord, keyVersion } from "../domain/record.ts"
import { keyNeeds, rosters, scope } from "../domain/scope.ts"
import { catalogue, ORGANISATIONS } from "./support/arbitrary.ts"

const made = (kind: Kind, id: string, revision = 1, version = 1): Made => ({
  key: { kind, id: EntityId.make(id) },
  revision,
  keyVersion: version
})

/** What is offered of a catalogue to an organisation, by the pure rules alone. */
const offeredOf = (
  records: ReadonlyArray<CatalogueRecord>,
  organisation: (typeof ORGANISATIONS)[number],
  revisions: (record: CatalogueRecord) => number = () => 1
) => {
  const links = records.flatMap(linksOf)
  const reached = scope(links, organisation)
  const all = new Map(
    records.map((record) => [
      record.id,
      made(record.kind, record.id, revisions(record), keyVersion(record))
    ])
  )
  const showing = new Map(
    [...rosters(links)].map(([person, centers]) => [
      person,
      [...centers].flatMap((center) => all.get(center) ?? [])
    ])
  )
  const inside = [...reached].flatMap((id) => all.get(id) ?? [])
  return stamps(inside, showing, keyNeeds(links.filter(({ from }) => reached.has(from))))
}

const one = fc.constantFrom(...ORGANISATIONS)

describe("the stamps of an organisation's offers", () => {
  it("are of what its scope reaches and of the keys for it, and of nothing else", () => {
    fc.assert(
      fc.property(catalogue, one, (records, organisation) => {
        const reached = scope(records.flatMap(linksOf), organisation)
        for (const key of offeredOf(records, organisation).keys()) {
          const { id, kind } = keyFromText(key)
          if (kind !== "key-wrap") assert.isTrue(reached.has(id))
          else {
            const { reader, subject } = wrapParts(id)
            assert.isTrue(reached.has(reader) && reached.has(subject))
          }
        }
      })
    )
  })

  it("stay when a record changes that has nothing to do with them", () => {
    fc.assert(
      fc.property(catalogue, one, fc.nat(), (records, organisation, at) => {
        const record = records[at % Math.max(1, records.length)]
        if (record === undefined) return
        const before = offeredOf(records, organisation)
        const after = offeredOf(records, organisation, (other) => (other === record ? 2 : 1))
        const changed = [...after].filter(([key, stamp]) => before.get(key) !== stamp)
        assert.deepStrictEqual(
          changed.map(([key]) => keyFromText(key).id).filter((id) => id !== record.id),
          []
        )
        const offered = after.has(`${record.kind}/${record.id}`)
        assert.strictEqual(changed.length, offered ? 1 : 0)
      })
    )
  })

  it("change for everybody who is sealed to a center's roster when that key changes", () => {
    const pia = made("proctor", "usr_p")
    const hall = (version: number) => made("test-center", "ctr_h", 1, version)
    const stamp = (center: Made) =>
      stamps([pia, center], new Map([[pia.key.id, [center]]]), []).get("proctor/usr_p")
    assert.notStrictEqual(stamp(hall(1)), stamp(hall(2)))
    assert.strictEqual(stamp(hall(1)), stamp(hall(1)))
  })

  it("name a person's keys anew when the person's key changes", () => {
    const needs = [{ subject: EntityId.make("dlv_a"), reader: EntityId.make("usr_t") }]
    const of = (version: number, content: number) =>
      stamps(
        [made("test-taker", "usr_t", 1, version), made("delivery", "dlv_a", 1, content)],
        new Map(),
        needs
      )
    assert.strictEqual(of(1, 1).get("key-wrap/kw:1:dlv_a:usr_t"), "1")
    assert.strictEqual(of(2, 1).get("key-wrap/kw:1:dlv_a:usr_t"), "2")
    assert.isFalse(of(1, 2).has("key-wrap/kw:1:dlv_a:usr_t"))
    assert.isTrue(of(1, 2).has("key-wrap/kw:2:dlv_a:usr_t"))
  })

  it("leave out keys for somebody or something that is not there", () => {
    const needs = [{ subject: EntityId.make("dlv_a"), reader: EntityId.make("usr_t") }]
    assert.strictEqual(stamps([made("delivery", "dlv_a")], new Map(), needs).size, 1)
    assert.strictEqual(stamps([made("test-taker", "usr_t")], new Map(), needs).size, 1)
  })

  it("leave out learning platforms whose secret nobody could open", () => {
    const platform = made("lti-consumer", "lti_1")
    assert.strictEqual(stamps([platform], new Map(), []).size, 0)
    assert.strictEqual(stamps([platform, made("test-center", "ctr_h")], new Map(), []).size, 2)
  })

  it("do not depend on the order in which centers are found", () => {
    const centers = [made("test-center", "ctr_a"), made("test-center", "ctr_b", 1, 2)]
    const person = made("test-taker", "usr_t")
    assert.strictEqual(sealedStamp(person, centers), sealedStamp(person, [...centers].reverse()))
  })
})

describe("the id of a key wrap", () => {
  const free = fc
    .string({ unit: fc.constantFrom("a", "0", ":", "é", "/", "."), minLength: 1, maxLength: 12 })
    .map((text) => EntityId.make(`dlv_${text}`))
  const reader = fc.constantFrom("usr_0123", "usr_123", "usr_1e3").map((id) => EntityId.make(id))

  it("says its parts, whatever a delivery is called", () => {
    fc.assert(
      fc.property(free, fc.nat(), reader, (subject, version, person) => {
        assert.deepStrictEqual(wrapParts(wrapId(subject, version, person)), {
          subject,
          version,
          reader: person
        })
      })
    )
  })
})

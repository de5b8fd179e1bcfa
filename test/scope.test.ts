import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { EntityId, OrganisationId, organisationNode } from "../domain/id.ts"
import { linksOf } from "../domain/links.ts"
import type { CatalogueRecord } from "../domain/record.ts"
import { keyNeeds, type Link, rosters, scope } from "../domain/scope.ts"
import { catalogue, ORGANISATIONS } from "./support/arbitrary.ts"

const [A, B] = ORGANISATIONS
const one = fc.constantFrom(...ORGANISATIONS)
const linksIn = (records: ReadonlyArray<CatalogueRecord>) => records.flatMap(linksOf)
const graph = catalogue.map(linksIn)
const sorted = (ids: Iterable<string>) => [...ids].sort()

/** The slow way: add what is named until nothing is added any more. */
const closure = (links: ReadonlyArray<Link>, from: ReadonlyArray<EntityId>) => {
  const reached = new Set(from)
  for (let before = -1; before < reached.size; ) {
    before = reached.size
    for (const link of links) if (reached.has(link.from)) reached.add(link.to)
  }
  return reached
}

describe("the scope of an organisation", () => {
  it("is closed under reference, and nothing more", () => {
    fc.assert(
      fc.property(graph, one, (links, organisation) => {
        const reached = scope(links, organisation)
        assert.deepStrictEqual(
          sorted(reached),
          sorted(closure(links, [organisationNode(organisation)]))
        )
        for (const link of links) if (reached.has(link.from)) assert.isTrue(reached.has(link.to))
        const named = new Set(links.filter(({ from }) => reached.has(from)).map(({ to }) => to))
        for (const id of reached) {
          assert.isTrue(id === organisationNode(organisation) || named.has(id), id)
        }
      })
    )
  })

  it("does not depend on the order of the links, nor on links that come twice", () => {
    fc.assert(
      fc.property(graph, one, (links, organisation) => {
        const turned = [...links].reverse()
        assert.deepStrictEqual(
          sorted(scope([...turned, ...links], organisation)),
          sorted(scope(links, organisation))
        )
      })
    )
  })

  it("of two organisations is the scope of each: scope(A and B) = scope(A) and scope(B)", () => {
    const both = OrganisationId.make("both")
    fc.assert(
      fc.property(graph, (links) => {
        const ends = [A, B].flatMap((organisation) =>
          organisation === undefined ? [] : [organisationNode(organisation)]
        )
        const joined = links.map((link) =>
          ends.includes(link.from) ? { ...link, from: organisationNode(both) } : link
        )
        const inside = (organisation: OrganisationId | undefined) =>
          organisation === undefined ? [] : [...scope(links, organisation)]
        const expected = new Set([...inside(A), ...inside(B)].filter((id) => !ends.includes(id)))
        const reached = [...scope([...links, ...joined], both)]
        assert.deepStrictEqual(
          sorted(reached.filter((id) => id !== organisationNode(both))),
          sorted(expected)
        )
      })
    )
  })

  it("grows when links are added, and only by what these reach", () => {
    fc.assert(
      fc.property(graph, graph, one, (links, more, organisation) => {
        const before = scope(links, organisation)
        const after = scope([...links, ...more], organisation)
        for (const id of before) assert.isTrue(after.has(id))
        const outside = more.filter(({ from }) => !before.has(from))
        assert.deepStrictEqual(sorted(scope([...links, ...outside], organisation)), sorted(before))
      })
    )
  })

  it("never meets that of an organisation with which it shares nothing", () => {
    const foreign = (id: EntityId) => EntityId.make(`${id}~`)
    fc.assert(
      fc.property(graph, graph, one, one, (links, others, mine, theirs) => {
        const apart = others.map(({ from, relation, to }) => ({
          from: foreign(from),
          relation,
          to: foreign(to)
        }))
        const all = [...links, ...apart]
        const own = scope(all, mine)
        assert.deepStrictEqual(sorted(own), sorted(scope(links, mine)))
        for (const id of scope(all, OrganisationId.make(`${theirs}~`))) {
          assert.isFalse(own.has(id), id)
        }
      })
    )
  })

  it("of an organisation that only looks alike is another", () => {
    const links: ReadonlyArray<Link> = ["0123", "123", "1e2", "100", "é", "e\u0301"].map((id) => ({
      from: organisationNode(OrganisationId.make(id)),
      relation: "member",
      to: EntityId.make(`ctr_${id}`)
    }))
    for (const { from, to } of links) {
      assert.deepStrictEqual([...scope(links, OrganisationId.make(from.slice(4)))], [from, to])
    }
  })

  it("ends for centers that are each other's sub-centers", () => {
    const [a, b] = [EntityId.make("ctr_a"), EntityId.make("ctr_b")]
    const links: ReadonlyArray<Link> = [
      { from: EntityId.make("org:x"), relation: "member", to: a },
      { from: a, relation: "child", to: b },
      { from: b, relation: "child", to: a }
    ]
    assert.strictEqual(scope(links, OrganisationId.make("x")).size, 3)
  })
})

describe("the keys that links call for", () => {
  it("are for readers and subjects of the same scope, each once", () => {
    fc.assert(
      fc.property(graph, one, (links, organisation) => {
        const reached = scope(links, organisation)
        const needs = keyNeeds(links.filter(({ from }) => reached.has(from)))
        for (const { reader, subject } of needs) {
          assert.isTrue(reached.has(reader) && reached.has(subject))
        }
        const texts = needs.map(({ reader, subject }) => `${subject} ${reader}`)
        assert.strictEqual(new Set(texts).size, texts.length)
      })
    )
  })

  it("are the deliveries of test-takers and the rosters of staff, and no others", () => {
    fc.assert(
      fc.property(catalogue, (records) => {
        const expected = records.flatMap((record) => {
          if (record.kind === "eligibility") {
            return record.testTakers.map((taker) => `${record.delivery} ${taker}`)
          }
          return record.kind === "test-center"
            ? [...record.administrators, ...record.proctors].map((id) => `${record.id} ${id}`)
            : []
        })
        const needs = keyNeeds(linksIn(records))
        assert.deepStrictEqual(
          sorted(needs.map(({ reader, subject }) => `${subject} ${reader}`)),
          sorted(new Set(expected))
        )
      })
    )
  })
})

describe("the rosters that show a person", () => {
  it("are of the centers where they work or sit, and of no others", () => {
    fc.assert(
      fc.property(catalogue, (records) => {
        const expected = new Set(
          records.flatMap((record) => {
            if (record.kind === "eligibility") {
              return record.testTakers.map((taker) => `${taker} ${record.testCenter}`)
            }
            return record.kind === "test-center"
              ? [...record.administrators, ...record.proctors].map((id) => `${id} ${record.id}`)
              : []
          })
        )
        const shown = [...rosters(linksIn(records))].flatMap(([person, centers]) =>
          [...centers].map((center) => `${person} ${center}`)
        )
        assert.deepStrictEqual(sorted(shown), sorted(expected))
      })
    )
  })
})

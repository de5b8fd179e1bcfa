/** Says what every adapter of the port Catalogue keeps. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Stream } from "effect"
import * as fc from "fast-check"
import { Atomic, Catalogue } from "../../application/ports.ts"
import type { EntityId } from "../../domain/id.ts"
import { OrganisationId, organisationNode } from "../../domain/id.ts"
import { linksOf } from "../../domain/links.ts"
import { type CatalogueRecord, naturalName } from "../../domain/record.ts"
import { rosters, scope } from "../../domain/scope.ts"
import * as Records from "../support/records.ts"
import { id, idOf, many, ORGANISATIONS, PLAIN, STRANGE, ZERO } from "../support/records.ts"

type Ports = Catalogue | Atomic

export const suite = <E>(name: string, layer: Layer.Layer<Ports, E>) => {
  const claim = <F>(what: string, effect: Effect.Effect<void, F, Ports>) =>
    it.live(what, () => Effect.provide(effect, layer))
  describe(`the port Catalogue, ${name}`, () => {
    finding(claim)
    putting(claim)
    removing(claim)
    graph(claim)
  })
}

type Claim = <F>(what: string, effect: Effect.Effect<void, F, Ports>) => void

const KINDS: ReadonlyArray<CatalogueRecord> = [
  ...ORGANISATIONS.map(Records.organisation),
  ...ORGANISATIONS.map((one, at) => Records.center(`hall${at}`, one, { label: "Main hall" })),
  Records.person("Ünï.Code", "test-taker", { firstName: "Zoë", defaultLanguage: "fr-FR" }),
  Records.person("pam", "proctor"),
  Records.person("sam", "sync-manager", { organisation: STRANGE }),
  { ...Records.delivery("rivers"), period: { from: 0 }, maxExecutions: 2 },
  Records.eligibility("e", id("ctr_hall0"), id("dlv_rivers"), [id("usr_Ünï.Code")]),
  Records.consumer("moodle", PLAIN)
]

const finding = (claim: Claim) => {
  claim(
    "finds every kind of record by id and by natural name, as it was put",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      yield* catalogue.put(KINDS)
      const byIds = yield* catalogue.byIds([...KINDS.map(idOf), id("usr_nobody")])
      assert.deepStrictEqual(byIds, new Map(KINDS.map((record) => [record.id, record])))
      const byNames = yield* catalogue.byNames([...KINDS.map(naturalName), "person nobody"])
      assert.deepStrictEqual(byNames, new Map(KINDS.map((one) => [naturalName(one), one])))
    })
  )

  claim(
    "asks nothing for nothing",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      yield* catalogue.put([])
      yield* catalogue.remove([])
      assert.strictEqual((yield* catalogue.byIds([])).size, 0)
      assert.strictEqual((yield* catalogue.byNames([])).size, 0)
      assert.strictEqual((yield* catalogue.centersOf([])).size, 0)
      assert.strictEqual((yield* catalogue.concerned([])).size, 0)
      assert.deepStrictEqual(yield* catalogue.byLabels("delivery", []), [])
      assert.deepStrictEqual(yield* catalogue.naming([]), [])
      assert.deepStrictEqual(yield* catalogue.linksWithin(ZERO), [])
      assert.deepStrictEqual(yield* catalogue.revisionsWithin(ZERO), [])
      assert.strictEqual((yield* catalogue.centersShowing(ZERO)).size, 0)
      assert.deepStrictEqual(yield* Stream.runCollect(catalogue.list("delivery")), [])
    })
  )

  claim(
    "answers about 1,500 records at once",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      const people = many((name) => Records.person(name))
      const ids = people.map(idOf)
      const all = Records.eligibility("e", id("ctr_c"), id("dlv_d"), ids)
      yield* catalogue.put([...people, all, Records.center("c", ZERO), Records.delivery("d")])
      assert.deepStrictEqual([...(yield* catalogue.byIds(ids)).keys()].sort(), [...ids].sort())
      assert.strictEqual((yield* catalogue.byNames(people.map(naturalName))).size, ids.length)
      const labels = people.map((one) => one.label)
      assert.strictEqual((yield* catalogue.byLabels("test-taker", labels)).length, ids.length)
      assert.strictEqual((yield* catalogue.naming(ids)).length, ids.length)
      assert.deepStrictEqual(yield* catalogue.concerned(ids), new Set([ZERO]))
      const listed = yield* Stream.runCollect(catalogue.list("test-taker"))
      assert.deepStrictEqual(listed, [...people])
      yield* catalogue.remove(ids)
      assert.strictEqual((yield* catalogue.byIds(ids)).size, 0)
      assert.deepStrictEqual(yield* catalogue.naming(ids), [])
    })
  )

  claim(
    "finds records of one kind by label, in every organisation",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      yield* catalogue.put([...KINDS, { ...Records.delivery("d2"), label: "Main hall" }])
      const halls = yield* catalogue.byLabels("test-center", ["Main hall", "main hall", "no"])
      assert.deepStrictEqual(halls.map(idOf).sort(), ["ctr_hall0", "ctr_hall1", "ctr_hall2"])
      const deliveries = yield* catalogue.byLabels("delivery", ["Main hall"])
      assert.deepStrictEqual(deliveries.map(idOf), ["dlv_d2"])
    })
  )

  claim(
    "tells the centers of each organisation apart, 0123 from 123",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      const second = Records.center("annex", ZERO, { subCenters: [id("ctr_hall1")] })
      yield* catalogue.put([...KINDS, second])
      const centers = yield* catalogue.centersOf([...ORGANISATIONS, OrganisationId.make("0")])
      assert.deepStrictEqual(
        centers,
        new Map<OrganisationId, ReadonlyArray<EntityId>>([
          [ZERO, [id("ctr_annex"), id("ctr_hall0")]],
          [PLAIN, [id("ctr_hall1")]],
          [STRANGE, [id("ctr_hall2")]]
        ])
      )
    })
  )
}

/** Revision and key version of each entity within an organisation, by id. */
const revisions = Effect.fnUntraced(function* (organisation: OrganisationId) {
  const catalogue = yield* Catalogue
  const within = yield* catalogue.revisionsWithin(organisation)
  return new Map(within.map((one) => [one.key.id, [one.revision, one.keyVersion]]))
})

const putting = (claim: Claim) => {
  claim(
    "replaces a record's links with the record",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      const [a, b, c] = ["a", "b", "c"].map((name) => Records.person(name))
      if (a === undefined || b === undefined || c === undefined) return
      const hall = Records.center("hall", ZERO)
      const rivers = Records.delivery("rivers")
      const sits = (takers: ReadonlyArray<EntityId>) =>
        Records.eligibility("e", hall.id, rivers.id, takers)
      yield* catalogue.put([a, b, c, hall, rivers, sits([a.id, b.id])])
      yield* catalogue.put([sits([b.id, c.id])])
      assert.deepStrictEqual(yield* catalogue.naming([a.id]), [])
      assert.deepStrictEqual(yield* catalogue.naming([c.id]), [{ id: c.id, by: id("elg_e") }])
      const links = yield* catalogue.linksWithin(ZERO)
      const takers = links.filter((link) => link.relation === "test-taker").map((link) => link.to)
      assert.deepStrictEqual(takers.sort(), [b.id, c.id])
      assert.deepStrictEqual(
        (yield* catalogue.byIds([id("elg_e")])).get(id("elg_e")),
        sits([b.id, c.id])
      )
    })
  )

  claim(
    "counts the revisions of each record for itself, and tells the key in force",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      const sam = Records.person("sam", "sync-manager", { organisation: ZERO })
      const hall = Records.center("hall", ZERO)
      yield* catalogue.put([sam, hall])
      assert.deepStrictEqual((yield* revisions(ZERO)).get(sam.id), [1, 1])
      yield* catalogue.put([{ ...sam, wrap: Records.wrap(7) }])
      yield* catalogue.put([{ ...sam, wrap: Records.wrap(8) }])
      assert.deepStrictEqual(
        yield* revisions(ZERO),
        new Map([
          [sam.id, [3, 8]],
          [hall.id, [1, 1]]
        ])
      )
    })
  )

  claim(
    "lets the later of two of one record in a list count, links included",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      const sam = (owner: OrganisationId) =>
        Records.person("sam", "sync-manager", { organisation: owner })
      yield* catalogue.put([sam(ZERO), sam(PLAIN)])
      assert.deepStrictEqual(
        (yield* catalogue.byIds([id("usr_sam")])).get(id("usr_sam")),
        sam(PLAIN)
      )
      assert.deepStrictEqual(yield* catalogue.concerned([id("usr_sam")]), new Set([PLAIN]))
    })
  )

  claim(
    "keeps all of a list or nothing, and nothing of a transaction that fails",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      const atomic = yield* Atomic
      const twin = { ...Records.person("AMÉLIE"), id: id("usr_twin") }
      const refused = yield* Effect.exit(
        catalogue.put([Records.person("bob"), Records.person("amélie"), twin])
      )
      assert.strictEqual(refused._tag, "Failure")
      const failed = atomic.run(
        Effect.andThen(catalogue.put([Records.person("carl")]), Effect.fail("no"))
      )
      assert.strictEqual(yield* Effect.flip(failed), "no")
      assert.deepStrictEqual(yield* Stream.runCollect(catalogue.list("test-taker")), [])
    })
  )
}

const removing = (claim: Claim) => {
  claim(
    "remembers the content version of a removed delivery, the latest",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      const delivery = (version: number) => {
        const record = Records.delivery("d")
        return { ...record, content: { ...record.content, version } }
      }
      yield* catalogue.put([delivery(3), Records.delivery("e"), Records.person("pam")])
      assert.strictEqual(yield* catalogue.retiredVersion(id("dlv_d")), 0)
      yield* catalogue.remove([id("dlv_d"), id("usr_pam"), id("dlv_never")])
      assert.strictEqual(yield* catalogue.retiredVersion(id("dlv_d")), 3)
      yield* catalogue.remove([id("dlv_d")])
      assert.strictEqual(yield* catalogue.retiredVersion(id("dlv_d")), 3)
      yield* catalogue.put([delivery(4)])
      yield* catalogue.remove([id("dlv_d")])
      assert.strictEqual(yield* catalogue.retiredVersion(id("dlv_d")), 4)
      for (const other of ["dlv_e", "dlv_never", "usr_pam"]) {
        assert.strictEqual(yield* catalogue.retiredVersion(id(other)), 0)
      }
    })
  )

  claim(
    "removes records with every link from and to them, and frees their names",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      const pam = Records.person("pam", "proctor")
      const hall = Records.center("hall", ZERO, { proctors: [pam.id] })
      const sits = Records.eligibility("e", hall.id, id("dlv_d"), [])
      yield* catalogue.put([pam, hall, sits, Records.delivery("d")])
      assert.deepStrictEqual(yield* catalogue.naming([pam.id]), [{ id: pam.id, by: hall.id }])
      assert.deepStrictEqual(yield* catalogue.naming([hall.id]), [{ id: hall.id, by: sits.id }])
      assert.deepStrictEqual(yield* catalogue.naming([sits.id]), [])
      assert.deepStrictEqual(yield* catalogue.naming([organisationNode(ZERO)]), [
        { id: organisationNode(ZERO), by: hall.id }
      ])
      yield* catalogue.remove([hall.id, pam.id, id("usr_nobody")])
      assert.deepStrictEqual(
        [...(yield* catalogue.byIds([hall.id, pam.id, sits.id])).keys()],
        [sits.id]
      )
      assert.deepStrictEqual(yield* catalogue.linksWithin(ZERO), [])
      assert.deepStrictEqual(yield* catalogue.concerned([sits.id]), new Set())
      const again = { ...Records.person("PAM", "administrator"), id: id("usr_other") }
      yield* catalogue.put([again])
      assert.deepStrictEqual([...(yield* catalogue.byNames(["person pam"])).values()], [again])
    })
  )
}

const graph = (claim: Claim) => {
  claim(
    "tells whom a change concerns before and after it, through centers within centers",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      const ann = Records.person("ann")
      const inner = Records.center("inner", PLAIN, { subCenters: [id("ctr_outer")] })
      const outer = Records.center("outer", ZERO, { subCenters: [inner.id] })
      const sits = (takers: ReadonlyArray<EntityId>) =>
        Records.eligibility("e", inner.id, id("dlv_d"), takers)
      yield* catalogue.put([ann, inner, outer, Records.delivery("d"), sits([ann.id])])
      yield* catalogue.put(ORGANISATIONS.map(Records.organisation))
      assert.deepStrictEqual(yield* catalogue.concerned([ann.id]), new Set([ZERO, PLAIN]))
      assert.deepStrictEqual(yield* catalogue.concerned([id("usr_nobody")]), new Set())
      const node = organisationNode(STRANGE)
      assert.deepStrictEqual(yield* catalogue.concerned([node]), new Set([STRANGE]))
      yield* catalogue.put([sits([])])
      assert.deepStrictEqual(yield* catalogue.concerned([ann.id]), new Set())
      yield* catalogue.put([Records.center("outer", ZERO), Records.center("inner", PLAIN)])
      assert.deepStrictEqual(yield* catalogue.concerned([sits([]).id]), new Set([PLAIN]))
    })
  )

  claim(
    "reaches from an organisation exactly what the rules of the scope reach, for any catalogue",
    Effect.gen(function* () {
      const catalogue = yield* Catalogue
      for (const records of fc.sample(CATALOGUES, { numRuns: 12, seed: 11 })) {
        yield* catalogue.put(records)
        for (const one of ORGANISATIONS) yield* reachesByTheRules(records, one)
        yield* catalogue.remove(records.map(idOf))
      }
    })
  )
}

/** Compares what the database reaches with what the domain reaches in the same records. */
const reachesByTheRules = Effect.fnUntraced(function* (
  records: ReadonlyArray<CatalogueRecord>,
  organisation: OrganisationId
) {
  const catalogue = yield* Catalogue
  const links = records.flatMap(linksOf)
  const reached = scope(links, organisation)
  const here = new Set(records.map(idOf))
  const within = yield* catalogue.revisionsWithin(organisation)
  const expected = [...reached].filter((one) => here.has(one)).sort()
  assert.deepStrictEqual(within.map((one) => one.key.id).sort(), expected)
  const text = (link: { from: string; relation: string; to: string }) =>
    `${link.from} ${link.relation} ${link.to}`
  assert.deepStrictEqual(
    (yield* catalogue.linksWithin(organisation)).map(text).sort(),
    [...new Set(links.filter((link) => reached.has(link.from)).map(text))].sort()
  )
  const shown = [...(yield* catalogue.centersShowing(organisation))].map(
    ([one, centers]) => [one, centers.map((made) => made.key.id).sort()] as const
  )
  const rules = [...rosters(links)]
    .filter(([one]) => reached.has(one) && here.has(one))
    .map(([one, centers]) => [one, [...centers].filter((each) => here.has(each)).sort()] as const)
  assert.deepStrictEqual(new Map(shown), new Map(rules))
  for (const one of expected) {
    assert.isTrue((yield* catalogue.concerned([one])).has(organisation), `${one} concerns`)
  }
})

const PEOPLE = ["p0", "p1", "p2", "p3"]
const CENTERS = ["c0", "c1", "c2", "c3"]
const owner = fc.constantFrom(...ORGANISATIONS)
const some = (names: ReadonlyArray<string>, prefix: string) =>
  fc.subarray(names.map((name) => id(`${prefix}_${name}`)))

const CATALOGUES: fc.Arbitrary<ReadonlyArray<CatalogueRecord>> = fc
  .tuple(
    fc.tuple(
      ...CENTERS.map((name) =>
        fc
          .tuple(owner, some(PEOPLE, "usr"), some(PEOPLE, "usr"), some(CENTERS, "ctr"))
          .map(([one, administrators, proctors, subCenters]) =>
            Records.center(name, one, { administrators, proctors, subCenters })
          )
      )
    ),
    fc.array(
      fc.tuple(
        fc.constantFrom(...CENTERS),
        fc.constantFrom("d0", "d1"),
        some(["t0", "t1", "t2"], "usr")
      ),
      { maxLength: 5 }
    ),
    fc.subarray(ORGANISATIONS)
  )
  .map(([centers, sittings, organisations]) => [
    ...centers,
    ...sittings.map(([where, what, takers], at) =>
      Records.eligibility(`e${at}`, id(`ctr_${where}`), id(`dlv_${what}${at}`), takers)
    ),
    ...sittings.map(([, what], at) => Records.delivery(`${what}${at}`)),
    ...PEOPLE.map((name) => Records.person(name, "proctor")),
    ...["t0", "t1", "t2"].map((name) => Records.person(name)),
    Records.person("sam", "sync-manager", { organisation: ZERO }),
    Records.consumer("moodle", PLAIN),
    ...organisations.map(Records.organisation)
  ])

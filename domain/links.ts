/** Reads the links of the catalogue's graph off its records (see `scope.ts` for the picture). */
import type { EntityId } from "./id.ts"
import { organisationNode } from "./id.ts"
import type { CatalogueRecord } from "./record.ts"
import type { Link, Relation } from "./scope.ts"

/** The links that a record brings. A record is the only source of its links. */
export const linksOf = (record: CatalogueRecord): ReadonlyArray<Link> => {
  switch (record.kind) {
    case "test-center":
      return [
        { from: organisationNode(record.organisation), relation: "member", to: record.id },
        ...linksTo(record.id, "child", record.subCenters),
        ...linksTo(record.id, "administrator", record.administrators),
        ...linksTo(record.id, "proctor", record.proctors)
      ]
    case "eligibility":
      return [
        { from: record.testCenter, relation: "eligibility", to: record.id },
        { from: record.id, relation: "delivery", to: record.delivery },
        ...linksTo(record.id, "test-taker", record.testTakers)
      ]
    case "lti-consumer":
      return [{ from: organisationNode(record.organisation), relation: "consumer", to: record.id }]
    case "sync-manager":
      return record.organisation === undefined
        ? []
        : [{ from: organisationNode(record.organisation), relation: "manager", to: record.id }]
    default:
      return []
  }
}

const linksTo = (
  from: EntityId,
  relation: Relation,
  targets: ReadonlyArray<EntityId>
): ReadonlyArray<Link> => targets.map((to) => ({ from, relation, to }))

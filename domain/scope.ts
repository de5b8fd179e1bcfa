/**
 * Decides which entities an organisation id reaches: closed under reference, and nothing more
 * (invariant 1).
 *
 * The catalogue is a graph; the scope is what can be reached from the organisation's node:
 *
 *   organisation ─ member ──→ test-center ─ child ──→ test-center
 *        │                       ├─ administrator ──→ administrator
 *        ├─ manager → sync-manager├─ proctor ───────→ proctor
 *        └─ consumer → lti-consumer└─ eligibility ──→ eligibility ─ delivery ──→ delivery
 *                                                          └─ test-taker ─────→ test-taker
 *
 * From the same links follow two sorts of secrets: who may read a person's profile (the rosters of
 * the centers that reach the person) and who gets which key (test-takers their deliveries' content
 * keys, administrators and proctors their centers' roster keys).
 */
import { Schema } from "effect"
import type { EntityId, OrganisationId } from "./id.ts"
import { organisationNode } from "./id.ts"

export const Relation = Schema.Literals([
  "member",
  "child",
  "administrator",
  "proctor",
  "eligibility",
  "delivery",
  "test-taker",
  "manager",
  "consumer"
])
export type Relation = typeof Relation.Type

/** `from` reaches `to`. */
export interface Link {
  readonly from: EntityId
  readonly relation: Relation
  readonly to: EntityId
}

/** Everything reachable from the organisation's node, that node included. */
export const scope = (
  links: Iterable<Link>,
  organisation: OrganisationId
): ReadonlySet<EntityId> => {
  const next = Map.groupBy(links, (link) => link.from)
  const reached = new Set<EntityId>()
  const open = [organisationNode(organisation)]
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (reached.has(id)) continue
    reached.add(id)
    for (const link of next.get(id) ?? []) open.push(link.to)
  }
  return reached
}

/** A key that somebody needs: the content key of a delivery, or the roster key of a center. */
export interface KeyNeed {
  readonly subject: EntityId
  readonly reader: EntityId
}

/** The keys that the links call for, each once, in the order of the links. */
export const keyNeeds = (links: ReadonlyArray<Link>): ReadonlyArray<KeyNeed> => {
  const deliveryOf = new Map<EntityId, EntityId>()
  for (const link of links) if (link.relation === "delivery") deliveryOf.set(link.from, link.to)
  const needs = new Map<string, KeyNeed>()
  for (const { from, relation, to } of links) {
    const subject =
      relation === "test-taker"
        ? deliveryOf.get(from)
        : relation === "administrator" || relation === "proctor"
          ? from
          : undefined
    if (subject !== undefined) needs.set(`${subject} ${to}`, { subject, reader: to })
  }
  return [...needs.values()]
}

/** For each person, the centers whose roster shows that person. */
export const rosters = (
  links: ReadonlyArray<Link>
): ReadonlyMap<EntityId, ReadonlySet<EntityId>> => {
  const centerOf = new Map<EntityId, EntityId>()
  for (const link of links) if (link.relation === "eligibility") centerOf.set(link.to, link.from)
  const shown = new Map<EntityId, Set<EntityId>>()
  const show = (person: EntityId, center: EntityId | undefined) => {
    if (center === undefined) return
    const centers = shown.get(person)
    if (centers === undefined) shown.set(person, new Set([center]))
    else centers.add(center)
  }
  for (const { from, relation, to } of links) {
    if (relation === "test-taker") show(to, centerOf.get(from))
    if (relation === "administrator" || relation === "proctor") show(to, from)
  }
  return shown
}

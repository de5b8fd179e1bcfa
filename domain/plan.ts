/**
 * Decides what a device must do to hold exactly what central offers it.
 *
 * Pure: two manifests in, one plan out. Either may be restricted to the keys that a delta names;
 * then the plan speaks of those keys alone. Properties, by number, in test/plan.test.ts:
 *
 * 1. Applying the plan to `local` yields `remote`, but for what is held.
 * 2. Every key of either side is in exactly one of create, update, remove, keep, held.
 * 3. Planning again after applying finds nothing to do.
 * 4. Nothing that is needed is removed (invariant 4).
 * 5. A plan restricted to changed keys is the whole plan without its `keep`.
 */

/** What one side holds: the digest of every entity, by key. */
export type Manifest = ReadonlyMap<string, string>

export interface Plan {
  readonly create: ReadonlyArray<string>
  readonly update: ReadonlyArray<string>
  readonly remove: ReadonlyArray<string>
  readonly keep: ReadonlyArray<string>
  /** Gone at central, but a session runs on it or a result of it is not acknowledged. */
  readonly held: ReadonlyArray<string>
}

/** Compares two manifests. `remote` is right; `needed` names what may not go yet. */
export const plan = (local: Manifest, remote: Manifest, needed: ReadonlySet<string>): Plan => {
  const offered = [...remote.keys()]
  const gone = [...local.keys()].filter((key) => !remote.has(key))
  return {
    create: offered.filter((key) => !local.has(key)),
    update: offered.filter((key) => local.has(key) && local.get(key) !== remote.get(key)),
    keep: offered.filter((key) => local.get(key) === remote.get(key)),
    remove: gone.filter((key) => !needed.has(key)),
    held: gone.filter((key) => needed.has(key))
  }
}

export const REMOVALS_FREE = 10
export const REMOVALS_SHARE = 0.1

/**
 * Whether so many removals need a person's word (invariant 5): more than ten, and more than a tenth
 * of what is held. Key wraps do not count: they go by the thousand when a delivery is renewed.
 */
export const needsConfirmation = (removing: number, holding: number): boolean =>
  removing > REMOVALS_FREE && removing > holding * REMOVALS_SHARE

export const isIdle = (plan: Plan): boolean =>
  plan.create.length + plan.update.length + plan.remove.length + plan.held.length === 0

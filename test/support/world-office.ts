/** What happens at central in the simulated world: edits, moves, removals, backups, restores. */
import path from "node:path"
import { Effect, Result } from "effect"
import { addLtiConsumer } from "../../application/add-lti-consumer.ts"
import { beginAnew } from "../../application/begin-anew.ts"
import { Standing } from "../../application/bundle-ports.ts"
import { adoptRoot } from "../../application/change-root.ts"
import { blockDevice, revokeDevice, unblockDevice } from "../../application/manage-clients.ts"
import { Catalogue } from "../../application/ports.ts"
import { remove } from "../../application/remove.ts"
import { revoke } from "../../application/revoke.ts"
import type { Signed } from "../../domain/enrolment.ts"
import type { PersonKind } from "../../domain/entity.ts"
import type { EntityId } from "../../domain/id.ts"
import type { CatalogueRecord, PersonRecord } from "../../domain/record.ts"
import type { Dice } from "./dice.ts"
import { allRecords } from "./observe-central.ts"
import * as Office from "./office.ts"
import { enrol, type Rules, type Step, secretWord, type World } from "./world.ts"
import { nameResultsKeys } from "./world-home.ts"
import { note } from "./world-truth.ts"

const STAFF = ["administrator", "proctor"] as const
const LABELS = ["Main hall", "Annexe", "Gym"]
const DELIVERIES = ["math", "art", "0123"]

/** Fills central, and enrols each device in an organisation; the first one in two. */
export const build: Rules["build"] = Effect.fnUntraced(function* (world, dice) {
  for (const [at, organisation] of world.organisations.entries()) {
    yield* hire(world, "sync-manager", [managerOf(at)], { organisation })
    for (const kind of STAFF) yield* hire(world, kind, [loginOf(world), loginOf(world)])
  }
  const takers = Array.from({ length: 5 + dice.below(5) }, () => loginOf(world))
  yield* hire(world, "test-taker", takers)
  for (const organisation of world.organisations) {
    for (const label of LABELS.slice(0, 1 + dice.below(2))) {
      yield* settle(world, dice, organisation, label)
    }
  }
  for (const id of DELIVERIES.slice(0, 2)) yield* print(world, id)
  for (let times = 0; times < 4; times++) yield* seat(world, dice)
  yield* nameResultsKeys(world, dice)
  for (const [at, machine] of world.machines.entries()) {
    yield* enrol(world, machine, managerOf(at % world.organisations.length))
    if (at === 0) yield* enrol(world, machine, managerOf(1))
  }
})

export const managerOf = (at: number) => secretWord(at, "manager")
const loginOf = (world: World) => secretWord(world.next(), "login")

/** Imports people who are new, and remembers what opens their keys. */
const hire = Effect.fnUntraced(function* (
  world: World,
  kind: PersonKind,
  logins: ReadonlyArray<string>,
  more: { readonly organisation?: string } = {}
) {
  yield* enter(
    world,
    kind,
    logins.map((login) => ({ login, ...more }))
  )
})

const enter = Effect.fnUntraced(function* (
  world: World,
  kind: PersonKind,
  somebodies: ReadonlyArray<Office.Somebody>
) {
  const { applied } = yield* world.central.run(Office.people(kind, somebodies))
  for (const { login, password } of somebodies) {
    const record = (yield* people(world)).find((person) => person.login === login)
    if (record === undefined) continue
    world.logins.set(record.id, login)
    if (!world.passwords.has(record.wrap.recipient)) {
      world.passwords.set(record.wrap.recipient, password ?? Office.passwordOf(login))
    }
  }
  return applied
})

const records = (world: World) => world.central.run(allRecords)
const people = (world: World) =>
  Effect.map(records(world), (all) => all.filter((one): one is PersonRecord => "wrap" in one))
const ofKind = <K extends CatalogueRecord["kind"]>(
  all: ReadonlyArray<CatalogueRecord>,
  kind: K
): ReadonlyArray<Extract<CatalogueRecord, { readonly kind: K }>> =>
  all.filter((one): one is Extract<CatalogueRecord, { readonly kind: K }> => one.kind === kind)
const loginsOf = (all: ReadonlyArray<CatalogueRecord>, kind: PersonKind) =>
  all.flatMap((one) => ("wrap" in one && one.kind === kind ? [one.login] : [])).sort()

/** Creates a center or gives it other staff and sub-centers. */
const settle = Effect.fnUntraced(function* (
  world: World,
  dice: Dice,
  organisation: string,
  label: string
) {
  const all = yield* records(world)
  const subCenters = ofKind(all, "test-center")
    .filter((one) => one.organisation === organisation && one.label !== label)
    .map((one) => one.label)
    .filter(() => dice.chance(1, 3))
  return yield* world.central.run(
    Office.center(organisation, label, {
      administrators: dice.some(loginsOf(all, "administrator")).slice(0, 3),
      proctors: dice.some(loginsOf(all, "proctor")).slice(0, 3),
      subCenters
    })
  )
})

/** Lets other test-takers sit some delivery at some center. */
const seat = Effect.fnUntraced(function* (world: World, dice: Dice) {
  const all = yield* records(world)
  const center = dice.pick(ofKind(all, "test-center"))
  const delivery = dice.pick(ofKind(all, "delivery"))
  const takers = dice.some(loginsOf(all, "test-taker"))
  if (center === undefined || delivery === undefined || takers.length === 0) return "nobody"
  const { offered } = yield* world.central.run(
    Office.eligible(center.id, delivery.id, takers, { proctored: dice.chance(1, 5) })
  )
  return `${takers.length} takers, ${offered} offers`
})

const print = (world: World, id: string, label?: string) => {
  const text = secretWord(world.next(), "question")
  return world.central.run(Office.publishText(world.root, id, text, label))
}

const relabel: Step = Effect.fnUntraced(function* (world, dice) {
  const person = dice.pick(yield* people(world))
  if (person === undefined) return "nobody"
  const { login, organisation } = person
  const label = secretWord(world.next(), "person")
  const more = organisation === undefined ? {} : { organisation }
  return `${login} ${yield* enter(world, person.kind, [{ login, label, ...more }])}`
})

const rekey: Step = Effect.fnUntraced(function* (world, dice) {
  const known = (yield* people(world)).filter(({ kind }) => kind !== "sync-manager")
  const person = dice.pick(known)
  if (person === undefined) return "nobody"
  const { label, login } = person
  const password = secretWord(world.next(), "password")
  return `${login} ${yield* enter(world, person.kind, [{ login, label, password }])}`
})

const welcome: Step = Effect.fnUntraced(function* (world, dice) {
  const kind = dice.pick([...STAFF, "test-taker", "test-taker"] as const) ?? "test-taker"
  const login = loginOf(world)
  yield* hire(world, kind, [login])
  return `${kind} ${login}`
})

const reorganise: Step = Effect.fnUntraced(function* (world, dice) {
  const organisation = dice.pick(world.organisations) ?? ""
  const label = dice.pick(LABELS) ?? ""
  const { offered } = yield* settle(world, dice, organisation, label)
  return `${label} of ${organisation}, ${offered} offers`
})

const republish: Step = Effect.fnUntraced(function* (world, dice) {
  const id = dice.pick(DELIVERIES) ?? ""
  const { content, offered, version } = yield* print(world, id, `Test ${dice.below(3)}`)
  return `${id} ${content} ${version}, ${offered} offers`
})

/** Removes a record, with those that name it or without. */
const withdraw: Step = Effect.fnUntraced(function* (world, dice) {
  const all = yield* records(world)
  const kinds = [...new Set(all.map(({ kind }) => kind))]
  const kind = dice.pick(kinds.filter((one) => one !== "organisation" && one !== "sync-manager"))
  const going = dice.pick(all.filter((one) => one.kind === kind))
  if (going === undefined) return "nothing"
  const ids = new Set<EntityId>([going.id])
  for (let before = 0; before < ids.size; ) {
    before = ids.size
    const naming = yield* world.central.run(
      Effect.flatMap(Catalogue, (catalogue) => catalogue.naming([...ids]))
    )
    // A person goes alone or not at all: else the half of the world would go along.
    if (!("wrap" in going)) for (const { by } of naming) ids.add(by)
  }
  const result = yield* Effect.result(world.central.run(remove([...ids])))
  return Result.isSuccess(result)
    ? `${going.kind}, ${result.success.removed} in all, ${result.success.offered} offers`
    : `${going.kind}: ${result.failure._tag}`
})

/** Two platforms in all, so that they change, and move from one organisation to another. */
const launch: Step = Effect.fnUntraced(function* (world, dice) {
  const organisation = dice.pick(world.organisations)
  if (organisation === undefined) return "nowhere"
  const secret = secretWord(world.next(), "secret")
  const platform = { organisation, label: "Platform", key: `key ${dice.below(2)}`, secret }
  const { created, offered } = yield* world.central.run(addLtiConsumer(platform))
  return `${platform.key} of ${organisation}, ${created ? "new" : "known"}, ${offered} offers`
})

const backUp: Step = (world) =>
  Effect.sync(() => {
    const folder = path.join(world.root, `central-copy${world.copies.length}`)
    world.central.copyTo(folder)
    world.copies.push(folder)
    return `copy ${world.copies.length}`
  })

const restore: Step = Effect.fnUntraced(function* (world, dice) {
  const folder = dice.pick(world.copies)
  if (folder === undefined) return yield* backUp(world, dice)
  const { chain, list } = yield* world.central.run(documents)
  yield* world.central.reopen(world.central.restoreFrom(folder))
  world.truth.restored = "central"
  note(world, "central restored")
  // What the office keeps beside its backups: signed roots, and whom they trust no longer.
  yield* world.central.run(
    Effect.gen(function* () {
      for (const signed of chain) yield* adoptIfNewer(signed)
      for (const item of list.revoked) {
        if (item.type === "device") yield* Effect.ignore(revokeDevice(item.id, "operator"))
        else yield* revoke(item)
      }
      yield* beginAnew
    }).pipe(Effect.orDie)
  )
  return path.basename(folder)
})

const documents = Effect.gen(function* () {
  const standing = yield* Standing
  return { chain: yield* standing.chain, list: (yield* standing.revocations).list }
})

const adoptIfNewer = Effect.fnUntraced(function* (signed: Signed) {
  const standing = yield* Standing
  const known = (yield* standing.chain).some(({ text }) => text === signed.text)
  if (!known) yield* adoptRoot(signed)
})

const block: Step = Effect.fnUntraced(function* (world, dice) {
  const machine = dice.pick(world.machines)
  if (machine === undefined) return "nobody"
  const verb = dice.chance(1, 2) ? blockDevice : unblockDevice
  const result = yield* Effect.result(world.central.run(verb(machine.line.client, "operator")))
  return `${machine.name} ${Result.isSuccess(result) ? "done" : result.failure._tag}`
})

/** Edits that may also happen while a device is reading. */
export const EDITS: Rules["commands"] = [
  [4, "relabel", relabel],
  [2, "rekey", rekey],
  [2, "welcome", welcome],
  [4, "reorganise", reorganise],
  [7, "seat", (world, dice) => seat(world, dice)],
  [3, "republish", republish],
  [4, "withdraw", withdraw],
  [2, "launch", launch]
]

export const OFFICE: Rules["commands"] = [
  ...EDITS,
  [2, "back up", backUp],
  [2, "restore", restore],
  [1, "block", block]
]

/** Lets every device in again. */
export const unblockAll = (world: World) =>
  Effect.forEach(
    world.machines,
    ({ line }) => Effect.exit(world.central.run(unblockDevice(line.client, "operator"))),
    { discard: true }
  )

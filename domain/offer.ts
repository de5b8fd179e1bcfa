/**
 * Says what must be offered to an organisation, and from what each offer is made.
 *
 * A stamp names everything that an offer depends on: the record's revision, and for what is sealed
 * also the keys it is sealed to. An offer is made anew exactly when its stamp changes, so a small
 * change in a large organisation costs a small change.
 */
import type { EntityKey } from "./entity.ts"
import { keyText, PERSON_KINDS } from "./entity.ts"
import { EntityId } from "./id.ts"
import type { KeyNeed } from "./scope.ts"

export interface Made {
  readonly key: EntityKey
  readonly revision: number
  readonly keyVersion: number
}

/** The stamps of all offers of an organisation, by key. */
export const stamps = (
  reached: ReadonlyArray<Made>,
  showing: ReadonlyMap<EntityId, ReadonlyArray<Made>>,
  needs: ReadonlyArray<KeyNeed>
): ReadonlyMap<string, string> => {
  const made = new Map<EntityId, Made>(reached.map((one) => [one.key.id, one]))
  const centers = reached.filter((one) => one.key.kind === "test-center")
  const wanted = new Map<string, string>()
  for (const one of reached) {
    if (isPerson(one)) {
      wanted.set(keyText(one.key), sealedStamp(one, showing.get(one.key.id) ?? []))
    } else if (one.key.kind !== "lti-consumer") {
      wanted.set(keyText(one.key), String(one.revision))
    } else if (centers.length > 0) {
      wanted.set(keyText(one.key), sealedStamp(one, centers))
    }
  }
  for (const { subject, reader } of needs) {
    const key = made.get(subject)
    const person = made.get(reader)
    if (key === undefined || person === undefined) continue
    wanted.set(
      keyText({ kind: "key-wrap", id: wrapId(subject, key.keyVersion, reader) }),
      String(person.keyVersion)
    )
  }
  return wanted
}

/** The stamp of something that is sealed to its owner's key and to the rosters of some centers. */
export const sealedStamp = (one: Made, centers: ReadonlyArray<Made>): string =>
  [
    `${one.revision}.${one.keyVersion}`,
    ...centers.map((center) => `${center.key.id}.${center.keyVersion}`).sort()
  ].join(" ")

/** The id of a key wrap, and back. A reader's id has no colon; a delivery's may, people name it. */
export const wrapId = (subject: EntityId, version: number, reader: EntityId): EntityId =>
  EntityId.make(`kw:${version}:${subject}:${reader}`)

export const wrapParts = (
  id: EntityId
): { readonly subject: EntityId; readonly version: number; readonly reader: EntityId } => {
  const [, version, subject, reader] = /^kw:(\d+):(.+):([^:]+)$/u.exec(id) ?? []
  return {
    subject: EntityId.make(subject ?? ""),
    version: Number(version),
    reader: EntityId.make(reader ?? "")
  }
}

const isPerson = (one: Made): boolean => PERSON_KINDS.some((kind) => kind === one.key.kind)

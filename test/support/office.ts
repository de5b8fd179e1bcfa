/**
 * Does at central what its operators do, by the verbs themselves: rosters come as rows instead of
 * files, packages are the smallest that can be played.
 */
import fs from "node:fs"
import path from "node:path"
import { Effect, Option, Redacted, Stream } from "effect"
import { certify, type EnrolmentProof } from "../../application/certify.ts"
import type { ImportJob } from "../../application/import.ts"
import { importCenters } from "../../application/import-centers.ts"
import { importEligibilities } from "../../application/import-eligibilities.ts"
import { importPeople } from "../../application/import-people.ts"
import { Catalogue, DeviceIdentity, Hashing } from "../../application/ports.ts"
import { deliveryId, publish } from "../../application/publish.ts"
import type { PersonKind } from "../../domain/entity.ts"
import { OrganisationId } from "../../domain/id.ts"
import { centerName, deliveryName, eligibilityName, personName } from "../../domain/record.ts"
import type { EligibilityRow, TestCenterRow, UserRow } from "../../domain/roster.ts"
import type { Line } from "./carrier.ts"
import { item, minimal } from "./qti-files.ts"
import { rawZip } from "./raw-zip.ts"
import type { CentralSite, DeviceSite } from "./site.ts"

/** A user as a roster has them; the label is made of the login where none is given. */
export interface Somebody {
  readonly login: string
  readonly label?: string
  readonly password?: string
  readonly organisation?: string
}

/** Imports users. Without a password somebody new has "password of LOGIN". */
export const people = (kind: PersonKind, somebodies: ReadonlyArray<Somebody>) =>
  Effect.gen(function* () {
    const catalogue = yield* Catalogue
    const hashing = yield* Hashing
    const known = yield* catalogue.byNames(somebodies.map(({ login }) => personName(login)))
    const rows = somebodies.map((one): UserRow => {
      const fresh = known.has(personName(one.login)) ? undefined : passwordOf(one.login)
      const password = one.password ?? fresh
      return {
        login: one.login,
        label: one.label ?? labelOf(one.login),
        interfaceLanguage: "en-US",
        ...(password === undefined ? {} : { password: Redacted.make(password) }),
        ...(one.organisation === undefined ? {} : { organisation: one.organisation })
      }
    })
    return yield* importPeople({
      ...job(rows),
      kind,
      file: hashing.sha256(JSON.stringify([kind, somebodies])),
      sheet: Option.none(),
      width: 1
    })
  }).pipe(Effect.orDie)

export const passwordOf = (login: string) => `password of ${login}`
export const labelOf = (login: string) => `Called ${login}`

/** Imports one test center. */
export const center = (organisation: string, label: string, changes: Partial<TestCenterRow> = {}) =>
  importCenters(
    job([{ label, organisation, administrators: [], proctors: [], subCenters: [], ...changes }])
  ).pipe(Effect.orDie)

/** Imports test centers, and keeps the good rows if the operator says so. */
export const centers = (rows: ReadonlyArray<TestCenterRow>, keepGoing = false) =>
  importCenters({ ...job(rows), keepGoing }).pipe(Effect.orDie)

/** Lets test-takers sit a delivery at the one center of this label. */
export const eligible = (
  testCenter: string,
  delivery: string,
  testTakers: ReadonlyArray<string>,
  changes: Partial<EligibilityRow> = {}
) =>
  importEligibilities(
    job([{ testCenter, delivery, testTakers, proctored: false, ...changes }])
  ).pipe(Effect.orDie)

/** Publishes a package whose one item says `text`; the same text makes the same package. */
export const publishText = (folder: string, id: string, text: string, label = `Test ${id}`) =>
  Effect.suspend(() => {
    const file = path.join(folder, `${id}.zip`)
    fs.writeFileSync(file, packageOf(text))
    return publish({
      file,
      id: deliveryId(id),
      label,
      period: {},
      maxExecutions: undefined,
      proctored: false,
      dryRun: false
    })
  }).pipe(Effect.orDie)

const packageOf = (text: string): Buffer =>
  rawZip(
    Object.entries({ ...minimal, "items/i1.xml": item(`<p>${text}</p>`) }).map(([name, data]) => ({
      name,
      data,
      method: 0
    }))
  )

/** Makes a device a member of the organisation of a sync manager, or of one more. */
export const enrolDevice = Effect.fnUntraced(function* (
  central: CentralSite,
  device: DeviceSite,
  line: Line,
  proof: EnrolmentProof,
  now = 0
) {
  const request = yield* device.run(
    Effect.flatMap(DeviceIdentity, (identity) => identity.request("device", now))
  )
  const enrolment = yield* central.run(certify(request, proof))
  const membership = yield* device.run(
    Effect.flatMap(DeviceIdentity, (identity) => identity.accept(enrolment))
  )
  line.client = membership.device
  return membership
}, Effect.orDie)

const job = <Row>(rows: ReadonlyArray<Row>): ImportJob<Row, never> => ({
  read: () =>
    Stream.make({
      items: rows.map((row, at) => ({ _tag: "Row" as const, line: at + 2, row })),
      bytesRead: 1,
      bytesTotal: 1
    }),
  dryRun: false,
  keepGoing: false,
  name: "roster.csv"
})

const idOf = (name: string) =>
  Effect.gen(function* () {
    const catalogue = yield* Catalogue
    const record = (yield* catalogue.byNames([name])).get(name)
    return record === undefined ? yield* Effect.die(new Error(`no ${name}`)) : record.id
  })

/** The ids that central gave. */
export const idOfPerson = (login: string) => idOf(personName(login))
export const idOfCenter = (organisation: string, label: string) =>
  idOf(centerName(OrganisationId.make(organisation), label))
export const idOfDelivery = (id: string) => idOf(deliveryName(deliveryId(id)))
export const idOfEligibility = (organisation: string, label: string, delivery: string) =>
  Effect.flatMap(idOfCenter(organisation, label), (testCenter) =>
    idOf(eligibilityName(testCenter, deliveryId(delivery)))
  )

export const organisations = (...names: ReadonlyArray<string>) =>
  names.map((name) => OrganisationId.make(name))

/**
 * Shows the whole round trip on real packages, in a folder of its own: a central with two
 * organisations, two devices that each receive what is theirs over HTTPS, a third one by stick, a
 * change, and what it costs to follow it. Everything in it is what the commands do: real TLS, real databases, real encryption.
 */
import fs from "node:fs"
import { createServer } from "node:net"
import path from "node:path"
import { Effect, Layer, Option, Redacted, Schema } from "effect"
import { HttpServer } from "effect/http"
import { Holdings } from "../application/ports.ts"
import { Refused } from "../application/refused.ts"
import { OrganisationId } from "../domain/id.ts"
import * as Central from "./central-commands.ts"
import { certificateFiles, initCentral } from "./central-init.ts"
import * as CentralServer from "./central-server.ts"
import { ASSETS, change, publish, renamed, sheet } from "./demo-catalogue.ts"
import { makeKeys, openAndCompare, sitAll } from "./demo-results.ts"
import { firstTrip, resultsHome, secondTrip } from "./demo-stick.ts"
import * as Device from "./device-commands.ts"
import { initDevice, settleTrust } from "./device-init.ts"
import { readCentral, readDevice } from "./settings.ts"
import { showSync } from "./show.ts"
import { byteSize, count } from "./terminal-units.ts"
import { layerCentral, layerDevice, reachByHttps } from "./wiring.ts"

const MARKER = ".testferry-demo"
/** The least that is safe; a real central wraps keys at more than three times this cost. */
const COST = { memoryKiB: 19_456, passes: 2 }

const SCHOOLS = [
  { device: "lycee", organisation: "0123", manager: "sync.fleuves", name: "Lycée des Fleuves" },
  { device: "isles", organisation: "123", manager: "sync.northern-isles", name: "Northern Isles" }
] as const

const DemoReport = Schema.Struct({
  directory: Schema.String,
  firstSync: Schema.Array(Device.SyncReport),
  secondSync: Schema.Array(Device.SyncReport),
  thirdSync: Schema.Array(Device.SyncReport),
  foreign: Schema.Int,
  readable: Schema.Int,
  stick: Schema.Struct({ full: Schema.Int, delta: Schema.Int, heard: Schema.Boolean }),
  results: Schema.Struct({
    answered: Schema.Int,
    cameOut: Schema.Int,
    missing: Schema.Int,
    invented: Schema.Int
  })
})

export const encodeDemo = (report: typeof DemoReport.Type) =>
  Effect.orDie(Schema.encodeEffect(Schema.toCodecJson(DemoReport))(report))

export const demo = Effect.fn("demo")(function* (directory: string, say: (text: string) => void) {
  yield* freshFolder(directory)
  const port = yield* freePort
  const central = path.join(directory, "central")
  const url = `https://127.0.0.1:${port}`
  say(`This is Testferry. Everything below happens in ${directory}, for real.\n`)

  say("1. A central server is set up, and its catalogue is filled from CSV files and QTI packages.")
  const made = yield* setUpCentral(central, url, directory)
  const settings = yield* readCentral(central)
  const pem = certificateFiles(central)
  const tls = {
    certPem: fs.readFileSync(pem.cert, "utf8"),
    keyPem: fs.readFileSync(pem.key, "utf8")
  }
  const server = CentralServer.layer({ host: "127.0.0.1", port, tls }).pipe(
    Layer.provideMerge(layerCentral(central, settings)),
    Layer.provide(CentralServer.layerQuiet)
  )
  return yield* Effect.gen(function* () {
    yield* HttpServer.HttpServer
    yield* makeKeys(directory, say)
    yield* fillCatalogue(directory, say)

    say(
      "\n2. Each school sets up a device. A sync manager logs in once; the device gets a certificate."
    )
    for (const school of SCHOOLS) yield* setUpDevice(directory, school, url, made.certificate, say)

    say("\n3. First synchronisation over HTTPS: each device receives what its organisation needs.")
    const firstSync = yield* syncAll(directory, say)
    const foreign = yield* foreignEntities(directory)
    say(`   Entities of the other organisation on a device: ${foreign}.`)

    say("\n4. What arrived is readable only for the person concerned, after login.")
    yield* logIn(directory, say)
    const readable = namesOnDisk(directory)
    say(`   Names and logins found by searching the devices' files: ${readable}.`)

    say(
      "\n5. A change at central: a test-taker leaves, another joins, one test gets a new version."
    )
    yield* change(directory, say)

    say("\n6. Second synchronisation: only the difference travels.")
    const secondSync = yield* syncAll(directory, say)

    say("\n7. Once more: one short question, and nothing to do.")
    const thirdSync = yield* syncAll(directory, say)

    say(
      "\n8. A third machine never sees a network. It is enrolled and filled by a USB stick alone."
    )
    const { full } = yield* firstTrip(directory, url, say)
    say(
      "\n9. Its second trip: the machine tells how far it is, and only the difference comes back."
    )
    const { delta, heard } = yield* secondTrip(directory, renamed(directory), say)

    say("\n10. Test-takers sit tests on all three machines; what they answer is sealed at the end.")
    const sat = yield* sitAll(directory, (login) => passwordOf(directory, login), say)

    say("\n11. The results come home: two machines send them, the third gives them to the stick.")
    yield* syncAll(directory, say)
    yield* resultsHome(directory, say)

    say("\n12. The office opens them with a key that central never had, and compares.")
    const results = yield* openAndCompare(directory, sat, say)
    say(`\nDone. Look around in ${directory}, for instance:`)
    say(`  testferry --data ${path.join(directory, "lycee")} status`)
    say(`  testferry --data ${path.join(directory, "central")} history`)
    const stick = { full, delta, heard }
    return { directory, firstSync, secondSync, thirdSync, foreign, readable, stick, results }
  }).pipe(Effect.provide(server))
}, Effect.scoped)

/** Empties the folder of an earlier demonstration; refuses to touch anything else. */
const freshFolder = Effect.fnUntraced(function* (directory: string) {
  if (fs.existsSync(directory) && !fs.existsSync(path.join(directory, MARKER))) {
    return yield* new Refused({
      code: "E_DEMO_FOLDER",
      what: "The demonstration was not started.",
      why: `${directory} exists and was not made by a demonstration.`,
      todo: "Name another folder with --dir."
    })
  }
  yield* Effect.sync(() => {
    fs.rmSync(directory, { recursive: true, force: true })
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    fs.writeFileSync(path.join(directory, MARKER), "made by testferry demo\n")
  })
})

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

const setUpCentral = Effect.fnUntraced(function* (central: string, url: string, directory: string) {
  const setup = path.join(directory, "setup.json")
  const configuration = { global: { url }, testferry: { passwordCost: COST } }
  fs.writeFileSync(setup, JSON.stringify({ configuration }, null, 2))
  return yield* initCentral({
    directory: central,
    setup: Option.some(setup),
    database: Option.none(),
    url: Option.none()
  })
})

const fillCatalogue = Effect.fnUntraced(function* (directory: string, say: (text: string) => void) {
  const csv = (name: string) => path.join(ASSETS, "csv", `${name}.csv`)
  const options = { dryRun: false, keepGoing: false }
  for (const [name, type] of [
    ["administrators", "test-center-admin"],
    ["proctors", "proctor"],
    ["sync-managers", "sync-manager"],
    ["test-takers", "test-taker"]
  ] as const) {
    const { report } = yield* Central.importUsers.run({
      ...options,
      file: csv(name),
      type,
      passwordsOut: sheet(directory),
      weakPasswords: false
    })
    say(`   ${name}: ${report.created} created, each with a key wrapped by a generated password`)
  }
  const centers = yield* Central.importTestCenters.run({ ...options, file: csv("test-centers") })
  say(`   test centers: ${centers.report.created} created, in organisations "0123" and "123"`)
  for (const [file, id] of [
    ["rivers-qti30", "rivers"],
    ["fractions-qti30", "fractions"],
    ["soundscapes-qti30", "soundscapes"]
  ] as const) {
    const published = yield* publish(path.join(ASSETS, "packages", `${file}.zip`), id)
    say(`   "${published.label}": QTI ${published.qti}, ${published.items} items, sealed`)
  }
  const seats = yield* Central.importEligibilityRows.run({ ...options, file: csv("eligibilities") })
  say(`   eligibilities: ${seats.report.created} created (who may sit what, where)`)
})

const passwordOf = (directory: string, login: string): string => {
  const line = fs
    .readFileSync(sheet(directory), "utf8")
    .split("\n")
    .find((one) => one.startsWith(`${login},`))
  return line?.slice(login.length + 1) ?? ""
}

const setUpDevice = Effect.fnUntraced(function* (
  directory: string,
  school: (typeof SCHOOLS)[number],
  url: string,
  fingerprint: string,
  say: (text: string) => void
) {
  const data = path.join(directory, school.device)
  yield* Effect.scoped(
    initDevice({
      directory: data,
      setup: Option.none(),
      rootUrl: Option.some(url),
      name: Option.some(school.name)
    })
  )
  yield* settleTrust(data, Option.some(fingerprint))
  const enrolled = yield* Device.enrolCommand(reachByHttps(data))
    .run({
      name: school.name,
      login: school.manager,
      password: Redacted.make(passwordOf(directory, school.manager)),
      key: null,
      secret: null
    })
    .pipe(Effect.provide(layerDevice(data, yield* readDevice(data))))
  say(`   ${school.name}: ${enrolled.device}, member of ${enrolled.organisations.join(", ")}`)
})

const onDevice = Effect.fnUntraced(function* <A, E, R>(
  directory: string,
  device: string,
  use: (data: string) => Effect.Effect<A, E, R>
) {
  const data = path.join(directory, device)
  return yield* use(data).pipe(Effect.provide(layerDevice(data, yield* readDevice(data))))
})

const syncAll = Effect.fnUntraced(function* (directory: string, say: (text: string) => void) {
  const reports: Array<Device.SyncReport> = []
  for (const { device, name } of SCHOOLS) {
    const report = yield* onDevice(directory, device, (data) =>
      Device.syncCommand(reachByHttps(data)).run({
        kinds: null,
        dryRun: false,
        confirmRemovals: false
      })
    )
    reports.push(report)
    say(`   ${name}:`)
    say(indented(showSync(report)))
  }
  return reports
})

const indented = (text: string): string =>
  text
    .split("\n")
    .map((line) => `     ${line}`)
    .join("\n")

/** Counts what a device holds beside the organisation that it is a member of. */
const foreignEntities = Effect.fnUntraced(function* (directory: string) {
  let foreign = 0
  for (const { device, organisation } of SCHOOLS) {
    const others = SCHOOLS.filter((one) => one.organisation !== organisation)
    for (const other of others) {
      const counts = yield* onDevice(directory, device, () =>
        Effect.flatMap(Holdings, (holdings) =>
          holdings.count(OrganisationId.make(other.organisation))
        )
      )
      for (const number of counts.values()) foreign += number
    }
  }
  return foreign
})

const logIn = Effect.fnUntraced(function* (directory: string, say: (text: string) => void) {
  const attempt = (login: string, password: string) =>
    onDevice(directory, "lycee", () =>
      Device.openCommand.run({ login, password: Redacted.make(password) })
    )
  const opened = yield* attempt("amelie.garnier", passwordOf(directory, "amelie.garnier"))
  for (const { deliveries, profile } of opened.organisations) {
    say(`   ${profile.label} logs in and may sit:`)
    for (const { content, delivery } of deliveries) {
      const read =
        typeof content === "string"
          ? content
          : `opened in memory: ${content.files} files, read ${content.name} (${byteSize(content.bytes)})`
      say(`     "${delivery.label}" (${read})`)
    }
  }
  const wrong = yield* Effect.flip(attempt("amelie.garnier", "a guess that is wrong"))
  say(`   Somebody else guesses her password: ${wrong.why}`)
  const proctor = yield* attempt("hugo.perrin", passwordOf(directory, "hugo.perrin"))
  const people = proctor.organisations.flatMap(({ roster }) => roster.flatMap((one) => one.people))
  say(
    `   The proctor Hugo Perrin logs in and reads the roster of his center: ${people.length} people`
  )
})

/** Searches every file of the devices for logins and family names of the catalogue. */
const namesOnDisk = (directory: string): number => {
  const takers = fs.readFileSync(path.join(ASSETS, "csv", "test-takers.csv"), "utf8")
  const words = takers
    .split(/\r?\n/u)
    .slice(1)
    .flatMap((line) => [line.split(";")[3], line.split(";")[2]])
    .filter((word): word is string => word !== undefined && word.length > 4)
  const files = SCHOOLS.flatMap(({ device }) =>
    fs
      .readdirSync(path.join(directory, device), { recursive: true, encoding: "utf8" })
      .map((name) => path.join(directory, device, name))
      .filter((name) => fs.statSync(name).isFile())
  )
  return files.reduce((sum, file) => {
    const bytes = fs.readFileSync(file)
    return sum + words.filter((word) => bytes.includes(Buffer.from(word))).length
  }, 0)
}

export const showDemo = (report: typeof DemoReport.Type): string => {
  const sum = (reports: ReadonlyArray<Device.SyncReport>) =>
    reports.reduce(
      (all, one) =>
        all +
        Object.values(one.counts).reduce(
          (n, kind) => n + kind.created + kind.updated + kind.deleted,
          0
        ),
      0
    )
  return (
    `\nSummary: first synchronisation ${count(sum(report.firstSync))} changes, ` +
    `second ${count(sum(report.secondSync))}, third ${count(sum(report.thirdSync))}.\n` +
    `By stick: first bundle ${byteSize(report.stick.full)}, second ${byteSize(report.stick.delta)}.\n` +
    `Results: ${report.results.answered} answers given, ${report.results.cameOut} came out, ` +
    `${report.results.missing} missing.`
  )
}

/** Prints as it goes, for people; with --json only the report at the end is printed. */
export const narrator = (json: boolean) => (text: string) => {
  if (!json) process.stdout.write(`${text}\n`)
}

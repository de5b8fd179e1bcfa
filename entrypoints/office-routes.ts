/** Connects what the office's page looks at to central's verbs. Nothing here changes anything. */
import { Effect, Layer } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { fleet } from "../application/fleet.ts"
import {
  completenessByCenter,
  historyOf,
  openedHere,
  resultsHere,
  syncManagers
} from "../application/office.ts"
import type { HistoryEntry } from "../domain/history.ts"
import { csvLine } from "../infrastructure/export-csv.ts"
import { OfficeApi, OfficeHere } from "../infrastructure/office-api.ts"
import { asideText, bundleAsideText, fleetText } from "./fleet-words.ts"
import {
  asRole,
  fresh,
  layerOfficeAccess,
  layerOfficeLoggedIn,
  officerOf
} from "./office-access.ts"
import { layerOfficeDevices } from "./office-devices.ts"
import { layerOfficeImports } from "./office-imports.ts"
import type { LoginLimits } from "./runner-access.ts"

/** What a page can show and a person can read; the table has all. */
const HISTORY_SHOWN = 500

/** The office's door, as further routes of central's server. */
export const layerOfficeDoor = (limits?: LoginLimits) =>
  HttpApiBuilder.layer(OfficeApi, { openapiPath: "/office/openapi.json" }).pipe(
    Layer.provide([layerOfficeAccess(limits), layerPages, layerOfficeDevices, layerOfficeImports]),
    Layer.provide(layerOfficeLoggedIn)
  )

const layerPages = HttpApiBuilder.group(OfficeApi, "office-pages", (handlers) =>
  handlers.handleAll({
    me: () => Effect.map(OfficeHere, (account) => fresh(officerOf(account))),
    fleet: ({ query: { language } }) =>
      Effect.map(fleet(), ({ devices, now }) =>
        fresh({
          now,
          devices: devices.map((device) => ({
            ...device,
            findings: device.findings.map((finding) => ({
              ...finding,
              text: fleetText(finding, language)
            }))
          }))
        })
      ),
    completeness: () => Effect.map(completenessByCenter(), (deliveries) => fresh({ deliveries })),
    results: ({ query: { language } }) =>
      Effect.map(resultsHere(), ({ aside, bundles, states }) =>
        fresh({
          states,
          aside: aside.map(({ altered, reason, ...one }) => ({
            ...one,
            ...asideText(reason, altered, language)
          })),
          bundles: bundles.map(({ at, code, detail, device }) => ({
            at,
            code,
            device,
            ...bundleAsideText(code, detail, language)
          }))
        })
      ),
    opened: () => asRole("results-officer", () => Effect.map(openedHere(), fresh)),
    managers: () => Effect.map(syncManagers(), (managers) => fresh({ managers })),
    history: ({ query }) =>
      Effect.map(historyOf(query), (entries) =>
        fresh({
          entries: entries.slice(0, HISTORY_SHOWN),
          more: entries.length > HISTORY_SHOWN
        })
      ),
    historyTable: ({ query }) => Effect.map(historyOf(query), tableAnswer)
  })
)

const HEADER = [
  "at",
  "verb",
  "who",
  "device",
  "organisation",
  "outcome",
  "bytes",
  "millis",
  "reason"
]

const tableAnswer = (entries: ReadonlyArray<HistoryEntry>) =>
  HttpServerResponse.text([csvLine(HEADER), ...entries.map(lineOf)].join(""), {
    contentType: "text/csv; charset=utf-8",
    headers: {
      "cache-control": "no-store",
      "content-disposition": 'attachment; filename="history.csv"'
    }
  })

const lineOf = (entry: HistoryEntry): string =>
  csvLine([
    new Date(entry.at).toISOString(),
    entry.verb,
    entry.who,
    entry.device ?? "",
    entry.organisation ?? "",
    entry.outcome,
    String(entry.bytes),
    String(entry.millis),
    entry.reason
  ])

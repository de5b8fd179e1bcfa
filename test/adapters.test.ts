/** The adapters keep their ports' contracts on every database that they may run on. */
import * as Catalogue from "./contract/catalogue.ts"
import * as Clients from "./contract/clients.ts"
import * as Feeds from "./contract/feeds.ts"
import * as Holdings from "./contract/holdings.ts"
import * as Ledgers from "./contract/ledgers.ts"
import * as Receipts from "./contract/receipts.ts"
import * as Records from "./contract/records.ts"
import * as Streams from "./contract/streams.ts"
import * as Waiting from "./contract/waiting.ts"
import { DATABASES, freshCentral, freshDevice, shared } from "./support/wired.ts"

for (const database of DATABASES) {
  const central = shared(freshCentral(database))
  Catalogue.suite(database, central)
  Feeds.suite(database, central)
  Clients.suite(database, central)
  Waiting.suite(database, central)
  Ledgers.centralSuite(database, central)
  Streams.streamsSuite(`central's, ${database}`, central)
  Streams.devicesSuite(database, central)
  Receipts.suite(database, central)
  Records.centralSuite(database, central)
}

for (const engine of ["sqljs", "node"] as const) {
  const device = shared(freshDevice(engine))
  Holdings.suite(engine, device)
  Ledgers.deviceSuite(engine, device)
  Streams.streamsSuite(`a device's, ${engine}`, device)
  Records.deviceSuite(engine, device)
}

/**
 * Measures Testferry as it runs in production: central with its embedded database (or PostgreSQL)
 * behind TLS, an enrolled device with its own, and the command `sync` between them, with token,
 * digests, schemas, references, set digest, staging and one durable commit.
 *
 * The device proves itself to central once before the first synchronisation. Whether a later one
 * finds the connection still open depends on how often a school synchronises, so both are measured:
 * kept open as the peers keep theirs, and made anew each time, as a timer every quarter of an hour
 * meets it.
 */
import { twoProcesses } from "../processes.ts"

export { openCentral } from "./testferry-central.ts"

import { opening } from "./testferry-device.ts"

export const contenders = [
  twoProcesses("Testferry", new URL(import.meta.url)),
  twoProcesses("Testferry anew", new URL("?connect=anew", import.meta.url))
]
export const [contender] = contenders

export const openDevice = opening(new URL(import.meta.url).searchParams.get("connect") === "anew")

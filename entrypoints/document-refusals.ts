/** Says in words why a document that central signs was not taken over by a device. */
import type { BundleRefused } from "../application/bundle-ports.ts"
import type { CentralFailure } from "../application/ports.ts"
import { Refused } from "../application/refused.ts"
import type { DocumentFailure } from "../application/sync-online.ts"
import { fromCentral } from "./refusals.ts"

/** The data was fetched all the same. */
export const refusedDocument = ({ document, why }: DocumentFailure): Refused => {
  const what =
    document === "report"
      ? "Central was not told what this device holds now; its next bundle may carry more than it need."
      : `The newest ${DOCUMENT[document]} was not taken over; the one before still holds.`
  return why._tag === "BundleRefused" ? fromDocument(what, why) : fromCentral(what, why)
}

const DOCUMENT: Readonly<Record<Exclude<DocumentFailure["document"], "report">, string>> = {
  root: "root document",
  revocations: "list of revocations",
  certificate: "certificate of this device"
}

const fromDocument = (what: string, { code, detail }: BundleRefused) =>
  new Refused({
    code,
    what,
    why: `What central sent can't be trusted: ${detail}.`,
    todo: "Try again. If it stays so, tell the office this code before you go on."
  })

/** The root in force has expired, and the next could not be had. */
export const fromOldRoot = (failure: BundleRefused | CentralFailure): Refused =>
  failure._tag === "BundleRefused"
    ? fromDocument("Nothing was fetched: whom this device trusts has to be renewed.", failure)
    : fromCentral("Nothing was fetched: this device's root document has expired.", failure)

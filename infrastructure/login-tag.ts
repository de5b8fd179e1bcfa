/**
 * Hides a login behind a keyed tag, so that a stolen device database does not list who sits what,
 * while a login that is typed finds its row (format §3.5).
 */
import { createHmac } from "node:crypto"

/** HMAC-SHA256 of the folded login under the organisation's login key, in lower-case hex. */
export const loginTag = (key: Uint8Array, login: string): string =>
  createHmac("sha256", key).update(foldedLogin(login)).digest("hex")

/**
 * Reads a login as people type it: NFKC, lower case, no space around. Folding twice changes nothing
 * (lower-casing can leave text that is not NFKC, hence the second pass).
 */
export const foldedLogin = (login: string): string =>
  login.normalize("NFKC").toLowerCase().normalize("NFKC").trim()

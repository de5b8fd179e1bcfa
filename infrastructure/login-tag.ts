/**
 * Hides a login behind a keyed tag, so that a stolen device database does not list who sits what,
 * while a login that is typed finds its row (format §3.5).
 */
import { createHmac } from "node:crypto"
import { foldedLogin } from "../domain/login.ts"

/** HMAC-SHA256 of the folded login under the organisation's login key, in lower-case hex. */
export const loginTag = (key: Uint8Array, login: string): string =>
  createHmac("sha256", key).update(foldedLogin(login)).digest("hex")

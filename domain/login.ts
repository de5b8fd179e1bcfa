/**
 * Folds a login as people type it: NFKC, lower case, no space around. Two logins are the same when
 * their folded forms are. Folding twice changes nothing: lower-casing can leave text that is not
 * NFKC, hence the second pass.
 */
export const foldedLogin = (login: string): string =>
  login.normalize("NFKC").toLowerCase().normalize("NFKC").trim()

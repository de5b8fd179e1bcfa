/**
 * Spells the passwords that central gives out, and says which passwords are long enough.
 *
 * A password guards a key on a device that may be stolen, where nobody counts the tries. So central
 * makes ten random characters of Crockford's base32 (2^50: format §3.5) and an eleventh that catches
 * every single mistyped character and every two that were swapped.
 */

/** Five bits a character; no I, L, O, U, which are read as something else or spell words. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
const RANDOM_CHARACTERS = 10

/** The random bytes that `generatedPassword` needs: one for each character, of which it takes five bits. */
export const PASSWORD_RANDOM_BYTES = RANDOM_CHARACTERS
/** NIST SP 800-63B-4, for a password that is the only factor. */
export const CHOSEN_CHARACTERS_MIN = 15
/** Longer than every sentence; keeps a login form from feeding megabytes to the derivation. */
export const PASSWORD_CHARACTERS_MAX = 256

/** Spells random bytes as a password. Throws a RangeError unless given PASSWORD_RANDOM_BYTES. */
export const generatedPassword = (random: Uint8Array): string => {
  if (random.length !== PASSWORD_RANDOM_BYTES) throw new RangeError("needs 10 random bytes")
  const values = Array.from(random, (byte) => byte & 31)
  return [...values, double(checksum(values))].map((value) => ALPHABET[value]).join("")
}

/**
 * Reads a password as it was typed: NFKC, and a generated one in its one spelling, whatever the
 * case, spaces and hyphens, with O for 0 and I or L for 1. Every other text stays what it is.
 */
export const spelledPassword = (typed: string): string => {
  const text = typed.normalize("NFKC")
  // Cut before folding: a generated password with a hyphen at every place is shorter than this.
  if (text.length > 4 * RANDOM_CHARACTERS) return text
  const folded = text.toUpperCase().replace(/[\s-]/g, "").replaceAll("O", "0").replace(/[IL]/g, "1")
  return isGenerated(folded) ? folded : text
}

/**
 * Whether a person may use this password: one that central could have generated, without a typing
 * mistake, or one of at least 15 characters. PINs and 8-letter words are neither.
 */
export const acceptablePassword = (typed: string): boolean => {
  const spelled = spelledPassword(typed)
  const characters = [...spelled].length
  return isGenerated(spelled) || (characters >= CHOSEN_CHARACTERS_MIN && !isTooLong(typed))
}

/** No password, whoever sends it: it is not even tried. */
export const isTooLong = (typed: string): boolean => typed.length > PASSWORD_CHARACTERS_MAX

const isGenerated = (text: string): boolean => {
  const values = [...text].map((character) => ALPHABET.indexOf(character))
  return values.length === RANDOM_CHARACTERS + 1 && !values.includes(-1) && checksum(values) === 0
}

/**
 * Evaluates the characters as a polynomial over GF(32) at the generator. Eleven places have eleven
 * different weights, so one wrong character, or two swapped ones, never sum to zero.
 */
const checksum = (values: ReadonlyArray<number>): number =>
  values.reduce((sum, value) => double(sum) ^ value, 0)

/** Multiplies by the generator x of GF(32), modulo the primitive x^5 + x^2 + 1. */
const double = (value: number): number => (value & 16 ? (value << 1) ^ 0b100101 : value << 1)

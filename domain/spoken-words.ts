/**
 * Compares the eight words that somebody reads out on the phone with those of a document (format
 * §3.3). Case and whatever stands between the words do not matter, nor what follows the first four
 * letters of a word: no two words of the list begin with the same four.
 */

const LETTERS_ENOUGH = 4

/** Eight words of eight letters with room to spell them: what is longer is no such words. */
export const SPOKEN_MAX = 200

/** Whether these are all of the words, in their order. */
export const saysTheSame = (spoken: string, words: string): boolean => {
  const heard =
    spoken
      .normalize("NFKC")
      .toLowerCase()
      .match(/\p{L}+/gu) ?? []
  const meant = words.split(" ")
  return heard.length === meant.length && meant.every((word, at) => isMeant(heard[at] ?? "", word))
}

const isMeant = (heard: string, word: string): boolean =>
  heard === word || (heard.length >= LETTERS_ENOUGH && word.startsWith(heard))

/**
 * Says in French why a line of a roster was refused. Central says it in English, as at its command line;
 * what is not known here stays as it is.
 */
import { languageNow } from "./words.mjs"

/** Central's words, and ours with the same holes in the same order. */
const REASONS = [
  ["nobody has this login", "personne n’a cet identifiant"],
  ["names nobody", "ne nomme personne"],
  ["names itself", "se nomme lui-même"],
  ["is empty, but must have a value", "est vide, mais il faut une valeur"],
  ["is not a language tag such as en-US or fr", "n’est pas une langue comme en-US ou fr"],
  ["is not a mail address", "n’est pas une adresse électronique"],
  [
    "must be yes or no (or true/false, 1/0, y/n, on/off, oui/non)",
    "doit être oui ou non (ou yes/no, true/false, 1/0, y/n, on/off)"
  ],
  ["names * entries; at most * are possible", "nomme * entrées ; * au plus sont possibles"],
  [
    "must be a whole number from 1 to *, or empty for no limit",
    "doit être un nombre entier de 1 à *, ou vide pour aucune limite"
  ],
  [
    "must be a date and time with its zone, such as *",
    "doit être une date et une heure avec leur fuseau, comme *"
  ],
  ["must lie between the years * and *", "doit être entre les années * et *"],
  ["is * characters long; at most * are possible", "a * caractères ; * au plus sont possibles"],
  [
    "contains a line break; is a quote missing or too many?",
    "contient un saut de ligne ; manque-t-il un guillemet, ou y en a-t-il un de trop ?"
  ],
  ["an entry of the list *", "une entrée de la liste *"],
  [
    "must have 15 characters or more; leave the cell empty to have a strong one made",
    "doit avoir 15 caractères ou plus ; laissez la cellule vide pour en faire faire un"
  ],
  ["this login is already on line *", "cet identifiant est déjà à la ligne *"],
  [
    "this label in this organisation is already on line *",
    "ce nom dans cette organisation est déjà à la ligne *"
  ],
  [
    "this delivery at this test center is already on line *",
    "cette épreuve dans ce centre est déjà à la ligne *"
  ],
  [
    "line * is about the same test center and delivery",
    "la ligne * est sur le même centre et la même épreuve"
  ],
  ['must be later than "from"', "doit être après « from »"],
  [
    "this login is a *, which an import of another type does not change",
    "cet identifiant est d’un autre genre de personne (*), qu’une telle importation ne change pas"
  ],
  ["is a *, not a *", "est d’un autre genre de personne (*, non *)"],
  [
    "no test center of this organisation has this label, in the catalogue or this file",
    "aucun centre de cette organisation n’a ce nom, ni au bureau ni dans ce fichier"
  ],
  [
    "there is no test center of this id, organisation id or label",
    "il n’y a pas de centre de cet identifiant, de cette organisation ou de ce nom"
  ],
  [
    "there is no delivery of this id, organisation id or label",
    "il n’y a pas d’épreuve de cet identifiant ou de ce nom"
  ],
  [
    "* test centers answer to this; use the id of the one that is meant",
    "* centres y répondent ; mettez l’identifiant de celui qui est voulu"
  ],
  [
    "* deliverys answer to this; use the id of the one that is meant",
    "* épreuves y répondent ; mettez l’identifiant de celle qui est voulue"
  ],
  ["must be the header, with columns from: *", "doit être l’en-tête, avec des colonnes parmi : *"],
  ["this column is missing", "cette colonne manque"],
  ["the header of column * is empty", "l’en-tête de la colonne * est vide"],
  ["this column appears twice", "cette colonne est deux fois là"],
  ["is not a known column; known are: *", "n’est pas une colonne connue ; sont connues : *"],
  [
    'is not a known column; did you mean "*"?',
    "n’est pas une colonne connue ; vouliez-vous « * » ?"
  ],
  ["only the first cell is filled", "seule la première cellule est remplie"],
  [
    "has * columns where the header has *; text with a separator in it needs quotes",
    "a * colonnes où l’en-tête en a * ; mettez entre guillemets le texte qui contient un séparateur"
  ],
  ["test-taker", "candidat"],
  ["proctor", "surveillant"],
  ["administrator", "responsable de centre"],
  ["sync-manager", "gestionnaire"],
  ["the file is empty", "le fichier est vide"],
  ["there is no row below the header", "il n’y a pas de ligne sous l’en-tête"],
  [
    'is a workbook or another binary file: save it as "CSV UTF-8"',
    "est un classeur ou un autre fichier binaire : enregistrez-le en « CSV UTF-8 »"
  ],
  ['is UTF-16: save it as "CSV UTF-8"', "est en UTF-16 : enregistrez-le en « CSV UTF-8 »"],
  ['is not UTF-8: save it as "CSV UTF-8"', "n’est pas en UTF-8 : enregistrez-le en « CSV UTF-8 »"],
  [
    'is not UTF-8 (*): save the file as "CSV UTF-8"',
    "n’est pas en UTF-8 (*) : enregistrez le fichier en « CSV UTF-8 »"
  ],
  [
    "is too long; is a closing quote missing?",
    "est trop long ; manque-t-il un guillemet fermant ?"
  ],
  ["opens a quote that is never closed", "ouvre un guillemet qui n’est jamais fermé"],
  [
    'has a quote in the middle of a cell; write the cell in quotes and each quote as ""',
    "a un guillemet au milieu d’une cellule ; mettez la cellule entre guillemets et chaque guillemet en double"
  ],
  [
    'has text behind a closing quote; inside quotes, write each quote as ""',
    "a du texte après un guillemet fermant ; dans une cellule, mettez chaque guillemet en double"
  ],
  [
    "* lines are malformed: this is not a CSV file. Reading stopped here",
    "* lignes sont mal formées : ce n’est pas un fichier CSV. La lecture s’est arrêtée ici"
  ],
  [
    "the file has more than * lines; split it. Reading stopped here",
    "le fichier a plus de * lignes ; partagez-le. La lecture s’est arrêtée ici"
  ],
  // The last: workbooks and the like are more than this.
  ["is a *", "est d’un autre genre de personne (*)"]
].map(([english, french]) => [new RegExp(`^${patternOf(english)}$`, "su"), french])

/** What stands for `*` comes over as it is. */
function patternOf(english) {
  return english.replace(/[.?+^$()[\]{}|\\]/gu, "\\$&").replaceAll("*", "(.*?)")
}

/** Some holes hold central's words themselves: "an entry of the list is empty". */
export const inFrench = (reason) => {
  for (const [pattern, french] of REASONS) {
    const found = pattern.exec(reason)
    if (found === null) continue
    let at = 0
    return french.replace(/\*/gu, () => {
      at += 1
      return inFrench(found[at] ?? "")
    })
  }
  return reason
}

export const reasonNow = (reason) => (languageNow() === "fr" ? inFrench(reason) : reason)

const LINE = /^lines? (\d+)(?: to (\d+))?(?:, column "(.*?)")?: (.*)$/su

/** A whole line of what is wrong with a file, as central writes it. */
export const lineNow = (line) => {
  const found = languageNow() === "fr" ? LINE.exec(line) : null
  if (found === null) return line
  const [, from, to, column, reason] = found
  const where = to === undefined ? `ligne ${from}` : `lignes ${from} à ${to}`
  const cell = column === undefined ? "" : `, colonne « ${column} »`
  return `${where}${cell} : ${inFrench(reason)}`
}

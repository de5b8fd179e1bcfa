/** Puts what is the matter with a device, or with what it sent, into words: what is so, and what to do. */
import { BundleRefused } from "../application/bundle-ports.ts"
import type { BundleCode } from "../domain/bundle-refusal.ts"
import type { FleetFinding } from "../domain/fleet.ts"
import { fromBundle } from "./bundle-refusals.ts"
import type { Language } from "./readiness-words.ts"
import { byteSize } from "./terminal-units.ts"

type Say = (
  figures: FleetFinding["figures"],
  day: (at: number | undefined) => string,
  size: (bytes: number) => string
) => string

const EN: Readonly<Record<FleetFinding["check"], Say>> = {
  blocked: () => "Blocked. Unblock it, if that was a mistake.",
  revoked: () => "Revoked for good.",
  never: ({ at }, day) => `Never synchronised since it was enrolled on ${day(at)}.`,
  contact: ({ at }, day) => `Not heard of since ${day(at)}. Ask the school to synchronise.`,
  "program-old": () => "Its program is too old. Update it.",
  "program-new": () => "Its program is too new for this server. Update the server.",
  behind: ({ have = 0, since }, day) =>
    `Behind by ${have} ${have === 1 ? "change" : "changes"} since ${day(since)}.`,
  anew: () => "It must fetch everything anew: this server was restored from a backup.",
  contents: ({ have = 0 }) =>
    `${have} ${have === 1 ? "test is" : "tests are"} not on it yet. It must fetch.`,
  missing: ({ have = 0 }) =>
    `${have} ${have === 1 ? "record is" : "records are"} missing. It must send again, or its stick must come.`,
  quarantined: ({ have = 0 }) => `${have} in quarantine. Look at them under Results.`,
  conflicts: ({ have = 0 }) => `${have} came twice with different bytes. Somebody must look.`,
  forked: () => "Its ledger contradicts itself: it was restored from a copy. Somebody must look.",
  disk: ({ free = 0 }, _, size) => `Its disk is nearly full: ${size(free)} free. Make room.`,
  clock: ({ ahead = 0 }) => `Its clock is ${Math.round(ahead / 60_000)} minutes fast. Set it.`,
  certificate: ({ ends }, day) =>
    `Its certificate may end on ${day(ends)}. Synchronise, to renew it.`,
  pending: ({ at, have = 0 }, day) =>
    `${have} more ${have === 1 ? "record waits" : "records wait"} on it, as it said on ${day(at)}. It must send, or its stick must come.`,
  "alarm-fetched": ({ at }, day) =>
    `It said on ${day(at)} that it has never fetched anything whole. Let it synchronise.`,
  "alarm-clock": ({ at }, day) => `It said on ${day(at)} that its clock is behind. Set it.`,
  "alarm-results-key": ({ at }, day) =>
    `It said on ${day(at)} that it knows no results key: no test may begin on it. Make one, then let it synchronise.`,
  "alarm-other": ({ at }, day) =>
    `It said on ${day(at)} that something keeps it from its work. Look at it with testferry doctor.`
}

const FR: Readonly<Record<FleetFinding["check"], Say>> = {
  blocked: () => "Bloqué. Débloquez-le si c’était une erreur.",
  revoked: () => "Révoqué pour toujours.",
  never: ({ at }, day) => `Jamais synchronisé depuis son inscription le ${day(at)}.`,
  contact: ({ at }, day) =>
    `Sans nouvelles depuis le ${day(at)}. Demandez à l’école de synchroniser.`,
  "program-old": () => "Son programme est trop ancien. Mettez-le à jour.",
  "program-new": () => "Son programme est trop récent pour ce serveur. Mettez le serveur à jour.",
  behind: ({ have = 0, since }, day) =>
    `En retard de ${have} ${have > 1 ? "changements" : "changement"} depuis le ${day(since)}.`,
  anew: () => "Il doit tout récupérer : ce serveur a été restauré d’une sauvegarde.",
  contents: ({ have = 0 }) =>
    `${have} ${have > 1 ? "épreuves n’y sont" : "épreuve n’y est"} pas encore. Il doit récupérer.`,
  missing: ({ have = 0 }) =>
    `${have} ${have > 1 ? "envois manquent" : "envoi manque"}. Il doit envoyer de nouveau, ou sa clé USB doit arriver.`,
  quarantined: ({ have = 0 }) => `${have} en quarantaine. Voyez sous Résultats.`,
  conflicts: ({ have = 0 }) =>
    `${have} arrivés deux fois avec des octets différents. Quelqu’un doit regarder.`,
  forked: () =>
    "Son registre se contredit : il a été restauré d’une copie. Quelqu’un doit regarder.",
  disk: ({ free = 0 }, _, size) =>
    `Son disque est presque plein : ${size(free)} libres. Faites de la place.`,
  clock: ({ ahead = 0 }) =>
    `Son horloge avance de ${Math.round(ahead / 60_000)} minutes. Réglez-la.`,
  certificate: ({ ends }, day) =>
    `Son certificat peut expirer le ${day(ends)}. Synchronisez pour le renouveler.`,
  pending: ({ at, have = 0 }, day) =>
    `${have} ${have > 1 ? "autres envois y attendent" : "autre envoi y attend"}, a-t-il dit le ${day(at)}. Il doit envoyer, ou sa clé USB doit arriver.`,
  "alarm-fetched": ({ at }, day) =>
    `Il a dit le ${day(at)} n’avoir jamais rien récupéré en entier. Faites-le synchroniser.`,
  "alarm-clock": ({ at }, day) => `Il a dit le ${day(at)} que son horloge retarde. Réglez-la.`,
  "alarm-results-key": ({ at }, day) =>
    `Il a dit le ${day(at)} ne connaître aucune clé de résultats : aucune épreuve ne peut y commencer. Faites-en une, puis faites-le synchroniser.`,
  "alarm-other": ({ at }, day) =>
    `Il a dit le ${day(at)} que quelque chose l’empêche de travailler. Regardez-le avec testferry doctor.`
}

/** One finding as a sentence or two. */
export const fleetText = (
  { check, figures }: FleetFinding,
  language: Language = "en",
  timeZone?: string
): string => {
  const format = new Intl.DateTimeFormat(language === "fr" ? "fr-FR" : "en-GB", {
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
    ...(timeZone === undefined ? {} : { timeZone })
  })
  const say = (language === "fr" ? FR : EN)[check]
  const day = (at: number) => format.format(at)
  return say(
    figures,
    (at) =>
      at === undefined ? "?" : language === "fr" ? day(at).replace(FIRST, " 1er ") : day(at),
    language === "fr" ? frenchSize : byteSize
  )
}

/** In French the first of a month is "le 1er". */
const FIRST = / 1 (?=\p{L})/u

/** "1,0 kB" is "1 ko" there. */
const frenchSize = (bytes: number): string => {
  const [count = "", unit = ""] = byteSize(bytes).split(" ")
  return `${count.replace(".", ",")}\u00a0${unit.replace("B", "o")}`
}

/** Why something is kept aside, and what to do about it. */
interface AsideText {
  readonly why: string
  readonly todo: string
}

const RELEASE = {
  en: "Find out why. If it is right, accept it: testferry results quarantine release.",
  fr: "Cherchez pourquoi. Si c’est juste, acceptez-le : testferry results quarantine release."
} as const

const WHY: Readonly<Partial<Record<string, Readonly<Record<Language, string>>>>> = {
  E_RECORD_FORM: {
    en: "It is not in the form of such a record.",
    fr: "Il n’a pas la forme d’un tel envoi."
  },
  E_RECORD_DEVICE: {
    en: "It speaks of another device than the one that sent it.",
    fr: "Il parle d’un autre appareil que celui qui l’a envoyé."
  },
  E_RECORD_SCOPE: {
    en: "It is of an organisation that the device does not belong to.",
    fr: "Il vient d’une organisation à laquelle l’appareil n’appartient pas."
  },
  E_DEVICE_BLOCKED: {
    en: "The device was blocked when it came.",
    fr: "L’appareil était bloqué quand il est arrivé."
  }
}

/** Of a record. What was altered on the way nobody can release: the device sends it again. */
export const asideText = (
  reason: string | null,
  altered: boolean,
  language: Language = "en"
): AsideText =>
  altered
    ? language === "fr"
      ? {
          why: "Ses octets ont changé en chemin.",
          todo: "Rien : l’appareil l’envoie de nouveau."
        }
      : { why: "Its bytes changed on the way.", todo: "Nothing: the device sends it again." }
    : { why: WHY[reason ?? ""]?.[language] ?? reason ?? "?", todo: RELEASE[language] }

const BUNDLE_FR: AsideText = {
  why: "Le paquet n’a pas pu être accepté.",
  todo: "Demandez à l’école d’en envoyer un nouveau ; voyez aussi la liste des appareils."
}

/** Of a whole bundle. */
export const bundleAsideText = (
  code: BundleCode,
  detail: string,
  language: Language = "en"
): AsideText =>
  language === "fr" ? { ...BUNDLE_FR, why: `${BUNDLE_FR.why} (${code})` } : wordsOf(code, detail)

const wordsOf = (code: BundleCode, detail: string): AsideText => {
  const { todo, why } = fromBundle(
    "",
    new BundleRefused({ code, detail, damages: [], missing: [] })
  )
  return { why, todo }
}

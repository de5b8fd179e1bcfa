/** Puts what was found about a room and its device into words, in the languages of the pages. */
import type { Finding } from "../domain/readiness.ts"
import { byteSize } from "./terminal-units.ts"

export type Language = "en" | "fr"

type Say = (figures: Finding["figures"], level: Finding["level"], when: When) => string
/** Writes a moment as the place reads it. */
type When = (at: number | undefined) => string

const EN: Readonly<Record<Finding["check"], Say>> = {
  content: (_, level) =>
    level === "ready" ? "The test is on this device." : "The test is not on this device. Fetch it.",
  trial: ({ at }, level, when) =>
    level === "ready"
      ? `The test was opened here for the first time ${when(at)}.`
      : "Nobody has opened the test on this device yet. Let somebody who may sit it log in once.",
  window: ({ from, to }, level, when) =>
    level === "ready"
      ? "The test may be sat then."
      : `The test may not be sat then: ${period(from, to, when, ["from", "until"])}.`,
  "test-takers": ({ have, want }, level) =>
    want === 0
      ? "Nobody is named for this test here."
      : `${have} of ${want} test-takers are on this device.${level === "ready" ? "" : " Fetch again."}`,
  keys: ({ have, want }, level) =>
    level === "ready"
      ? "Every test-taker's key to the test is here."
      : `${have} of ${want} test-takers can open the test. Fetch again, or ask the office.`,
  proctors: ({ have }, level) =>
    level === "ready"
      ? `${have} people here may authorise.`
      : "Somebody must authorise, and nobody who may is on this device. Ask the office.",
  enrolment: (_, level) =>
    level === "ready"
      ? "This device belongs to a central server."
      : "This device does not belong to any central server yet. Enrol it.",
  fetched: ({ at }, level, when) =>
    level === "blocked"
      ? "Nothing was ever fetched."
      : `The last change came ${when(at)}.${level === "warning" ? " That is long ago: fetch again." : ""}`,
  disk: ({ free }, level) =>
    `${byteSize(free ?? 0)} of disk are free.${level === "ready" ? "" : " Make room."}`,
  clock: ({ now, past }, level, when) =>
    level === "ready"
      ? `The clock says ${when(now)}.`
      : `The clock says ${when(now)}, but it was ${when(past)} already. Set the clock.`,
  certificate: ({ ends }, level, when) =>
    `This device's certificate is good until ${when(ends)}.${level === "ready" ? "" : " Fetch, to renew it."}`,
  root: ({ ends }, level, when) =>
    `Central's keys are good until ${when(ends)}.${level === "ready" ? "" : " Fetch, to renew them."}`,
  "results-key": (_, level) =>
    level === "ready"
      ? "Answers can be sealed."
      : "Central has named no key to seal answers with: no test can begin. Ask the office.",
  "results-waiting": ({ have }) =>
    have === 0 ? "Nothing waits to be sent." : `${have} records wait to be sent.`,
  "in-progress": ({ have }) =>
    have === 0 ? "No test is being sat." : `${have} tests are being sat or not finished.`
}

const FR: Readonly<Record<Finding["check"], Say>> = {
  content: (_, level) =>
    level === "ready"
      ? "Le test est sur cet appareil."
      : "Le test n’est pas sur cet appareil. Récupérez-le.",
  trial: ({ at }, level, when) =>
    level === "ready"
      ? `Le test a été ouvert ici pour la première fois ${when(at)}.`
      : "Personne n’a encore ouvert le test sur cet appareil. Faites connecter une fois un candidat inscrit.",
  window: ({ from, to }, level, when) =>
    level === "ready"
      ? "Le test pourra être passé à ce moment."
      : `Le test ne pourra pas être passé à ce moment : ${period(from, to, when, ["à partir du", "jusqu’au"])}.`,
  "test-takers": ({ have, want }, level) =>
    want === 0
      ? "Personne n’est inscrit ici à ce test."
      : `${have} candidats sur ${want} sont sur cet appareil.${level === "ready" ? "" : " Récupérez de nouveau."}`,
  keys: ({ have, want }, level) =>
    level === "ready"
      ? "La clé du test est là pour chaque candidat."
      : `${have} candidats sur ${want} peuvent ouvrir le test. Récupérez de nouveau, ou demandez au bureau.`,
  proctors: ({ have }, level) =>
    level === "ready"
      ? `${have} personnes peuvent autoriser ici.`
      : "Une autorisation est demandée, et personne qui puisse la donner n’est sur cet appareil. Demandez au bureau.",
  enrolment: (_, level) =>
    level === "ready"
      ? "Cet appareil appartient à un serveur central."
      : "Cet appareil n’appartient encore à aucun serveur central. Inscrivez-le.",
  fetched: ({ at }, level, when) =>
    level === "blocked"
      ? "Rien n’a encore été récupéré."
      : `Le dernier changement est arrivé ${when(at)}.${level === "warning" ? " C’est ancien : récupérez de nouveau." : ""}`,
  disk: ({ free }, level) =>
    `${byteSize(free ?? 0)} libres sur le disque.${level === "ready" ? "" : " Faites de la place."}`,
  clock: ({ now, past }, level, when) =>
    level === "ready"
      ? `L’horloge indique ${when(now)}.`
      : `L’horloge indique ${when(now)}, mais il était déjà ${when(past)}. Réglez l’horloge.`,
  certificate: ({ ends }, level, when) =>
    `Le certificat de l’appareil est valable jusqu’au ${when(ends)}.${level === "ready" ? "" : " Récupérez, pour le renouveler."}`,
  root: ({ ends }, level, when) =>
    `Les clés du serveur central sont valables jusqu’au ${when(ends)}.${level === "ready" ? "" : " Récupérez, pour les renouveler."}`,
  "results-key": (_, level) =>
    level === "ready"
      ? "Les réponses peuvent être scellées."
      : "Le serveur central n’a nommé aucune clé pour sceller les réponses : aucun test ne peut commencer. Demandez au bureau.",
  "results-waiting": ({ have }) =>
    have === 0 ? "Rien n’attend d’être envoyé." : `${have} envois attendent.`,
  "in-progress": ({ have }) =>
    have === 0 ? "Aucun test n’est en cours." : `${have} tests sont en cours ou non terminés.`
}

const period = (
  from: number | undefined,
  to: number | undefined,
  when: When,
  [since, until]: readonly [string, string]
): string =>
  [
    ...(from === undefined ? [] : [`${since} ${when(from)}`]),
    ...(to === undefined ? [] : [`${until} ${when(to)}`])
  ].join(" ")

/** One finding as a sentence or two: what is so, and what to do where something must be done. */
export const findingText = (
  { check, figures, level }: Finding,
  language: Language = "en",
  timeZone?: string
): string => {
  const format = new Intl.DateTimeFormat(language === "fr" ? "fr-FR" : "en-GB", {
    dateStyle: "medium",
    timeStyle: "short",
    ...(timeZone === undefined ? {} : { timeZone })
  })
  const say = (language === "fr" ? FR : EN)[check]
  return say(figures, level, (at) => (at === undefined ? "?" : format.format(at)))
}

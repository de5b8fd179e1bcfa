/** Says in the language of the page why something was refused, and what to do about it. */
import { el } from "./elements.mjs"
import { languageNow, t } from "./words.mjs"

/** Why, and what to do, by code. Codes that are not here are said as the device says them. */
const SAID = {
  en: {
    E_CONFIRM_REMOVALS: [
      null,
      "Start again; you are asked whether to remove it. If you are not sure, ask the office first."
    ],
    E_WRONG_STREAM: [
      "On this stick there is only what goes to the centre.",
      "Bring the stick to the office; load it when it has come back from there."
    ]
  },
  fr: {
    E_CENTRAL_UNREACHABLE: [
      "Le centre ne répond pas.",
      "Vérifiez le réseau et réessayez. Sans réseau, une clé USB fait le même travail."
    ],
    E_CENTRAL_TIMEOUT: [
      "Le centre a mis trop de temps à répondre.",
      "Réessayez plus tard : ce qui est déjà arrivé est gardé."
    ],
    E_CENTRAL_CERTIFICATE: [
      "Celui qui répond à l’adresse du centre n’est pas le centre connu de cet appareil.",
      "N’insistez pas. Prévenez le bureau : le certificat a peut-être changé."
    ],
    E_CENTRAL_UNAVAILABLE: [
      "Le centre est là, mais ne peut pas répondre maintenant.",
      "Réessayez dans quelques minutes : ce qui est déjà arrivé est gardé."
    ],
    E_CENTRAL_INTERRUPTED: [
      "La connexion a été coupée.",
      "Réessayez : ce qui est déjà arrivé est gardé."
    ],
    E_NOT_FOUND: [
      "Ce qui était attendu ne se trouve pas là.",
      "Vérifiez la clé USB. Si c’est le centre qui répond ainsi, prévenez le bureau."
    ],
    E_MEDIA_IO: [
      "La clé USB ne peut pas être lue ou écrite.",
      "Vérifiez qu’elle est branchée et n’est pas protégée, ou prenez-en une autre."
    ],
    E_NO_SPACE: [
      "Il n’y a pas assez de place.",
      "Libérez de la place, puis réessayez. Ce qui est déjà arrivé est gardé."
    ],
    E_SYNC_RUNNING: [
      "Une autre synchronisation de cet appareil est en cours.",
      "Attendez qu’elle soit terminée."
    ],
    E_CONFIRM_REMOVALS: [
      "Le centre ferait retirer plus d’un dixième de ce qui est ici.",
      "Recommencez : on vous demandera s’il faut retirer. En cas de doute, demandez au bureau."
    ],
    E_WRONG_STREAM: [
      "Sur cette clé il n’y a que ce qui va au centre.",
      "Portez la clé au bureau ; chargez-la quand elle en sera revenue."
    ],
    E_LOGIN: [
      "L’identifiant ou le mot de passe est faux.",
      "Vérifiez les deux, et la touche Verr. Maj."
    ],
    E_DEVICE_BLOCKED: [
      "Le centre n’admet plus cet appareil.",
      "Demandez au bureau s’il a été bloqué."
    ],
    E_CLOCK_WRONG: ["L’horloge de cet appareil est fausse.", "Réglez-la, puis réessayez."],
    E_WRONG_PROOF: [
      "L’identifiant ou le mot de passe est faux.",
      "Vérifiez les deux ; il faut être responsable de la synchronisation."
    ],
    E_FINGERPRINT: [
      "Le certificat du centre n’a pas été comparé.",
      "Demandez l’empreinte au bureau, comparez, puis confirmez."
    ],
    E_NOT_ENROLLED: ["Cet appareil n’est pas relié à un centre.", "Reliez-le d’abord."],
    E_UNEXPECTED: [
      "Une erreur du programme s’est produite. Rien n’est perdu.",
      "Réessayez. Si cela revient, donnez le code au bureau."
    ]
  }
}

/** Lines about a refusal; what the device says in English is kept as a detail, since it has figures. */
export const refusedLines = (refused) => {
  if (refused === null) return []
  const [why, todo] = SAID[languageNow()][refused.code] ?? []
  const english = languageNow() === "en" ? null : "en"
  const line = (label, own, theirs) =>
    el(
      "p",
      {},
      el("b", {}, `${t(label)} `),
      el("span", { lang: own ? null : english }, own ?? theirs)
    )
  const hasOwn = why !== undefined && why !== null
  return [
    hasOwn ? null : el("p", { lang: english }, refused.what),
    line("why", why, refused.why),
    line("todo", todo, refused.todo),
    hasOwn ? el("p", { class: "detail", lang: english }, refused.why) : null
  ]
}

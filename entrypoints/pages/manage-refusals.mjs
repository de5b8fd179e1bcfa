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
    ],
    E_WRONG_PROOF: [
      "The login or the password is wrong.",
      "Check both, also the Caps Lock key; it must be the login of a sync manager."
    ],
    E_CENTRAL_CERTIFICATE: [
      "Whoever answers at the centre's address is not the centre that this device knows.",
      "Do not insist. Tell the office: the certificate may have been changed."
    ],
    E_NOT_FOUND: [
      null,
      "Check that it is the right stick. If it is the centre that answers so, tell the office."
    ],
    E_NO_SPACE: [null, "Free some space, then try again. What came so far is kept."]
  },
  fr: {
    E_CENTRAL_UNREACHABLE: [
      "Le centre ne répond pas.",
      "Vérifiez le réseau et réessayez. Les tests peuvent continuer entre-temps."
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
    E_DEVICE_REVOKED: [
      "Le centre a retiré sa confiance à cet appareil.",
      "Demandez au bureau pourquoi."
    ],
    E_DEVICE_TOO_OLD: [
      "Le programme de cet appareil est trop ancien pour le centre.",
      "Demandez le nouveau au bureau, puis réessayez."
    ],
    E_DEVICE_TOO_NEW: [
      "Le programme de cet appareil est trop récent pour le centre.",
      "Demandez au bureau de mettre le centre à jour."
    ],
    E_CENTRAL_INCONSISTENT: [
      "Ce que le centre a envoyé n’est pas ce qu’il avait annoncé.",
      "Réessayez. Si cela reste, prévenez le bureau ; rien n’a changé sur cet appareil."
    ],
    E_CONTENT_DAMAGED: [
      "Le contenu d’un test est arrivé abîmé ; il a été jeté.",
      "Réessayez. Si cela reste, prévenez le bureau."
    ],
    E_RECEIPT: [
      "Le reçu du centre ne compte pas.",
      "Prévenez le bureau. Rien n’est oublié ; les résultats sont envoyés de nouveau."
    ],
    E_ROLLBACK: [
      "Une clé plus récente a déjà été chargée.",
      "Il n’y a rien à faire : cet appareil en sait plus que la clé."
    ],
    E_WRONG_DEVICE: [
      "Ce qui est sur la clé est pour un autre appareil.",
      "Portez-la à cet appareil, ou demandez au bureau une clé pour celui-ci."
    ],
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

/** Sticks say no in many ways; what to do is one of three things. */
const GROUPS = {
  en: [],
  fr: [
    [
      /^E_(?:VOL|ZIP|ENTRY|PART|MANIFEST_LIMIT|SHORT_READ|READ_BACK|NOT_FILE)/u,
      [
        "Ce qui est sur la clé est incomplet ou abîmé.",
        "Copiez-le de nouveau ou prenez une autre clé, puis chargez encore. Ce qui a été lu est gardé."
      ]
    ],
    [
      /^E_(?:GAP|EPOCH|STREAM_FORK|REV_ROLLBACK|ROOT_VERSION|ROOT_EXPIRED|EXPIRED|SCHEMA)/u,
      [
        "Ce qui est sur la clé ne suit pas ce que cet appareil connaît.",
        "Vérifiez l’horloge de cet appareil, et demandez au bureau une nouvelle clé. Rien n’a changé ici."
      ]
    ],
    [
      /^E_(?:MANIFEST|SIG|ROOT|SEQ|REVOKED|AGE|INDEX|PLAIN|RECORD|BLOB)/u,
      [
        "On ne peut pas croire ce qui est sur la clé.",
        "N’utilisez pas cette clé. Prévenez le bureau. Rien n’a changé ici."
      ]
    ]
  ]
}

const wordsOf = (code) => {
  const language = languageNow()
  return SAID[language][code] ?? GROUPS[language].find(([codes]) => codes.test(code))?.[1] ?? []
}

/** Lines about a refusal; what the device says in English is kept as a detail, since it has figures. */
export const refusedLines = (refused) => {
  if (refused === null) return []
  const [why, todo] = wordsOf(refused.code)
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
  ].filter((one) => one !== null)
}

/** What the page of the office says where administrators do something: approvals and imports. */
import { teach } from "./words.mjs"

teach({
  en: {
    tab_waiting: "Approvals",
    waitingIntro:
      "A device without a network asks on a stick: its folder TESTFERRY, enrol in it. Give its files here, or the whole stick; only requests are read.",
    bringFiles: "Files of the folder enrol (.json and .sig)",
    bringStick: "Or the whole stick",
    bring: "Bring these requests",
    bringNothing:
      "There is no request among these files. Choose all files of the folder TESTFERRY/enrol, those that end in .sig too.",
    broughtTitle: "What came of it",
    b_waiting: "waits for approval now.",
    b_known: "was waiting already.",
    b_decided: "was decided about before; see below.",
    b_answer: "is an answer that this office gave; nothing to do.",
    "b_too-large": "is too large for a request. It was not taken.",
    "b_no-request": "is no request of a device. It was not taken.",
    "b_not-signed":
      "is not signed by the key that it names: somebody changed it, or the stick is damaged. It was not taken. Have the device write a new request.",
    "b_too-many": "was not taken: too many wait already. Decide about those first.",
    b_alone: "was not taken: its signature (the same name with .sig) is not among the files.",
    waitingTitle: "Waiting: {count}",
    waitingNone: "No device waits.",
    waitingCall:
      "Call the school on a number that you know. Let them read the eight words from the device's screen, and type what you hear.",
    askedAt: "Asked",
    cameAt: "Brought here",
    cameBy: "{time}, by {who}",
    known_active:
      "Central knows this device already: {name} ({device}). It stays the same device and gets the organisation besides.",
    known_blocked: "This is {name} ({device}), which was blocked. It can't be approved.",
    known_revoked: "This is {name} ({device}), which was revoked for good. It can't be approved.",
    wordsShow: "Show the words of this request",
    wordsHeard: "The eight words that the school reads out",
    wordsHelp: "The first four letters of each word are enough.",
    wordsHead: "Words",
    organisationOf: "Organisation to which it shall belong",
    approve: "Approve",
    approvedTitle: "{name} is approved",
    approvedText: "It is {device} now, of {organisations}.",
    saveAnswer: "Save the answer",
    saveAnswerOf: "Save the answer for {name}",
    answerHow:
      "Unpack the answer into the root of the stick, so that its folder TESTFERRY joins the one that is there. At the device: testferry device enrol --certificate STICK. Tests follow when the device synchronises, or with the next bundle (testferry bundle export).",
    centralWords: "The device will show these words of central; the school compares them with you:",
    decidedTitle: "Decided",
    d_approved: "Approved.",
    d_refused: "Refused.",
    refuseShow: "Refuse it",
    refuseReason: "Why? Everybody at the office will read this.",
    refuse: "Refuse",
    refusedTitle: "{name} was refused",
    "x_wrong-words":
      "These are not the words of this request. Let them be read once more. If they differ, somebody may have changed the stick: do not approve.",
    x_decided: "Somebody has decided about it meanwhile. Look again.",
    "x_no-request": "This request is not kept any more. Bring it again.",
    "x_organisation-unclear": "Central has no such organisation. It has, for instance: {detail}",
    "x_device-blocked": "The device {detail} was blocked or revoked. It can't be approved.",
    "x_bad-request": "Something in the form is missing or too long.",
    "x_too-large": "That is too much at once. Give fewer files.",
    "x_wrong-person": "Only an administrator may do this."
  },
  fr: {
    tab_waiting: "Approbations",
    waitingIntro:
      "Un appareil sans réseau fait sa demande sur une clé USB : dossier TESTFERRY, dedans enrol. Donnez ici ses fichiers, ou toute la clé ; seules les demandes sont lues.",
    bringFiles: "Fichiers du dossier enrol (.json et .sig)",
    bringStick: "Ou toute la clé",
    bring: "Apporter ces demandes",
    bringNothing:
      "Il n’y a pas de demande parmi ces fichiers. Choisissez tous les fichiers du dossier TESTFERRY/enrol, aussi ceux en .sig.",
    broughtTitle: "Ce qu’il en est",
    b_waiting: "attend maintenant l’approbation.",
    b_known: "attendait déjà.",
    b_decided: "a déjà été décidée ; voyez plus bas.",
    b_answer: "est une réponse de ce bureau ; rien à faire.",
    "b_too-large": "est trop grand pour une demande. Non repris.",
    "b_no-request": "n’est pas la demande d’un appareil. Non repris.",
    "b_not-signed":
      "n’est pas signé par la clé qu’il nomme : quelqu’un l’a changé, ou la clé USB est abîmée. Non repris. Faites faire une nouvelle demande.",
    "b_too-many": "non repris : trop de demandes attendent. Décidez d’abord de celles-ci.",
    b_alone: "non repris : sa signature (le même nom avec .sig) manque parmi les fichiers.",
    waitingTitle: "En attente : {count}",
    waitingNone: "Aucun appareil n’attend.",
    waitingCall:
      "Appelez l’école à un numéro que vous connaissez. Faites lire les huit mots sur l’écran de l’appareil, et tapez ce que vous entendez.",
    askedAt: "Demandé",
    cameAt: "Apporté ici",
    cameBy: "{time}, par {who}",
    known_active:
      "Le bureau connaît déjà cet appareil : {name} ({device}). Il reste le même et reçoit l’organisation en plus.",
    known_blocked: "C’est {name} ({device}), qui a été bloqué. Il ne peut pas être approuvé.",
    known_revoked: "C’est {name} ({device}), révoqué pour toujours. Il ne peut pas être approuvé.",
    wordsShow: "Montrer les mots de cette demande",
    wordsHeard: "Les huit mots que lit l’école",
    wordsHelp: "Les quatre premières lettres de chaque mot suffisent.",
    wordsHead: "Mots",
    organisationOf: "Organisation à laquelle il doit appartenir",
    approve: "Approuver",
    approvedTitle: "{name} est approuvé",
    approvedText: "Il s’appelle maintenant {device}, de {organisations}.",
    saveAnswer: "Enregistrer la réponse",
    saveAnswerOf: "Enregistrer la réponse pour {name}",
    answerHow:
      "Décompressez la réponse à la racine de la clé USB : son dossier TESTFERRY rejoint celui qui s’y trouve. Sur l’appareil : testferry device enrol --certificate CLÉ. Les épreuves suivent quand l’appareil se synchronise, ou avec le prochain paquet (testferry bundle export).",
    centralWords: "L’appareil montrera ces mots du bureau ; l’école les compare avec vous :",
    decidedTitle: "Décidées",
    d_approved: "Approuvée.",
    d_refused: "Refusée.",
    refuseShow: "La refuser",
    refuseReason: "Pourquoi ? Tout le bureau lira ceci.",
    refuse: "Refuser",
    refusedTitle: "{name} a été refusé",
    "x_wrong-words":
      "Ce ne sont pas les mots de cette demande. Faites-les lire encore une fois. S’ils diffèrent, quelqu’un a pu changer la clé USB : n’approuvez pas.",
    x_decided: "Quelqu’un en a décidé entre-temps. Regardez encore.",
    "x_no-request": "Cette demande n’est plus gardée. Apportez-la de nouveau.",
    "x_organisation-unclear": "Le bureau n’a pas cette organisation. Il a par exemple : {detail}",
    "x_device-blocked":
      "L’appareil {detail} a été bloqué ou révoqué. Il ne peut pas être approuvé.",
    "x_bad-request": "Quelque chose manque ou est trop long dans le formulaire.",
    "x_too-large": "C’est trop à la fois. Donnez moins de fichiers.",
    "x_wrong-person": "Seule l’administration peut faire cela."
  }
})

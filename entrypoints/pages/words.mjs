/** Says everything in the language that was chosen. */

const ENGLISH = {
  language: "Language",
  login: "Log in",
  loginName: "Login",
  password: "Password",
  loginWrong: "The login or the password is wrong. Try again, or ask your proctor.",
  loginOther: "This page is for test-takers. Your login is for something else.",
  tooMany: "Too many tries. Wait a minute, then try again.",
  unreachable: "The device does not answer. Ask your proctor.",
  failed: "Something went wrong. Ask your proctor. ({code})",
  loggedOut: "You were logged out. Log in again: what you answered is kept.",
  logout: "Log out",
  yourTests: "Your tests",
  hello: "Hello {name}",
  noTests: "There is no test for you now.",
  start: "Start",
  goOn: "Go on",
  refresh: "Look again",
  "not-yet": "Not open yet",
  over: "Over",
  "used-up": "Already done",
  notNow: "Not possible now",
  opensAt: "Opens {time}",
  waitTitle: "Please wait",
  waitText: "Your proctor will let you in. This page goes on by itself.",
  pausedTitle: "The test is paused",
  pausedText: "Your answers are saved. The test goes on when your proctor says so.",
  back: "Back to your tests",
  question: "Question {n} of {count}",
  previous: "Previous",
  next: "Next",
  skip: "Skip",
  flag: "Flag",
  flagged: "Flagged",
  overview: "Overview",
  close: "Close",
  answered: "answered",
  notAnswered: "not answered",
  current: "you are here",
  shut: "closed",
  allSeen: "That was the last question",
  allSeenText: "Finish the test, or look at the overview.",
  finish: "Finish",
  finishTitle: "Finish the test?",
  finishText: "Afterwards you can't change your answers.",
  finishOpen: "Questions without an answer: {count}.",
  finishYes: "Yes, finish",
  finishNo: "No, go on",
  finishedTitle: "You have finished",
  finishedText: "Your answers are saved on this device. You can leave.",
  endedTitle: "The test has ended",
  endedText: "Your answers are saved on this device.",
  saving: "Saving…",
  saved: "Saved on this device",
  notSavedTitle: "Your answer is not saved",
  notSavedText: "Do not close this page. Raise your hand and tell your proctor.",
  notSavedDisk: "The disk of this device is full.",
  again: "Try again",
  timeLeft: "Time left: {time}",
  timeSoon: "{minutes} minutes left",
  timeOver: "The time is over.",
  timeAnew: "Your time was changed. {time} are left.",
  needAnswer: "Answer this question first.",
  needWhole: "Your answer is not complete yet.",
  needAnswers: "A question of this part still needs an answer. Look at the overview.",
  handIn: "Hand in this answer",
  handedIn: "Handed in. You can try again.",
  handedInLast: "Handed in. This question is closed.",
  triesLeft: "Tries left: {count}",
  triesFree: "You can try as often as you like.",
  closedText: "This question is closed: you can read your answer, and not change it any more.",
  notKeptTitle: "This answer was not kept",
  notKeptAnswer: "Your answer to question {n} was:",
  understood: "I understand",
  r_elsewhere: "The test is at another question now. Do you have it open in another window?",
  r_stale: "A newer answer was saved in another window. That one is kept.",
  r_closed: "This question is closed: it takes no more answers.",
  r_time: "The time was over.",
  r_large: "It is too long for this device. Write less, and tell your proctor.",
  r_unread: "The device does not understand it. Tell your proctor.",
  r_over: "The test is over.",
  r_early: "Look at this question a little longer.",
  r_noWay: "You can't go back here.",
  notOpenable: "This question can't be shown. Tell your proctor.",
  answerTo: "Your answer to question {n}",
  loading: "Loading…"
}

const FRENCH = {
  language: "Langue",
  login: "Se connecter",
  loginName: "Identifiant",
  password: "Mot de passe",
  loginWrong: "L’identifiant ou le mot de passe est faux. Réessaie ou demande au surveillant.",
  loginOther: "Cette page est pour les élèves. Ton identifiant sert à autre chose.",
  tooMany: "Trop d’essais. Attends une minute, puis réessaie.",
  unreachable: "L’appareil ne répond pas. Demande au surveillant.",
  failed: "Il y a eu un problème. Demande au surveillant. ({code})",
  loggedOut: "Tu as été déconnecté. Connecte-toi à nouveau : tes réponses sont gardées.",
  logout: "Se déconnecter",
  yourTests: "Tes épreuves",
  hello: "Bonjour {name}",
  noTests: "Il n’y a pas d’épreuve pour toi en ce moment.",
  start: "Commencer",
  goOn: "Continuer",
  refresh: "Regarder encore",
  "not-yet": "Pas encore ouverte",
  over: "Terminée",
  "used-up": "Déjà passée",
  notNow: "Impossible en ce moment",
  opensAt: "Ouvre {time}",
  waitTitle: "Attends un instant",
  waitText: "Le surveillant va te laisser commencer. Cette page continue toute seule.",
  pausedTitle: "L’épreuve est en pause",
  pausedText: "Tes réponses sont enregistrées. L’épreuve continuera quand le surveillant le dira.",
  back: "Retour à tes épreuves",
  question: "Question {n} sur {count}",
  previous: "Précédente",
  next: "Suivante",
  skip: "Passer",
  flag: "Marquer",
  flagged: "Marquée",
  overview: "Aperçu",
  close: "Fermer",
  answered: "avec réponse",
  notAnswered: "sans réponse",
  current: "tu es ici",
  shut: "fermée",
  allSeen: "C’était la dernière question",
  allSeenText: "Termine l’épreuve, ou regarde l’aperçu.",
  finish: "Terminer",
  finishTitle: "Terminer l’épreuve ?",
  finishText: "Après, tu ne pourras plus changer tes réponses.",
  finishOpen: "Questions sans réponse : {count}.",
  finishYes: "Oui, terminer",
  finishNo: "Non, continuer",
  finishedTitle: "Tu as terminé",
  finishedText: "Tes réponses sont enregistrées sur cet appareil. Tu peux partir.",
  endedTitle: "L’épreuve est finie",
  endedText: "Tes réponses sont enregistrées sur cet appareil.",
  saving: "Enregistrement…",
  saved: "Enregistré sur cet appareil",
  notSavedTitle: "Ta réponse n’est pas enregistrée",
  notSavedText: "Ne ferme pas cette page. Lève la main et préviens le surveillant.",
  notSavedDisk: "Le disque de cet appareil est plein.",
  again: "Réessayer",
  timeLeft: "Temps restant : {time}",
  timeSoon: "Il reste {minutes} minutes",
  timeOver: "Le temps est écoulé.",
  timeAnew: "Ton temps a changé. Il reste {time}.",
  needAnswer: "Réponds d’abord à cette question.",
  needWhole: "Ta réponse n’est pas encore complète.",
  needAnswers: "Il manque une réponse dans cette partie. Regarde l’aperçu.",
  handIn: "Rendre cette réponse",
  handedIn: "Réponse rendue. Tu peux réessayer.",
  handedInLast: "Réponse rendue. Cette question est fermée.",
  triesLeft: "Essais restants : {count}",
  triesFree: "Tu peux essayer autant de fois que tu veux.",
  closedText: "Cette question est fermée : tu peux lire ta réponse, mais plus la changer.",
  notKeptTitle: "Cette réponse n’a pas été gardée",
  notKeptAnswer: "Ta réponse à la question {n} était :",
  understood: "J’ai compris",
  r_elsewhere: "L’épreuve est à une autre question. Est-elle ouverte dans une autre fenêtre ?",
  r_stale:
    "Une réponse plus récente a été enregistrée dans une autre fenêtre. C’est elle qui compte.",
  r_closed: "Cette question est fermée : elle n’accepte plus de réponse.",
  r_time: "Le temps était écoulé.",
  r_large: "Elle est trop longue pour cet appareil. Écris moins, et préviens le surveillant.",
  r_unread: "L’appareil ne la comprend pas. Préviens le surveillant.",
  r_over: "L’épreuve est finie.",
  r_early: "Regarde cette question encore un moment.",
  r_noWay: "Tu ne peux pas revenir en arrière ici.",
  notOpenable: "Cette question ne peut pas être affichée. Préviens le surveillant.",
  answerTo: "Ta réponse à la question {n}",
  loading: "Chargement…"
}

/** What the device does not allow, by its code (`infrastructure/runner-problem.ts`). */
const REFUSALS = {
  "bad-request": "r_unread",
  "linear-no-way-back": "r_noWay",
  "no-attempts-left": "r_closed",
  "not-open": "r_closed",
  "response-required": "needWhole",
  "skipping-not-allowed": "needAnswers",
  "test-over": "r_over",
  // The page's clock was ahead, and is set again: nobody has to do anything.
  "time-is-left": "",
  "time-is-up": "r_time",
  "too-early": "r_early",
  "too-large": "r_large",
  "wrong-item": "r_elsewhere",
  stale: "r_stale"
}

export const LANGUAGES = { en: "English", fr: "Français" }
const CATALOGUES = { en: ENGLISH, fr: FRENCH }
/** Written from right to left, once there is a catalogue in one of them. */
const RIGHT_TO_LEFT = new Set(["ar", "fa", "he", "ur"])

let language = "en"

/** Adds what another page says, in each language. */
export const teach = ({ en, fr }) => {
  Object.assign(ENGLISH, en)
  Object.assign(FRENCH, fr)
}

export const languageNow = () => language

export const speak = (wanted) => {
  language = wanted in CATALOGUES ? wanted : "en"
  document.documentElement.lang = language
  document.documentElement.dir = RIGHT_TO_LEFT.has(language) ? "rtl" : "ltr"
}

export const t = (key, values = {}) => {
  const text = CATALOGUES[language][key] ?? ENGLISH[key] ?? key
  return text.replace(/\{(\w+)\}/gu, (_, name) => String(values[name] ?? ""))
}

export const refusalText = ({ code }) =>
  code in REFUSALS ? t(REFUSALS[code]) : t("failed", { code })

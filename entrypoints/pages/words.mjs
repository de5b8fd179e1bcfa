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
  notOpenable: "Cette question ne peut pas être affichée. Préviens le surveillant.",
  answerTo: "Ta réponse à la question {n}",
  loading: "Chargement…"
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

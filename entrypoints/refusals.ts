/** Says in words what the verbs' errors mean to the person at the door. */
import type {
  CentralAway,
  CentralFailure,
  CentralInconsistent,
  CentralRefused,
  NoSpace,
  PackageFaulty,
  SyncRunning,
  TooManyTries,
  WrongPassword
} from "../application/ports.ts"
import type { RemovalNeedsConfirmation } from "../application/pull.ts"
import { Refused } from "../application/refused.ts"
import type { NotEnrolled } from "../application/sync.ts"
import type { Code } from "../infrastructure/http-problem.ts"
import { byteSize, duration } from "./terminal-units.ts"

/** Turns a failure to speak with central into a refusal; `what` says what did not happen. */
export const fromCentral = (what: string, failure: CentralFailure): Refused => {
  switch (failure._tag) {
    case "CentralAway":
      return away(what, failure)
    case "CentralRefused":
      return refusedByCentral(what, failure)
    case "CentralInconsistent":
      return inconsistent(what, failure)
  }
}

const away = (what: string, { detail, reason }: CentralAway): Refused =>
  new Refused({
    code: `E_CENTRAL_${reason.toUpperCase()}`,
    what,
    why: `${awayWhy[reason]} (${detail})`,
    todo: awayTodo[reason]
  })

const awayWhy: Readonly<Record<CentralAway["reason"], string>> = {
  unreachable: "Central can't be reached.",
  certificate: "Central shows another certificate than the one this device trusts.",
  timeout: "Central did not answer in time.",
  interrupted: "The connection broke off.",
  unavailable: "Central is there, but can't answer now."
}

const awayTodo: Readonly<Record<CentralAway["reason"], string>> = {
  unreachable:
    "Check the network and central's address, then try again. Tests can go on meanwhile.",
  certificate:
    "Do not go on before you have asked the office whether central's certificate was changed; then " +
    'run "testferry device trust" with the fingerprint they give you.',
  timeout: "Try again. What was fetched so far is kept.",
  interrupted: "Try again. What was fetched so far is kept.",
  unavailable: "Try again in some minutes. What was fetched so far is kept."
}

const refusedByCentral = (what: string, failure: CentralRefused): Refused =>
  new Refused({
    code: `E_${failure.code.replaceAll("-", "_").toUpperCase()}`,
    what,
    why: `Central says: ${failure.title}. ${failure.detail}`.trim(),
    todo: centralTodo[failure.code] ?? "Ask the office that runs central, and tell them this code."
  })

const centralTodo: Readonly<Partial<Record<string, string>>> = {
  "device-too-old": "Update this device, then try again.",
  "device-too-new": "Ask the office to update central, or use the device version that it supports.",
  "clock-wrong": "Set this device's clock, then try again.",
  "invalid-client": "Ask the office whether this device was blocked or revoked.",
  "device-blocked": "Ask the office whether this device was blocked or revoked.",
  "device-revoked":
    "Ask the office why. To use this computer again, set it up in a new folder and enrol it anew.",
  "wrong-proof":
    "Check login and password; only a sync manager's login, or a credential, can enrol a device.",
  "wrong-audience": "Set this device up with the address by which central knows itself."
} satisfies Partial<Record<Code, string>>

const inconsistent = (what: string, { what: detail }: CentralInconsistent): Refused =>
  new Refused({
    code: "E_CENTRAL_INCONSISTENT",
    what,
    why: `What central sent is not what it promised: ${detail}.`,
    todo: "Try again. If it stays so, tell the office; nothing on this device was changed."
  })

export const fromRemoval = ({
  holding,
  kinds,
  organisation,
  removing
}: RemovalNeedsConfirmation): Refused =>
  new Refused({
    code: "E_CONFIRM_REMOVALS",
    what: `Nothing of ${organisation} was changed.`,
    why: `Central would have ${removing} of ${holding} entities removed from this device.`,
    todo: 'If that is meant, run "testferry sync --confirm-removals"; "--dry-run" shows what would go.',
    kinds
  })

export const fromRunning = ({ since }: SyncRunning): Refused =>
  new Refused({
    code: "E_SYNC_RUNNING",
    what: "Nothing was started.",
    why: `Another synchronisation of this device runs since ${new Date(since).toISOString()}.`,
    todo: "Wait until it has finished."
  })

export const fromNotEnrolled = (_: NotEnrolled): Refused =>
  new Refused({
    code: "E_NOT_ENROLLED",
    what: "Nothing was done.",
    why: "This device is not enrolled with a central yet.",
    todo: 'Run "testferry device enrol --login LOGIN" with the login of a sync manager.'
  })

/** Alike for a wrong password and for a login that nobody has. */
export const fromWrongPassword = (_: WrongPassword): Refused =>
  new Refused({
    code: "E_LOGIN",
    what: "Nothing was opened.",
    why: "The login or the password is wrong.",
    todo: "Check both, also the Caps Lock key, and try again."
  })

export const fromTries = ({ waitMillis }: TooManyTries): Refused =>
  new Refused({
    code: "E_LOGIN_WAIT",
    what: "Nothing was opened.",
    why: "There were wrong passwords for this login.",
    todo: `Wait ${duration(waitMillis)}, then try again.`
  })

/** What was to be done with a package. */
type Doing = "published" | "converted"

export const fromPackage = (
  file: string,
  { reasons }: PackageFaulty,
  doing: Doing = "published"
): Refused =>
  new Refused({
    code: "E_PACKAGE",
    what: `${file} was not ${doing}; nothing was changed.`,
    why: reasons
      .map((reason) => (reason.file === "" ? reason.detail : `${reason.file}: ${reason.detail}`))
      .join("\n"),
    todo: "Correct the package in the program that made it, export it again, and take that."
  })

export const fromConverterMissing = (file: string, doing: Doing): Refused =>
  new Refused({
    code: "E_CONVERTER_MISSING",
    what: `${file} was not ${doing}; nothing was changed.`,
    why:
      "It is QTI 2.x. Devices play QTI 3.0, and the converter is not installed here: it needs " +
      "saxon-js, which is free of charge but no free software, so it does not come with Testferry.",
    todo:
      "Install it once beside Testferry: npm install @citolab/qti-convert (with -g if Testferry was " +
      "installed so). Or export the package as QTI 3.0."
  })

export const fromNoSpace = ({ free, needed }: NoSpace): Refused =>
  new Refused({
    code: "E_NO_SPACE",
    what: "Nothing was stored.",
    why: `The disk has ${byteSize(free)} free, and ${byteSize(needed)} are needed.`,
    todo: "Make room on the disk, then try again. What was stored so far is kept."
  })

export const unwritable = (path: string, detail: string) =>
  new Refused({
    code: "E_MEDIA_IO",
    what: "Nothing could be written to the stick.",
    why: `${path}: ${detail}.`,
    todo: "Check that the stick is in, and that it can be written; or take another one."
  })

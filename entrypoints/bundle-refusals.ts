/** Says in words why a bundle was not taken, and what to do: one entry per code (format §5). */
import type { BundleRefused, Damage } from "../application/bundle-ports.ts"
import { Refused } from "../application/refused.ts"
import type { BundleCode } from "../domain/bundle-refusal.ts"
import { byteSize } from "./terminal-units.ts"

/** Damage shown line by line; the rest is counted. `--json` has all of it. */
const DAMAGES_SHOWN = 20

/** `what` says what did not happen: "The bundle was not imported." */
export const fromBundle = (what: string, refused: BundleRefused): Refused => {
  const { code, detail } = refused
  const { todo, why } = WORDS[code]
  return new Refused({
    code,
    what,
    why: [
      detail === "" ? why : `${why} (${detail})`,
      ...refused.damages.slice(0, DAMAGES_SHOWN).map(damageText),
      ...(refused.damages.length > DAMAGES_SHOWN
        ? [`and ${refused.damages.length - DAMAGES_SHOWN} more.`]
        : []),
      ...(refused.missing.length === 0
        ? []
        : [`Still to come: volume ${refused.missing.join(", ")}.`])
    ].join("\n  "),
    todo
  })
}

/** "volume 2, p/000007.age.002, segment 1: bytes 8388608 to 16777215 (8 MB) can't be read" */
export const damageText = ({ code, from, part, segment, to, volume }: Damage): string =>
  `volume ${volume}, ${part}, segment ${segment}: bytes ${from} to ${to} (${byteSize(to - from + 1)}) ` +
  (code === "E_MEDIA_IO" ? "can't be read" : "are damaged")

interface Words {
  readonly why: string
  readonly todo: string
}

const COPY_AGAIN: Words["todo"] =
  "Copy that volume to the stick again, or take another stick, then run the import again. " +
  "What was read so far is kept."
const NEW_BUNDLE: Words["todo"] =
  "Ask the other side for a new bundle. What is on this machine stays as it is."
const TELL_OFFICE: Words["todo"] =
  "Do not use this stick. Tell the office: somebody may have changed what is on it. " +
  "What is on this machine stays as it is."

const broken = (why: string): Words => ({ why, todo: COPY_AGAIN })
const forged = (why: string): Words => ({ why, todo: TELL_OFFICE })
const outdated = (why: string): Words => ({ why, todo: NEW_BUNDLE })

/** Structure that no writer of ours makes: damage by a careless copy, or by intent. */
const MISSHAPEN = broken("A volume does not have the form of a volume.")

const WORDS: Readonly<Record<BundleCode, Words>> = {
  E_NOT_FOUND: {
    why: "There is no bundle for this machine.",
    todo: "Check that it is the right stick, and name its folder: the one that holds TESTFERRY."
  },
  E_NOT_FILE: {
    why: "A volume is no ordinary file.",
    todo: "Name the stick's folder or a volume itself, not a link to it."
  },
  E_MEDIA_IO: broken("The stick can't be read in places."),
  E_NO_SPACE: {
    why: "There is not enough free space.",
    todo: "Free some space, then run the command again. What was read so far is kept."
  },
  E_VOL_NAME: broken("The name of a volume does not fit its bundle."),
  E_VOL_TOO_BIG: {
    why: "A volume would be, or is, larger or smaller than volumes may be.",
    todo: "Choose a larger --max-volume (at most 2000000000), or copy the volume again."
  },
  E_VOLUME_MISSING: {
    why: "Not all volumes of the bundle have been read yet.",
    todo: "Put in the stick with the missing volume, then run the import again. What was read so far is kept."
  },
  E_VOLUME_MIX: {
    why: "The volumes on the stick belong to different bundles.",
    todo: "Remove the volumes that were copied from another bundle, then run the import again."
  },
  E_ZIP_EOCD: broken("A volume is not whole, or something was added behind it."),
  E_ZIP64: MISSHAPEN,
  E_ZIP_LIMITS: MISSHAPEN,
  E_ZIP_LAYOUT: MISSHAPEN,
  E_ZIP_MISMATCH: MISSHAPEN,
  E_ZIP_SIZES: MISSHAPEN,
  E_ZIP_METHOD: broken("A volume was packed again by another program."),
  E_ZIP_FLAGS: MISSHAPEN,
  E_ZIP_TYPE: MISSHAPEN,
  E_ZIP_EXTRA: broken("A volume was packed again by another program."),
  E_ZIP_MULTIDISK: MISSHAPEN,
  E_ENTRY_NAME: broken("A volume holds a file that does not belong there."),
  E_ENTRY_DUP: MISSHAPEN,
  E_PART_MISSING: broken("A volume lacks a part that it should have."),
  E_PART_DIGEST: broken("Parts of the bundle are damaged."),
  E_MANIFEST_LIMIT: MISSHAPEN,
  E_MANIFEST_CANONICAL: forged(
    "The list of contents was signed, but is not written as it must be."
  ),
  E_MANIFEST_SCHEMA: forged("The list of contents does not say what it must say."),
  E_SCHEMA_UNSUPPORTED: {
    why: "The bundle was made by a newer program.",
    todo: "Update this program, then import the bundle again."
  },
  E_SIG_MISSING: forged("The bundle is not signed."),
  E_SIG_FORMAT: forged("A signature is not written as it must be."),
  E_SIG_NAMESPACE: forged("A signature was given for something else."),
  E_SIG_HASH: forged("A signature uses a method that is not allowed."),
  E_SIG_UNKNOWN_KEY: forged("The bundle is signed by somebody who may not sign it."),
  E_SIG_BAD: forged("The list of contents was changed after it was signed, or damaged."),
  E_SIG_THRESHOLD: forged("Fewer people signed than must sign."),
  E_ROOT_SIG: forged("The new root document is not signed by those who must sign it."),
  E_ROOT_VERSION: outdated("A root document between the known one and this one is missing."),
  E_ROOT_EXPIRED: {
    why: "The root document, which says whose signatures count, has run out.",
    todo: "Check the clock of this machine. If it is right, ask the office for a bundle with a new root document."
  },
  E_WRONG_DEVICE: {
    why: "The bundle is for another machine.",
    todo: "Take the stick to the machine it is for, or ask the office for a bundle for this one."
  },
  E_WRONG_STREAM: {
    why: "The bundle goes in the other direction.",
    todo: "Import it on the other side, or ask for a bundle for this machine."
  },
  E_EPOCH: outdated("The bundle is from before central began anew."),
  E_ROLLBACK: {
    why: "A newer bundle was imported before.",
    todo: "Nothing is to be done: this machine is further than the bundle."
  },
  E_STREAM_FORK: outdated("There are two different bundles with the same number."),
  E_SEQ_JUMP: forged("The number of the bundle is far ahead of the last one."),
  E_GAP: {
    why: "The bundle builds on one that was not imported here.",
    todo: "Import the missing bundle first, or ask the office for a full one (bundle export --full)."
  },
  E_REV_ROLLBACK: outdated(
    "The bundle knows less about what was taken back than this machine does."
  ),
  E_REVOKED: {
    why: "Central has taken this back.",
    todo: "Ask the office. What is on this machine stays as it is."
  },
  E_EXPIRED: {
    why: "The bundle is too old to be believed.",
    todo:
      "Check the clock of this machine, and ask the office for a new bundle. If an exam depends on it, " +
      "run the import again with --allow-expired; the office will see that you did."
  },
  E_AGE_NO_MATCH: forged("The contents are encrypted for somebody else."),
  E_AGE_AUTH: forged("The encrypted contents were changed."),
  E_INDEX_MISMATCH: forged("The contents are not those that the list of contents announces."),
  E_PLAIN_LIMIT: forged("A file holds more than it says."),
  E_RECORD_LIMIT: forged("A line of the data is longer than lines may be."),
  E_RECORD_COUNT: forged("A file of data does not have the number of lines that it says."),
  E_RECORD_DIGEST: forged("A file of data is not the one that was announced."),
  E_RECORD_SCHEMA: forged("A line of the data does not have the form that it must have."),
  E_BLOB_DIGEST: forged("A test content is not the one that was announced."),
  E_UNKNOWN_DEVICE: {
    why: "No machine of this name is known here.",
    todo: 'See "testferry central devices list". The bundle was kept aside.'
  }
}

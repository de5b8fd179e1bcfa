/** Names every reason for which a bundle is not taken: stable codes, one meaning each (format §5). */
import { Schema } from "effect"

/** The closed list. Doors turn a code into what happened, why, and what to do. */
export const BundleCode = Schema.Literals([
  "E_NOT_FOUND",
  "E_NOT_FILE",
  "E_MEDIA_IO",
  "E_NO_SPACE",
  "E_VOL_NAME",
  "E_VOL_TOO_BIG",
  "E_VOLUME_MISSING",
  "E_VOLUME_MIX",
  "E_ZIP_EOCD",
  "E_ZIP64",
  "E_ZIP_LIMITS",
  "E_ZIP_LAYOUT",
  "E_ZIP_MISMATCH",
  "E_ZIP_SIZES",
  "E_ZIP_METHOD",
  "E_ZIP_FLAGS",
  "E_ZIP_TYPE",
  "E_ZIP_EXTRA",
  "E_ZIP_MULTIDISK",
  "E_ENTRY_NAME",
  "E_ENTRY_DUP",
  "E_PART_MISSING",
  "E_PART_DIGEST",
  "E_MANIFEST_LIMIT",
  "E_MANIFEST_CANONICAL",
  "E_MANIFEST_SCHEMA",
  "E_SCHEMA_UNSUPPORTED",
  "E_SIG_MISSING",
  "E_SIG_FORMAT",
  "E_SIG_NAMESPACE",
  "E_SIG_HASH",
  "E_SIG_UNKNOWN_KEY",
  "E_SIG_BAD",
  "E_SIG_THRESHOLD",
  "E_ROOT_SIG",
  "E_ROOT_VERSION",
  "E_ROOT_EXPIRED",
  "E_WRONG_DEVICE",
  "E_WRONG_STREAM",
  "E_EPOCH",
  "E_ROLLBACK",
  "E_STREAM_FORK",
  "E_SEQ_JUMP",
  "E_GAP",
  "E_REV_ROLLBACK",
  "E_REVOKED",
  "E_EXPIRED",
  "E_AGE_NO_MATCH",
  "E_AGE_AUTH",
  "E_INDEX_MISMATCH",
  "E_PLAIN_LIMIT",
  "E_RECORD_LIMIT",
  "E_RECORD_COUNT",
  "E_RECORD_DIGEST",
  "E_RECORD_SCHEMA",
  "E_BLOB_DIGEST",
  "E_UNKNOWN_DEVICE"
])
export type BundleCode = typeof BundleCode.Type

/** What is wrong, for a person: `detail` names the volume, part, key or number concerned. */
export interface Refusal {
  readonly code: BundleCode
  readonly detail: string
}

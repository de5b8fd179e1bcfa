/**
 * Says why a volume on a stick is not read or not written: because of what it is, because its medium
 * fails, or because what was to be written is not what was promised.
 */
import { Schema } from "effect"
import { BundleCode } from "./bundle-refusal.ts"

/**
 * The file is not a volume as we write them; `volume` is its path, `detail` says in plain words what
 * is wrong. Copying it again helps if it was damaged on the way.
 */
export class ZipVolumeRefused extends Schema.TaggedError<ZipVolumeRefused>()("ZipVolumeRefused", {
  code: BundleCode,
  volume: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.code} ${this.volume}: ${this.detail}`
  }
}

/**
 * The medium did not give or take bytes at `offset` (of the file, in bytes). `code` is what the
 * system said, such as EIO, EROFS or ENOENT; E_SHORT_READ when the file ended before the size it
 * had; E_READ_BACK when it gives other bytes than were written, somewhere in the 4 MiB from there.
 */
export class MediaError extends Schema.TaggedError<MediaError>()("MediaError", {
  path: Schema.String,
  offset: Schema.Int,
  code: Schema.String
}) {
  override get message() {
    return `${this.code} ${this.path} at byte ${this.offset}`
  }
}

/** The bytes for an entry are not those that were promised: fewer, more, or others. */
export class VolumeSourceChanged extends Schema.TaggedError<VolumeSourceChanged>()(
  "VolumeSourceChanged",
  { name: Schema.String, reason: Schema.Literals(["short", "long", "changed"]) }
) {
  override get message() {
    return `${this.name} is not what was promised (${this.reason})`
  }
}

/**
 * Parses and prints the names of a bundle on a stick: those of the volumes, and those of the entries
 * inside one (format §2.1, §2.2). Anything else is not a name: what an archive calls its entries is
 * never a path, a link or a surprise.
 */

/** An entry of a volume. Numbers are as printed: `part` 7, `piece` 1 is `p/000007.age.001`. */
export type EntryName =
  | { readonly kind: "readme" }
  | { readonly kind: "checksums" }
  | { readonly kind: "root"; readonly version: number }
  | { readonly kind: "root-signature"; readonly version: number; readonly number: number }
  | { readonly kind: "manifest" }
  /** The first one has number 1 and is printed without it. */
  | { readonly kind: "manifest-signature"; readonly number: number }
  | { readonly kind: "part"; readonly part: number; readonly piece?: number }

/** A volume: the `volume`th of `volumes` of the bundle with number `seq` of its stream. */
export interface VolumeName {
  readonly seq: number
  readonly volume: number
  readonly volumes: number
}

/** What a volume is called until it is whole; readers ignore such files (format §2.8). */
export const PARTIAL_SUFFIX = ".partial"

const ROOT = /^root\/([0-9]{6})\.json(?:\.sig\.([1-9]))?$/u
const MANIFEST = /^manifest\.json(?:(\.sig)(?:\.([2-9]))?)?$/u
const PART = /^p\/([0-9]{6})\.age(?:\.([0-9]{3}))?$/u
const VOLUME = /^([0-9]{8})-v([0-9]{2})of([0-9]{2})\.zip$/u

/** What an entry is, or undefined when its name is none of the grammar's. */
export const parseEntryName = (name: string): EntryName | undefined => {
  if (name === "README.txt") return { kind: "readme" }
  if (name === "SHA256SUMS") return { kind: "checksums" }
  const [, version, rootSignature] = ROOT.exec(name) ?? []
  if (version !== undefined) {
    return rootSignature === undefined
      ? { kind: "root", version: Number(version) }
      : { kind: "root-signature", version: Number(version), number: Number(rootSignature) }
  }
  const [manifest, signature, number = "1"] = MANIFEST.exec(name) ?? []
  if (manifest !== undefined) {
    return signature === undefined
      ? { kind: "manifest" }
      : { kind: "manifest-signature", number: Number(number) }
  }
  const [, part, piece] = PART.exec(name) ?? []
  if (part === undefined) return undefined
  return piece === undefined
    ? { kind: "part", part: Number(part) }
    : { kind: "part", part: Number(part), piece: Number(piece) }
}

/** The name of an entry. Throws a RangeError for numbers that the grammar has no room for. */
export const printEntryName = (entry: EntryName): string => {
  const name = print(entry)
  if (parseEntryName(name) === undefined) throw new RangeError(`not an entry name: ${name}`)
  return name
}

const print = (entry: EntryName): string => {
  switch (entry.kind) {
    case "readme":
      return "README.txt"
    case "checksums":
      return "SHA256SUMS"
    case "root":
      return `root/${digits(entry.version, 6)}.json`
    case "root-signature":
      return `root/${digits(entry.version, 6)}.json.sig.${entry.number}`
    case "manifest":
      return "manifest.json"
    case "manifest-signature":
      return `manifest.json.sig${entry.number === 1 ? "" : `.${entry.number}`}`
    case "part": {
      const piece = entry.piece === undefined ? "" : `.${digits(entry.piece, 3)}`
      return `p/${digits(entry.part, 6)}.age${piece}`
    }
  }
}

/** What a volume is by its file name, or undefined when the file is no volume. */
export const parseVolumeName = (name: string): VolumeName | undefined => {
  const [, seq, volume, volumes] = VOLUME.exec(name) ?? []
  const parsed = { seq: Number(seq), volume: Number(volume), volumes: Number(volumes) }
  return parsed.volume >= 1 && parsed.volume <= parsed.volumes ? parsed : undefined
}

/** The file name of a volume. Throws a RangeError for numbers that have no such name. */
export const printVolumeName = ({ seq, volume, volumes }: VolumeName): string => {
  const name = `${digits(seq, 8)}-v${digits(volume, 2)}of${digits(volumes, 2)}.zip`
  if (parseVolumeName(name) === undefined) throw new RangeError(`not a volume name: ${name}`)
  return name
}

const digits = (number: number, length: number): string => String(number).padStart(length, "0")

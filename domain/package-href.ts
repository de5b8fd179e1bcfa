/**
 * Reads the references inside a content package as a browser would: relative to the referring file,
 * percent-decoded, never leaving the package.
 *
 * Whoever serves a package later must resolve by this same function, so that what was checked is
 * what is found.
 */

/** What a reference turned out to be. `Missing.near` is a file whose name differs in case only. */
export type Target =
  | { readonly _tag: "Inside"; readonly path: string }
  | { readonly _tag: "Missing"; readonly path: string; readonly near: string | undefined }
  | { readonly _tag: "Remote" }
  | { readonly _tag: "Outside" }
  | { readonly _tag: "Script" }
  | { readonly _tag: "Data"; readonly mediaType: string }
  | { readonly _tag: "Itself" }

/** The names in a package; `byFold` finds one by its name in lower case. */
export interface FileNames {
  readonly names: ReadonlySet<string>
  readonly byFold: ReadonlyMap<string, string>
}

/** Indexes file names for `resolve`. */
export const fileNames = (names: Iterable<string>): FileNames => {
  const set = new Set(names)
  return { names: set, byFold: new Map([...set].map((name) => [fold(name), name])) }
}

/** One form for names that a careless file system or a hurried author takes for the same. */
export const fold = (name: string): string => name.normalize("NFC").toLowerCase()

/**
 * Resolves a reference found in the file `from`. The empty reference and a bare fragment mean the
 * file itself. Query and fragment are cut off unless a file bears them in its name.
 */
export const resolve = (files: FileNames, from: string, href: string): Target => {
  const clean = href.replace(/[\p{Cc}]/gu, "").trim()
  const scheme = schemeOf(clean)
  if (scheme !== undefined) return scheme
  if (clean === "" || clean.startsWith("#")) return { _tag: "Itself" }
  const cut = clean.replace(/[?#].*$/su, "")
  let missing: string | undefined
  for (const spelling of [decode(cut), cut, decode(clean), clean]) {
    const path = join(from, spelling)
    if (path === undefined) return { _tag: "Outside" }
    if (files.names.has(path)) return { _tag: "Inside", path }
    missing ??= path
  }
  const path = missing ?? clean
  return { _tag: "Missing", path, near: files.byFold.get(fold(path)) }
}

/** The folder-relative path, or undefined when it is absolute or climbs out of the package. */
export const join = (from: string, relative: string): string | undefined => {
  const path = relative.replaceAll("\\", "/").normalize("NFC")
  if (path.startsWith("/") || path.includes("\0")) return undefined
  const segments = from.split("/").slice(0, -1)
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue
    if (segment !== "..") segments.push(segment)
    else if (segments.pop() === undefined) return undefined
  }
  return segments.join("/")
}

/** What `relinked` must know: the files before, and what each is called after. */
export interface Renaming {
  readonly files: FileNames
  readonly names: ReadonlyMap<string, string>
}

/**
 * Gives a reference as it must be written in `document` (its new name), having been found in `from`
 * (an old name). A reference that any browser follows to the same file stays as the author wrote it.
 */
export const relinked = (
  { files, names }: Renaming,
  from: string,
  document: string,
  href: string
): string => {
  const target = resolve(files, from, href)
  if (target._tag !== "Inside") return href
  const clean = href.replace(/[\p{Cc}]/gu, "").trim()
  const cut = clean.replace(/[?#].*$/su, "")
  const name = names.get(target.path) ?? target.path
  const plain = decode(cut)
  const isPlain = join(from, plain) === target.path && plain === plain.normalize("NFC")
  const stays = name === target.path && folder(from) === folder(document) && !plain.includes("\\")
  if (isPlain && stays) return href
  const isCut = isPlain || join(from, cut) === target.path || join(from, plain) === target.path
  return relative(document, name) + (isCut ? (/#.*$/su.exec(clean)?.[0] ?? "") : "")
}

const folder = (path: string): string => path.slice(0, path.lastIndexOf("/") + 1)

/** The way from one file of a package to another. */
const relative = (from: string, to: string): string => {
  const here = from.split("/").slice(0, -1)
  const there = to.split("/")
  let same = 0
  while (same < here.length && same < there.length - 1 && here[same] === there[same]) same += 1
  return [...here.slice(same).map(() => ".."), ...there.slice(same)].join("/")
}

const schemeOf = (href: string): Target | undefined => {
  if (/^[/\\]{2}/u.test(href)) return { _tag: "Remote" }
  const scheme = /^([a-z][a-z0-9+.-]*):/iu.exec(href)?.[1]?.toLowerCase()
  if (scheme === undefined) return undefined
  if (scheme.length === 1 || scheme === "file") return { _tag: "Outside" }
  if (scheme === "javascript" || scheme === "vbscript") return { _tag: "Script" }
  if (scheme !== "data") return { _tag: "Remote" }
  const mediaType = /^data:([^;,]*)/iu.exec(href)?.[1]?.trim().toLowerCase()
  return { _tag: "Data", mediaType: mediaType || "text/plain" }
}

/** A per-cent sign that is no escape stands for itself, as in "100%.png". */
const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

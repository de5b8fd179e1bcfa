/** Gives the files of a package names that every browser, server and disk takes for the same. */
import { fold } from "./package-href.ts"

/**
 * The new name of each file. Letters of every script, digits and `. _ ~ -` stay; what would need
 * escaping in an address becomes `_`, and a number tells apart what would then be the same.
 */
export const safeNames = (names: Iterable<string>): ReadonlyMap<string, string> => {
  const all = [...names]
  const safe = new Map(all.filter((name) => safeName(name) === name).map((name) => [name, name]))
  const taken = new Set([...safe.keys()].map(fold))
  for (const name of all) {
    if (safe.has(name)) continue
    const next = free(safeName(name), taken)
    taken.add(fold(next))
    safe.set(name, next)
  }
  return safe
}

const safeName = (name: string): string =>
  name
    .normalize("NFC")
    .split("/")
    .map((segment) => segment.replace(/[^\p{L}\p{M}\p{N}._~-]+/gu, "_"))
    .join("/")

const free = (name: string, taken: ReadonlySet<string>): string => {
  if (!taken.has(fold(name))) return name
  const [, stem = "", extension = ""] = /^(.*?)(\.[^./]*)?$/su.exec(name) ?? []
  let number = 2
  while (taken.has(fold(`${stem}-${number}${extension}`))) number += 1
  return `${stem}-${number}${extension}`
}

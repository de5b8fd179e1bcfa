/**
 * Gives @peculiar/x509 the metadata part of Reflect that its dependency injection asks for at
 * import: the four functions it calls, as the abandoned ECMAScript proposal had them. Stands
 * aside when a complete polyfill was loaded first.
 */
type Metadata = Map<unknown, unknown>

const metadataByTarget = new WeakMap<object, Metadata>()

const defineMetadata = (key: unknown, value: unknown, target: object): void => {
  const metadata: Metadata = metadataByTarget.get(target) ?? new Map()
  metadataByTarget.set(target, metadata.set(key, value))
}

const getOwnMetadata = (key: unknown, target: object): unknown =>
  metadataByTarget.get(target)?.get(key)

/** A class has what the classes it extends have, unless it has its own. */
const getMetadata = (key: unknown, target: object | null): unknown => {
  if (target === null) return undefined
  return metadataByTarget.get(target)?.has(key)
    ? getOwnMetadata(key, target)
    : getMetadata(key, Object.getPrototypeOf(target))
}

const metadata = (key: unknown, value: unknown) => (target: object) =>
  defineMetadata(key, value, target)

if (!("getMetadata" in Reflect)) {
  Object.assign(Reflect, { defineMetadata, getOwnMetadata, getMetadata, metadata })
}

/** Names what preparing a package for devices asks of the world, and what is kept of how it came. */
import { Context, type Effect, Schema, type Scope } from "effect"
import { Digest, EntityId, Millis, Text } from "../domain/id.ts"
import type { Inspected, NoSpace, PackageFaulty } from "./ports.ts"

/** The package is QTI 2.x, and nobody installed the converter here. */
export class ConverterMissing extends Schema.TaggedError<ConverterMissing>()(
  "ConverterMissing",
  {}
) {}

/** The converter could not read a document, or ended. */
export class NotConverted extends Schema.TaggedError<NotConverted>()("NotConverted", {
  why: Schema.String
}) {}

/** Turns documents of QTI 2.x into QTI 3.0; what it gives is checked like anybody's. */
export class Converter extends Context.Service<
  Converter,
  {
    /** Starts it for the scope, and gives what converts one document after the other. */
    readonly open: Effect.Effect<
      (xml: string) => Effect.Effect<string, NotConverted>,
      ConverterMissing | NotConverted,
      Scope.Scope
    >
  }
>()("testferry/Converter") {}

/** The form of a package that devices play. `file` is the package itself when nothing had to change. */
export interface Prepared extends Inspected {
  readonly file: string
  readonly isChanged: boolean
  /** The version that it was in. */
  readonly was: string
  /** Items in their order in the test, those used twice once. */
  readonly itemFiles: ReadonlyArray<string>
  /** The XML of an item, with its keys. */
  readonly item: (file: string) => Effect.Effect<string>
}

/** Makes the form of a package that devices play, and judges it again. */
export class Preparing extends Context.Service<
  Preparing,
  {
    /** What is made goes with the scope. */
    readonly prepare: (
      file: string
    ) => Effect.Effect<Prepared, PackageFaulty | ConverterMissing | NoSpace, Scope.Scope>
  }
>()("testferry/Preparing") {}

/** The package as its author made it, of a content version that had to be changed to be played. */
export const Origin = Schema.Struct({
  delivery: EntityId,
  version: Schema.Int,
  /** Of the form that devices play. */
  plainSha256: Digest,
  originalSha256: Digest,
  originalSize: Schema.Int,
  /** The original, sealed to the key of the content version. */
  blob: Digest,
  qti: Text(40),
  at: Millis
})
export type Origin = typeof Origin.Type

/** Originals beside what was made of them; only central has these. */
export class Origins extends Context.Service<
  Origins,
  {
    readonly put: (origin: Origin) => Effect.Effect<void>
    /** Newest content version first, for each delivery. */
    readonly list: Effect.Effect<ReadonlyArray<Origin>>
  }
>()("testferry/Origins") {}

/**
 * Says what the harness and its child processes say to each other: one call at a time, answered
 * once. A module under measurement offers `openCentral` and `openDevice`; `child.ts` runs one of
 * them, `processes.ts` calls it.
 */
import { Schema } from "effect"
import type { Body } from "./bodies.ts"

/** Where a process may keep its files, and what else it is given. */
export const Place = Schema.Struct({
  directory: Schema.String,
  /** Where central answers; empty for central itself. */
  url: Schema.String,
  /** A PostgreSQL for central, if the run has started one. */
  postgres: Schema.NullOr(Schema.String),
  /** Whose entities a device wants, where a contender knows organisations. */
  organisation: Schema.String
})
export type Place = typeof Place.Type

/** The central side of a contender, in a process of its own. */
export interface Central {
  /** Where devices find it: loopback, a port of its own choice. */
  readonly url: string
  put(entities: ReadonlyArray<Body>): Promise<void>
  remove(ids: ReadonlyArray<string>): Promise<void>
  /** What it offers, by id, where that is not the very bodies it was given: it seals some of it. */
  entities?(): Promise<ReadonlyMap<string, string>>
  close(): Promise<void>
}

/** The device side of a contender, in a process of its own. */
export interface Device {
  /** Synchronises once, durably, and answers how many entities it changed. */
  sync(): Promise<number>
  /** Everything it holds: canonical bodies by id. */
  entities(): Promise<ReadonlyMap<string, string>>
  close(): Promise<void>
}

/** What a module exports to be run by `child.ts`. */
export interface Sides {
  readonly openCentral: (place: Place) => Promise<Central>
  readonly openDevice: (place: Place) => Promise<Device>
}

export const Call = Schema.Union([
  Schema.Struct({ verb: Schema.Literal("open"), place: Place }),
  Schema.Struct({
    verb: Schema.Literal("put"),
    entities: Schema.Array(Schema.Struct({ id: Schema.String, body: Schema.String }))
  }),
  Schema.Struct({ verb: Schema.Literal("remove"), ids: Schema.Array(Schema.String) }),
  Schema.Struct({ verb: Schema.Literal("traffic") }),
  Schema.Struct({ verb: Schema.Literal("offers") }),
  Schema.Struct({ verb: Schema.Literal("sync"), times: Schema.Int }),
  Schema.Struct({ verb: Schema.Literal("holds") }),
  Schema.Struct({
    verb: Schema.Literal("openMany"),
    place: Place,
    /** Device n belongs to the n-th of these, counted round. */
    organisations: Schema.NonEmptyArray(Schema.String),
    from: Schema.Int,
    count: Schema.Int
  }),
  Schema.Struct({ verb: Schema.Literal("syncMany"), seconds: Schema.Finite }),
  Schema.Struct({ verb: Schema.Literal("close") })
])
export type Call = typeof Call.Type

export const Opened = Schema.Struct({ url: Schema.String })
/** What central has served since its start, and the most memory it ever had. */
export const Traffic = Schema.Struct({
  bytes: Schema.Int,
  requests: Schema.Int,
  peakRss: Schema.Int
})
export const Synced = Schema.Struct({
  seconds: Schema.Finite,
  entities: Schema.Int,
  peakRss: Schema.Int
})
export const Holds = Schema.Struct({ entities: Schema.Int, digest: Schema.String })
/** Null: central offers what it was given. */
export const Offers = Schema.NullOr(Holds)

/** What became of one of many devices: what it took, and why it failed if it did. */
export const Outcome = Schema.Struct({
  device: Schema.Int,
  seconds: Schema.Finite,
  entities: Schema.Int,
  failure: Schema.NullOr(Schema.String)
})
export type Outcome = typeof Outcome.Type
export const Outcomes = Schema.Struct({
  outcomes: Schema.Array(Outcome),
  peakRss: Schema.Int
})

export const Answer = Schema.Union([
  Schema.Struct({ value: Schema.Unknown }),
  Schema.Struct({ failure: Schema.String })
])

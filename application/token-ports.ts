/** The edge of the hexagon where tokens cross it: who may speak to central over HTTPS (protocol §2). */
import { Context, type Effect, type Option } from "effect"

/** A bearer token, good until `expires` (milliseconds since 1970). */
export interface AccessToken {
  readonly token: string
  readonly lifeSeconds: number
  readonly expires: number
}

/** What a client states about itself in a signed assertion (RFC 7523 §3); times in milliseconds. */
export interface Assertion {
  readonly issuer: string
  readonly subject: string
  readonly audience: ReadonlyArray<string>
  readonly issuedAt: number
  readonly expires: number
  readonly id: string
}

/** Makes and reads the tokens of the HTTPS conversation. All processes of one central share the key. */
export class Tokens extends Context.Service<
  Tokens,
  {
    /** The names by which central knows itself: its issuer, and the URL of its token endpoint. */
    readonly audiences: ReadonlyArray<string>
    readonly issue: (client: string, now: number) => Effect.Effect<AccessToken>
    /** The client that a token was issued to; none when it is not ours, altered or expired. */
    readonly verify: (token: string, now: number) => Effect.Effect<Option.Option<string>>
    /**
     * Reads an assertion signed with EdDSA by the key that `keyOf` finds for its subject (raw ed25519
     * in base64). None when anything about signature or shape is wrong. Times are for the caller.
     */
    readonly readAssertion: (
      jwt: string,
      keyOf: (client: string) => Effect.Effect<Option.Option<string>>
    ) => Effect.Effect<Option.Option<Assertion>>
  }
>()("testferry/Tokens") {}

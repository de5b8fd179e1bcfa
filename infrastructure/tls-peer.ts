/** Looks at the certificate that a server shows, before anything is said to it. */
import { connect } from "node:tls"
import { Effect, Schema } from "effect"
import { fingerprintHex } from "./fingerprint.ts"

/** Nobody answered, or not in TLS. */
export class PeerSilent extends Schema.TaggedError<PeerSilent>()("PeerSilent", {
  detail: Schema.String
}) {}

const WAIT_MILLIS = 15_000

/** The fingerprint of the server's certificate, and whether the system's authorities vouch for it. */
export const peerCertificate = (url: URL) =>
  Effect.callback<{ readonly fingerprint: string; readonly vouched: boolean }, PeerSilent>(
    (resume) => {
      const fail = (detail: string) => resume(Effect.fail(new PeerSilent({ detail })))
      const host = url.hostname.replace(/^\[|\]$/gu, "")
      const named = /[a-z]/iu.test(host) && !host.includes(":")
      const socket = connect(
        {
          host,
          port: Number(url.port || 443),
          rejectUnauthorized: false,
          ...(named ? { servername: host } : {})
        },
        () => {
          const { raw } = socket.getPeerCertificate()
          const vouched = socket.authorized
          socket.destroy()
          resume(Effect.succeed({ fingerprint: fingerprintHex(raw), vouched }))
        }
      )
      socket.setTimeout(WAIT_MILLIS, () => socket.destroy(new Error("no answer in time")))
      socket.on("error", (error) => fail(error.message))
      return Effect.sync(() => socket.destroy())
    }
  )

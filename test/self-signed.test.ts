/** The certificate of a server that nobody vouches for, over real TLS. */
import { X509Certificate } from "node:crypto"
import { once } from "node:events"
import { createServer, request } from "node:https"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { fingerprintHex } from "../infrastructure/fingerprint.ts"
import { NAMES_MAX, type ServerCertificate, selfSigned } from "../infrastructure/self-signed.ts"

const NAMES = ["device.school.example", "localhost", "127.0.0.1", "::1", "localhost"]
const ours = await Effect.runPromise(selfSigned(NAMES))
const other = await Effect.runPromise(selfSigned(["localhost"]))

describe("a self-signed certificate", () => {
  const certificate = new X509Certificate(ours.certPem)

  it("is named by the SHA-256 of its DER bytes", () => {
    assert.strictEqual(ours.fingerprint, fingerprintHex(certificate.raw))
    assert.strictEqual(ours.fingerprint, certificate.fingerprint256)
    assert.notStrictEqual(ours.fingerprint, other.fingerprint)
  })

  it("holds for its names and addresses and no others, and vouches for nobody", () => {
    assert.strictEqual(
      certificate.subjectAltName,
      "DNS:device.school.example, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1"
    )
    assert.isDefined(certificate.checkHost("localhost"))
    assert.isDefined(certificate.checkIP("127.0.0.1"))
    assert.isUndefined(certificate.checkHost("central.example"))
    assert.isFalse(certificate.ca)
    assert.isTrue(certificate.verify(certificate.publicKey))
    assert.strictEqual(certificate.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1")
  })

  it.live("is valid for ten years from a day ago", () =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const day = 86_400_000
      const yearsLeft = (certificate.validToDate.getTime() - now) / day / 365.25
      const age = (now - certificate.validFromDate.getTime()) / day
      assert.approximately(yearsLeft, 10, 0.01)
      assert.approximately(age, 1, 0.1)
    })
  )

  it("serves a client that pins its fingerprint, and is refused by one that pins another", async () => {
    for (const host of ["localhost", "127.0.0.1"]) {
      assert.strictEqual(await fetched(host, ours, ours.fingerprint), "hello")
      assert.strictEqual(await fetched(host, ours, other.fingerprint), "another certificate")
      // What trusts only the other certificate does not even get to compare.
      assert.strictEqual(
        await fetched(host, other, ours.fingerprint),
        "DEPTH_ZERO_SELF_SIGNED_CERT"
      )
    }
  })

  it.effect("is not made without a name, or for more names than we list", () =>
    Effect.gen(function* () {
      for (const names of [[], Array.from({ length: NAMES_MAX + 1 }, (_, n) => `h${n}`)]) {
        const exit = yield* Effect.exit(selfSigned(names))
        assert.strictEqual(exit._tag, "Failure")
      }
    })
  )
})

/** Asks a server that runs with our certificate; the body, or why there was none. */
async function fetched(host: string, trusted: ServerCertificate, pin: string): Promise<string> {
  const server = createServer({ cert: ours.certPem, key: ours.keyPem }, (_, response) =>
    response.end("hello")
  )
  server.listen(0, host)
  await once(server, "listening")
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const checkServerIdentity = (_: string, { fingerprint256 }: { fingerprint256: string }) =>
    fingerprint256 === pin ? undefined : new Error("another certificate")
  try {
    return await new Promise<string>((resolve) => {
      request({ host, port, ca: trusted.certPem, checkServerIdentity, agent: false }, (response) =>
        response.on("data", (body) => resolve(String(body)))
      )
        .on("error", (error) => resolve("code" in error ? String(error.code) : error.message))
        .end()
    })
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

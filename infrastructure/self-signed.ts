/**
 * Makes a TLS certificate that nobody vouches for, for a server in a school network without a
 * certificate authority. Clients pin its fingerprint, which a person compares once.
 */
// First: @peculiar/x509 throws at import without it.
import "reflect-metadata"
import { KeyObject, webcrypto } from "node:crypto"
import { isIP } from "node:net"
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator
} from "@peculiar/x509"
import { Clock, Effect } from "effect"
import { fingerprintHex } from "./fingerprint.ts"

/** Nobody comes to the school to renew it; a pin is trusted as long as it stands anyway. */
const YEARS = 10
const DAY_MILLIS = 86_400_000
/** Room for every address of a machine and its names, and no more. */
export const NAMES_MAX = 100

export interface ServerCertificate {
  readonly certPem: string
  /** PKCS#8. */
  readonly keyPem: string
  /** SHA-256 of the certificate's DER bytes, `AB:CD:…`: what a client pins. */
  readonly fingerprint: string
}

/**
 * Makes an ECDSA P-256 key and a certificate for these host names and IP addresses, valid from
 * yesterday, since school clocks are wrong. Give "localhost" and the loopback addresses too where
 * they are wanted. Without names, or with more than NAMES_MAX: a defect.
 */
export const selfSigned = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
  if (names.length === 0 || names.length > NAMES_MAX) {
    return yield* Effect.die(new RangeError("a certificate needs 1 to 100 names"))
  }
  const now = yield* Clock.currentTimeMillis
  return yield* Effect.promise(() => make(names, now))
})

const make = async (
  names: ReadonlyArray<string>,
  nowMillis: number
): Promise<ServerCertificate> => {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=Testferry",
    notBefore: new Date(nowMillis - DAY_MILLIS),
    notAfter: new Date(nowMillis + YEARS * 365.25 * DAY_MILLIS),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        [...new Set(names)].map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value }))
      )
    ]
  })
  return {
    certPem: `${certificate.toString("pem")}\n`,
    keyPem: KeyObject.from(keys.privateKey).export({ format: "pem", type: "pkcs8" }).toString(),
    fingerprint: fingerprintHex(new Uint8Array(certificate.rawData))
  }
}

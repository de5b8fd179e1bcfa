/** Signs results with the device's key and seals them to the results recipients (format §3.7). */
import { Effect, Layer } from "effect"
import { ResultSealer } from "../application/session-ports.ts"
import { canonical } from "../domain/canonical.ts"
import { NAMESPACE } from "../domain/enrolment.ts"
import * as AgeFile from "./age-file.ts"
import type { FileKeys } from "./file-keys.ts"
import { sign } from "./sshsig.ts"

export const layer = (keys: FileKeys) =>
  Layer.effect(
    ResultSealer,
    Effect.map(Effect.orDie(keys.ed25519("sig")), ({ key }) =>
      ResultSealer.of({
        seal: (text, recipients) =>
          Effect.suspend(() => {
            const signatures = [sign(key, NAMESPACE.result, Buffer.from(text))]
            return AgeFile.seal(recipients, Buffer.from(canonical({ text, signatures })))
          }).pipe(
            Effect.map((box) => Buffer.from(box).toString("base64")),
            Effect.orDie
          )
      })
    )
  )

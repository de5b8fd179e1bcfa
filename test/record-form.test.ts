/** What central can see of a sealed result without opening it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { isSealed } from "../domain/record-form.ts"
import * as Age from "../infrastructure/age-file.ts"

const base64 = (bytes: Uint8Array | string) => Buffer.from(bytes).toString("base64")
const sealedTo = Effect.fnUntraced(function* (
  kind: "x25519" | "hybrid",
  count: number,
  size: number
) {
  const recipients: Array<string> = []
  for (let at = 0; at < count; at++) recipients.push((yield* Age.newIdentity(kind)).recipient)
  return yield* Age.seal(recipients, new Uint8Array(size))
})

describe("a sealed result", () => {
  it.live("is known by its head, to one or two recipients of either kind, of any size", () =>
    Effect.gen(function* () {
      for (const kind of ["x25519", "hybrid"] as const) {
        for (const size of [0, 1, 70_000]) {
          assert.isTrue(isSealed(base64(yield* sealedTo(kind, 2, size))), `${kind} ${size}`)
        }
      }
      const most = yield* sealedTo("x25519", 32, 1)
      assert.isTrue(isSealed(base64(most)))
    })
  )

  it.live("is not what is cut, blank, no base64, or sealed by a password", () =>
    Effect.gen(function* () {
      const bytes = yield* sealedTo("x25519", 1, 0)
      const box = base64(bytes)
      const text = Buffer.from(bytes).toString("latin1")
      const altered = (from: string, to: string) =>
        base64(Buffer.from(text.replace(from, to), "latin1"))
      const wrong = [
        "",
        " ",
        "no base64 at all",
        base64("not an age file"),
        `${box.slice(0, 80)}\n   ${box.slice(80)}`,
        `${box}====`,
        base64(bytes.slice(0, -17)),
        base64(bytes.slice(0, 60)),
        altered("-> X25519", "-> scrypt"),
        altered("v1", "v2"),
        altered("---", "-- "),
        altered("-> X25519", `${"-> X25519 a\nAAAA\n".repeat(32)}-> X25519`),
        altered("-> X25519", `-> X25519 ${"a".repeat(70_000)}`)
      ]
      for (const one of wrong) assert.isFalse(isSealed(one), one.slice(0, 60))
    })
  )

  it("is looked at in a moment, however large and odd", () => {
    assert.isFalse(isSealed("A".repeat(32 * 1_048_576)))
    assert.isFalse(isSealed(base64(`age-encryption.org/v1\n${"-> a\nA\n".repeat(200_000)}`)))
  })
})

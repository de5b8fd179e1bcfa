import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import fc from "fast-check"
import { missingNumbers } from "../domain/ledger.ts"
import {
  CENTRAL_EVENTS,
  CentralStage,
  DEVICE_EVENTS,
  DeviceStage,
  isOpen,
  isOwed,
  stepAtCentral,
  stepOnDevice
} from "../domain/lifecycle.ts"

/** Every arrow that there is, written out a second time: from, event, to. */
const DEVICE_ARROWS = `
awaiting authorise authorised
awaiting cancel cancelled
authorised start started
authorised withdraw awaiting
authorised cancel cancelled
started pause paused
started finish finished
started terminate terminated
paused resume started
paused authorise authorised
paused terminate terminated
finished seal sealed
terminated seal sealed
cancelled seal sealed
sealed queue queued
queued send sent
sent send sent
sent fail queued
sent acknowledge acknowledged
acknowledged acknowledge acknowledged
acknowledged resend queued
acknowledged purge purged
purged acknowledge purged`

const CENTRAL_ARROWS = `
received store stored
received quarantine quarantined
quarantined release stored
stored decrypt decrypted
stored give-up undecryptable
undecryptable retry stored
decrypted export exported
exported export exported`

const arrowsIn = (text: string) => new Set(text.trim().split("\n"))

describe("the life of an execution", () => {
  it("has exactly these arrows on the device, for every pair of stage and event", () => {
    const found = DeviceStage.literals.flatMap((stage) =>
      DEVICE_EVENTS.flatMap((event) =>
        Result.match(stepOnDevice(stage, event), {
          onSuccess: (next) => [`${stage} ${event} ${next}`],
          onFailure: (none) => {
            assert.deepStrictEqual(none, { stage, event })
            return []
          }
        })
      )
    )
    assert.deepStrictEqual(new Set(found), arrowsIn(DEVICE_ARROWS))
  })

  it("has exactly these arrows at central, for every pair of stage and event", () => {
    const found = CentralStage.literals.flatMap((stage) =>
      CENTRAL_EVENTS.flatMap((event) =>
        Result.match(stepAtCentral(stage, event), {
          onSuccess: (next) => [`${stage} ${event} ${next}`],
          onFailure: () => []
        })
      )
    )
    assert.deepStrictEqual(new Set(found), arrowsIn(CENTRAL_ARROWS))
  })

  it("is forgotten only by way of an acknowledgement, whatever happens", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...DEVICE_EVENTS), { maxLength: 60 }), (events) => {
        let stage: DeviceStage = "awaiting"
        let isAcknowledged = false
        for (const event of events) {
          const next = stepOnDevice(stage, event)
          if (Result.isFailure(next)) continue
          if (event === "acknowledge") isAcknowledged = true
          stage = next.success
          if (stage === "purged") assert.isTrue(isAcknowledged)
          if (!isAcknowledged) assert.isTrue(isOpen(stage) || isOwed(stage))
        }
      })
    )
  })
})

describe("the numbers of a ledger", () => {
  it("show exactly what has not arrived", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 })),
        fc.integer({ min: 0, max: 40 }),
        (received, count) => {
          const missing = missingNumbers(received, count).flatMap(({ from, to }) =>
            Array.from({ length: to - from + 1 }, (_, at) => from + at)
          )
          const expected = Array.from({ length: count }, (_, at) => at + 1).filter(
            (number) => !received.includes(number)
          )
          assert.deepStrictEqual(missing, expected)
        }
      )
    )
  })
})

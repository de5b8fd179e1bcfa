/** Devices that asked by stick, at the office's door: who may let them in, and by which words. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { blockDevice } from "../application/manage-clients.ts"
import { History } from "../application/ports.ts"
import { WAITING_MAX, WAITING_MILLIS } from "../application/waiting-devices.ts"
import { WaitingDevices } from "../application/waiting-ports.ts"
import { NAMESPACE, type Signed } from "../domain/enrolment.ts"
import { Digest, OrganisationId } from "../domain/id.ts"
import { enrolAccept, enrolAnswer } from "../entrypoints/stick-enrol-commands.ts"
import type { CentralPorts } from "../entrypoints/wiring.ts"
import { sign } from "../infrastructure/sshsig.ts"
import { freshFolder } from "./support/database.ts"
import * as DoorSupport from "./support/door.ts"
import { Door } from "./support/door.ts"
import { layerClerks } from "./support/office-desk.ts"
import { code, cookieOf, get, PAGE, post, rows } from "./support/office-door.ts"
import { holder } from "./support/roots.ts"
import { asking, unpacked } from "./support/stick-requests.ts"

const SCHOOL = OrganisationId.make("0123")

const bring = Effect.fnUntraced(function* (...notes: ReadonlyArray<Signed>) {
  const requests = notes.map((note, at) => ({ name: `${at}.json`, note }))
  const answer = yield* post("waiting", { requests })
  assert.strictEqual(answer.status, 200, answer.text)
  return rows<{ outcome: string }>(answer.json?.brought).map(({ outcome }) => outcome)
})

const waiting = Effect.map(get("waiting"), ({ json }) => rows<Waiting>(json?.waiting))
const idOf = Effect.fnUntraced(function* (name: string) {
  const found = (yield* waiting).find((one) => one.name === name)
  return found?.id ?? "nothing waits"
})

layer(DoorSupport.layer(layerClerks), { excludeTestServices: true })(
  "approvals at the office",
  (it) => {
    const atOffice = (name: string, test: Effect.Effect<void, unknown, Door | CentralPorts>) =>
      it.effect(name, () => test)

    atOffice(
      "takes a device in by the words that the school reads out, and gives the answer for its stick",
      Effect.scoped(
        Effect.gen(function* () {
          const device = yield* asking("Room 7")
          assert.deepStrictEqual(yield* bring(device.note), ["waiting"])
          const [one] = yield* waiting
          assert.deepInclude(one, { name: "Room 7", words: device.words, by: "root", known: null })
          const organisation = SCHOOL
          const wrong = [
            "",
            device.words.split(" ").reverse().join(" "),
            device.words.split(" ").slice(1).join(" "),
            `${device.words} abandon`,
            device.words.replaceAll(/\b(\w\w)\w+/gu, "$1")
          ]
          for (const words of wrong) {
            const refused = yield* post(`waiting/${one?.id}/approve`, { words, organisation })
            assert.deepStrictEqual(code(refused), [409, "wrong-words"], words)
          }
          assert.strictEqual((yield* waiting).length, 1)

          const heard = device.words
            .split(" ")
            .map((word) => ` ${word.slice(0, 4).toUpperCase()},`)
            .join("")
          const approval = { words: heard, organisation }
          const approved = yield* post(`waiting/${one?.id}/approve`, approval, { login: "riva" })
          assert.strictEqual(approved.status, 200, approved.text)
          assert.deepStrictEqual(approved.json?.organisations, [SCHOOL])

          const replayed = yield* post(`waiting/${one?.id}/approve`, approval)
          assert.deepStrictEqual(code(replayed), [409, "decided"])
          const refusal = yield* post(`waiting/${one?.id}/refuse`, { reason: "Too late" })
          assert.deepStrictEqual(code(refusal), [409, "decided"])
          assert.deepStrictEqual(yield* bring(device.note), ["decided"])

          const archive = yield* get(`waiting/${one?.id}/answer.zip`, "root")
          assert.strictEqual(archive.headers["content-type"], "application/zip")
          const stick = yield* freshFolder()
          unpacked(archive.bytes, stick)
          const { json } = yield* get("waiting")
          const answer = yield* device.run(enrolAnswer.run({ from: stick }))
          assert.strictEqual(answer.words, json?.centralWords)
          const { firstRoot } = answer
          const membership = yield* device.run(enrolAccept.run({ from: stick, firstRoot }))
          assert.strictEqual(membership.device, approved.json?.device)
          assert.deepStrictEqual(membership.organisations, [SCHOOL])
          assert.deepNestedInclude(json, {
            "decided[0].decidedBy": "riva",
            "decided[0].state": "approved",
            "decided[0].device": membership.device
          })
          const history = yield* History
          const [newest] = yield* history.recent(1)
          assert.deepInclude(newest, { verb: "enrol", who: "riva", outcome: "done" })
        })
      )
    )

    atOffice(
      "keeps one request once, and nothing that its own key did not sign",
      Effect.scoped(
        Effect.gen(function* () {
          const { note } = yield* asking("Room 8")
          const swapped = { ...note, text: note.text.replace("Room 8", "Room 9") }
          const other = sign(holder().key, NAMESPACE.enrolment, Buffer.from(note.text))
          const outcomes = yield* bring(
            note,
            note,
            swapped,
            { ...note, signatures: [other] },
            { ...note, signatures: [] },
            { ...note, text: "{}" },
            { ...note, text: "x".repeat(9_000) }
          )
          assert.deepStrictEqual(outcomes, [
            ...["waiting", "known", "not-signed", "not-signed"],
            ...["not-signed", "no-request", "too-large"]
          ])
          const names = (yield* waiting).map(({ name }) => name)
          assert.deepStrictEqual(names, ["Room 8"])
          const whole = yield* post("waiting", {
            requests: [{ name: "large", note: { text: "x".repeat(3_000_000), signatures: [] } }]
          })
          assert.strictEqual(whole.status, 413, whole.text)
          const many = Array.from({ length: 201 }, (_, at) => ({ name: `${at}`, note }))
          assert.strictEqual((yield* post("waiting", { requests: many })).status, 400)
          const refused = yield* post(`waiting/${yield* idOf("Room 8")}/refuse`, {
            reason: "Nobody answers"
          })
          assert.strictEqual(refused.status, 204)
          const history = yield* History
          const [newest] = yield* history.recent(1)
          assert.deepInclude(newest, {
            verb: "enrol",
            who: "root",
            outcome: "refused",
            reason: "Room 8: Nobody answers"
          })
        })
      )
    )

    atOffice(
      "is for administrators on this very page alone",
      Effect.scoped(
        Effect.gen(function* () {
          const door = yield* Door
          const { note, words } = yield* asking("Room 10")
          yield* bring(note)
          const id = yield* idOf("Room 10")
          const approval = { words, organisation: SCHOOL }
          const writes: ReadonlyArray<readonly [string, unknown]> = [
            ["waiting", { requests: [] }],
            [`waiting/${id}/approve`, approval],
            [`waiting/${id}/refuse`, { reason: "no" }]
          ]
          for (const [path, body] of writes) {
            const other = yield* post(path, body, { login: "rosa" })
            assert.deepStrictEqual(code(other), [403, "wrong-person"], path)
            for (const headers of [
              { "sec-fetch-site": "cross-site" },
              { "sec-fetch-site": "same-site" },
              { origin: "https://elsewhere.example" }
            ]) {
              const foreign = yield* post(path, body, { headers })
              assert.deepStrictEqual(code(foreign), [403, "cross-site"], path)
            }
            const { "testferry-page": _, ...form } = PAGE
            const cookie = yield* cookieOf("root")
            const bare = yield* door.knock({
              method: "POST",
              path: `/office/v1/${path}`,
              headers: { ...form, cookie },
              body: JSON.stringify(body)
            })
            assert.deepStrictEqual(code(bare), [403, "cross-site"], path)
            const nobody = yield* door.knock({
              method: "POST",
              path: `/office/v1/${path}`,
              headers: PAGE,
              body: JSON.stringify(body)
            })
            assert.deepStrictEqual(code(nobody), [401, "login-needed"], path)
          }
          const same = { origin: `https://127.0.0.1:${door.port}` }
          const own = yield* post("waiting", { requests: [] }, { headers: same })
          assert.strictEqual(own.status, 200)
          assert.deepStrictEqual(code(yield* get("waiting", "rosa")), [403, "wrong-person"])
          const answer = yield* get(`waiting/${id}/answer.zip`)
          assert.deepStrictEqual(code(answer), [404, "no-request"])
          assert.strictEqual((yield* waiting).length, 1, "still waits")
          yield* post(`waiting/${id}/refuse`, { reason: "enough" })
        })
      )
    )

    atOffice(
      "asks which organisation is meant, and lets nobody in again who was blocked",
      Effect.scoped(
        Effect.gen(function* () {
          const device = yield* asking("Room 11")
          yield* bring(device.note)
          const id = yield* idOf("Room 11")
          const approve = (organisation: string | null) =>
            post(`waiting/${id}/approve`, { words: device.words, organisation })
          const unclear = yield* approve(null)
          assert.deepStrictEqual(code(unclear), [409, "organisation-unclear"])
          assert.strictEqual(unclear.json?.detail, "0123, 123")
          assert.deepStrictEqual(code(yield* approve("01234")), [409, "organisation-unclear"])
          const both = yield* Effect.all([approve(SCHOOL), approve(SCHOOL)], { concurrency: 2 })
          assert.deepStrictEqual(both.map(({ status }) => status).sort(), [200, 409])
          const { json } = both.find(({ status }) => status === 200) ?? {}
          yield* blockDevice(String(json?.device), "operator")

          const again = yield* device.ask("Room 11 again")
          yield* bring(again.note)
          const [one] = yield* waiting
          assert.deepNestedInclude(one, { "known.state": "blocked", "known.name": "Room 11" })
          const refused = yield* post(`waiting/${one?.id}/approve`, {
            words: again.words,
            organisation: SCHOOL
          })
          assert.deepStrictEqual(code(refused), [409, "device-blocked"])
          assert.strictEqual((yield* waiting).length, 1, "it waits on")
          yield* post(`waiting/${one?.id}/refuse`, { reason: "blocked" })
        })
      )
    )

    atOffice(
      "keeps so many requests for so long, and no more",
      Effect.scoped(
        Effect.gen(function* () {
          const kept = yield* WaitingDevices
          const { note } = yield* asking("Room 12")
          const add = (at: number, cameAt: number) =>
            kept.add({
              id: Digest.make(at.toString(16).padStart(64, "0")),
              note,
              by: "root",
              cameAt
            })
          const now = Date.now()
          for (let at = 0; at < WAITING_MAX; at++) yield* add(at, now)
          assert.deepStrictEqual(yield* bring(note), ["too-many"])
          yield* kept.forgetOutside(now + 1, now + 2)
          yield* add(0, now - WAITING_MILLIS - 1_000)
          assert.deepStrictEqual(yield* bring(note), ["waiting"])
          assert.strictEqual((yield* waiting).length, 1)
        })
      )
    )
  }
)

interface Waiting {
  readonly id: string
  readonly name: string
  readonly words: string
  readonly by: string
  readonly known: { readonly name: string; readonly state: string } | null
}

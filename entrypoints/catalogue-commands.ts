/** What an operator can ask about single records of central's catalogue. */
import { Effect, Redacted, Schema, Stream } from "effect"
import { addLtiConsumer } from "../application/add-lti-consumer.ts"
import { beginAnew } from "../application/begin-anew.ts"
import { Catalogue } from "../application/ports.ts"
import { Refused } from "../application/refused.ts"
import { remove } from "../application/remove.ts"
import { Kind, LABEL_MAX } from "../domain/entity.ts"
import { EntityId, OrganisationId, Text } from "../domain/id.ts"
import { labelOf, ownOrganisation } from "../domain/record.ts"
import { defineCommand, Positive } from "./command.ts"
import { writeRoot } from "./root-files.ts"

/** A shared secret is some dozens of characters; a whole file given by mistake is not one. */
const SECRET_MAX = 4_096
const Secret = Schema.NonEmptyString.check(
  Schema.isMaxLength(SECRET_MAX),
  Schema.isPattern(/^\P{Cs}*$/u)
)

const Listed = Schema.Struct({
  id: EntityId,
  label: Schema.NullOr(Schema.String),
  login: Schema.NullOr(Schema.String),
  organisation: Schema.NullOr(OrganisationId)
})

export const listEntities = defineCommand({
  name: "central list",
  side: "central",
  args: Schema.Struct({ kind: Kind, limit: Positive }),
  report: Schema.Struct({ records: Schema.Array(Listed), more: Schema.Boolean }),
  run: Effect.fn("listEntities")(function* ({ kind, limit }) {
    const catalogue = yield* Catalogue
    const found = yield* Stream.runCollect(Stream.take(catalogue.list(kind), limit + 1))
    const records = found.slice(0, limit).map((record) => ({
      id: record.id,
      label: labelOf(record),
      login: "login" in record ? record.login : null,
      organisation: ownOrganisation(record) ?? null
    }))
    return { records, more: found.length > limit }
  })
})

export const removeEntities = defineCommand({
  name: "central remove",
  side: "central",
  args: Schema.Struct({ ids: Schema.Array(EntityId) }),
  report: Schema.Struct({ removed: Schema.Int, offered: Schema.Int }),
  run: ({ ids }) =>
    remove(ids).pipe(
      Effect.catchTag("StillNamed", ({ by, id }) =>
        Effect.fail(
          new Refused({
            code: "E_STILL_NAMED",
            what: "Nothing was removed.",
            why: `${id} is still named by ${by}.`,
            todo: "Remove that too, in the same command, or import it again without this name."
          })
        )
      )
    )
})

export const ltiConsumerAdd = defineCommand({
  name: "central lti-consumers add",
  side: "central",
  args: Schema.Struct({
    organisation: OrganisationId,
    label: Text(LABEL_MAX),
    key: Text(LABEL_MAX),
    secret: Schema.Redacted(Secret)
  }),
  report: Schema.Struct({ id: EntityId, created: Schema.Boolean, offered: Schema.Int }),
  run: ({ secret, ...consumer }) => addLtiConsumer({ ...consumer, secret: Redacted.value(secret) })
})

export const restored = defineCommand({
  name: "central restored",
  side: "central",
  args: Schema.Struct({ directory: Schema.String }),
  /** `rootToSign`: what the holders of the root keys must sign before the next bundle goes out. */
  report: Schema.Struct({ epoch: Schema.String, rootToSign: Schema.NullOr(Schema.String) }),
  run: Effect.fn("restored")(function* ({ directory }) {
    const { epoch, toSign } = yield* beginAnew
    if (toSign === null) return { epoch, rootToSign: null }
    return { epoch, rootToSign: yield* writeRoot(directory, toSign.version, toSign.text) }
  })
})

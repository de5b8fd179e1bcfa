/** Adds or changes a learning platform that may launch an organisation's deliveries. */
import { Effect } from "effect"
import { NO_COUNTS } from "../domain/history.ts"
import type { OrganisationId } from "../domain/id.ts"
import { LtiConsumerRecord, ltiConsumerName } from "../domain/record.ts"
import { happened } from "./happened.ts"
import { ensureOrganisations } from "./import.ts"
import { Atomic, Catalogue, Secrets } from "./ports.ts"
import { refreshConcerned } from "./refresh.ts"

/** Found again by its key; the secret is kept in central's vault only. */
export const addLtiConsumer = Effect.fn("addLtiConsumer")(function* (consumer: {
  readonly organisation: OrganisationId
  readonly label: string
  readonly key: string
  readonly secret: string
}) {
  const atomic = yield* Atomic
  const catalogue = yield* Catalogue
  const secrets = yield* Secrets
  const { key, label, organisation, secret } = consumer
  return yield* atomic.run(
    Effect.gen(function* () {
      const name = ltiConsumerName(key)
      const known = (yield* catalogue.byNames([name])).get(name)
      const record = LtiConsumerRecord.make({
        kind: "lti-consumer",
        id: known?.id ?? (yield* secrets.newId("lti")),
        label,
        organisation,
        key,
        sealedSecret: yield* secrets.toVault(secret)
      })
      const before = yield* catalogue.concerned([record.id])
      const created = yield* ensureOrganisations([organisation])
      yield* catalogue.put([record])
      const offered = yield* refreshConcerned(before, [record.id, ...created])
      const change = known === undefined ? { created: 1 } : { updated: 1 }
      yield* happened({
        verb: "import",
        who: "operator",
        organisation,
        counts: { "lti-consumer": { ...NO_COUNTS, ...change } },
        reason: record.id
      })
      return { id: record.id, created: known === undefined, offered }
    })
  )
})

/** The command tree for what central takes back. */
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Text } from "../domain/id.ts"
import { REVOCABLE, REVOKED_ID_MAX, type Revoked } from "../domain/revocations.ts"
import { atCentral } from "./at-central.ts"
import { answer } from "./cli-run.ts"
import { table } from "./terminal.ts"

const load = Effect.promise(() => import("./revocation-commands.ts"))
const Id = Text(REVOKED_ID_MAX)
const reason = Flag.String("reason").pipe(
  Flag.withSchema(Text(200)),
  Flag.withDefault("Revoked by the central office."),
  Flag.withDescription("Why, in a sentence that schools can read")
)

const add = Effect.fnUntraced(function* (item: Pick<Revoked, "type" | "id" | "reason">) {
  const { revocationsAdd } = yield* load
  yield* answer({
    run: atCentral(revocationsAdd, { ...item, from: null }),
    encode: revocationsAdd.encodeReport,
    show: ({ revoked, version }) =>
      `List ${version} says ${revoked} revocations. Devices learn it with their next ` +
      "synchronisation or bundle."
  })
})

const list = Command.make("list", {}, () =>
  Effect.gen(function* () {
    const { revocationsList } = yield* load
    yield* answer({
      run: atCentral(revocationsList, {}),
      encode: revocationsList.encodeReport,
      show: ({ list: { revoked, version } }) =>
        version === 0
          ? "Nothing was ever revoked."
          : [
              `List ${version}`,
              table(
                ["TYPE", "ID", "FROM", "REASON"],
                revoked.map((one) => [
                  one.type,
                  one.id,
                  new Date(one.from).toISOString(),
                  one.reason
                ])
              )
            ].join("\n")
    })
  })
).pipe(Command.withDescription("Show what was revoked"))

export const revocationsTree = Command.make("revocations").pipe(
  Command.withDescription("What central takes back: devices, bundles, signing keys"),
  Command.withSubcommands([
    list,
    Command.make(
      "add",
      {
        type: Flag.Literals("type", REVOCABLE),
        id: Flag.String("id").pipe(Flag.withSchema(Id)),
        reason
      },
      add
    ).pipe(Command.withDescription("Revoke something for good"))
  ])
)

export const revokeBundleTree = Command.make(
  "revoke-bundle",
  { id: Argument.String("bundle").pipe(Argument.withSchema(Id)), reason },
  ({ id, reason }) => add({ type: "bundle", id, reason })
).pipe(Command.withDescription("Revoke a bundle that must not be imported any more"))

/** The command tree for whom everybody trusts: root documents, their keys, and their holders. */
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { ROTATED } from "../application/change-root.ts"
import { Refused } from "../application/refused.ts"
import { THRESHOLD_MAX } from "../domain/root.ts"
import { atCentral } from "./at-central.ts"
import { answer, shared } from "./cli-run.ts"
import { howToSign, readHolders, readSigned } from "./root-files.ts"
import { table } from "./terminal.ts"

const load = Effect.promise(() => import("./root-commands.ts"))
const date = (millis: number) => new Date(millis).toISOString().slice(0, 10)

const show = Command.make("show", {}, () =>
  Effect.gen(function* () {
    const { rootShow } = yield* load
    yield* answer({
      run: atCentral(rootShow, {}),
      encode: rootShow.encodeReport,
      show: ({ now, root, signatures, words }) => {
        if (root === null) return `The first root document is not signed yet.\n  words  ${words}`
        const until = `${date(root.expires)}${root.expires < now ? " (EXPIRED)" : ""}`
        return [
          `root ${root.version}, epoch ${root.epoch}, good until ${until}, ${signatures} signatures`,
          `  words  ${words}`,
          table(
            ["ROLE", "ENOUGH", "KEYS"],
            [
              ...Object.entries(root.roles).map(([name, role]) => [
                name,
                `${role.threshold} of ${role.keys.length}`,
                role.keys.join(" ")
              ]),
              ["ingest", "", root.ingest.recipient]
            ]
          )
        ].join("\n")
      }
    })
  })
).pipe(
  Command.withDescription("Show the root document in force, and the words that name this central")
)

const roles = Flag.Literals("role", ROTATED).pipe(
  Flag.atLeast(0),
  Flag.withDescription("Whose key is replaced by a new one; give the flag again for more")
)

const changedLine = ({
  epoch,
  expires,
  version
}: Record<"epoch" | "expires" | "version", number>) =>
  `Root ${version} is in force: epoch ${epoch}, good until ${date(expires)}. Devices learn it with ` +
  "their next synchronisation or bundle."

const rotate = Command.make(
  "rotate",
  { roles },
  Effect.fnUntraced(function* ({ roles }) {
    if (roles.length === 0) return yield* nothingAsked("Give --role at least once.")
    const { data: directory } = yield* shared
    const { rootRotate } = yield* load
    yield* answer({
      run: atCentral(rootRotate, { roles, directory }),
      encode: rootRotate.encodeReport,
      show: changedLine
    })
  })
).pipe(
  Command.withDescription(
    "Replace keys of central by new ones, with the root keys on this computer"
  )
)

const propose = Command.make(
  "propose",
  {
    roles,
    newEpoch: Flag.Boolean("new-epoch").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Begin all bundles anew: every device needs a whole one next")
    ),
    rootKeys: Flag.String("root-keys").pipe(
      Flag.optional,
      Flag.withDescription("New holders: A.pub,B.pub,C.pub, as ssh-keygen -t ed25519 makes them")
    ),
    rootThreshold: Flag.Int("root-threshold").pipe(
      Flag.withDefault(1),
      Flag.withDescription(`How many of them must sign, at most ${THRESHOLD_MAX}`)
    )
  },
  Effect.fnUntraced(function* ({ newEpoch, roles, rootKeys, rootThreshold }) {
    const { data: directory } = yield* shared
    const { rootPropose } = yield* load
    const holders = Option.isNone(rootKeys)
      ? null
      : yield* readHolders(rootKeys.value, rootThreshold)
    yield* answer({
      run: atCentral(rootPropose, { roles, newEpoch, holders, directory }),
      encode: rootPropose.encodeReport,
      show: ({ file, version }) => `Root ${version} is written to ${file}.\n${howToSign(file)}`
    })
  })
).pipe(
  Command.withDescription("Write the next root document, for the holders of root keys to sign")
)

const adopt = Command.make(
  "adopt",
  {
    document: Argument.File("document", { mustExist: true }),
    signatures: Argument.File("signature", { mustExist: true }).pipe(Argument.variadic())
  },
  Effect.fnUntraced(function* ({ document, signatures }) {
    const { data: directory } = yield* shared
    const { rootAdopt } = yield* load
    const signed = yield* readSigned(document, signatures)
    yield* answer({
      run: atCentral(rootAdopt, { signed, directory }),
      encode: rootAdopt.encodeReport,
      show: (report) =>
        report.changed ? changedLine(report) : `Root ${report.version} was in force before.`
    })
  })
).pipe(Command.withDescription("Put a root document into force that enough holders have signed"))

const nothingAsked = (why: string) =>
  Effect.fail(
    new Refused({
      code: "E_USAGE",
      what: "The command was not run.",
      why,
      todo: 'Read "testferry central root rotate --help".',
      exit: 2
    })
  )

export const rootTree = Command.make("root").pipe(
  Command.withDescription("Whom devices trust: root documents and the keys they name"),
  Command.withSubcommands([show, rotate, propose, adopt])
)

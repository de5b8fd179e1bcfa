/** The command line of Testferry. `testferry --help` shows what there is. */
import { Command } from "effect/cli"
import { PROGRAM_VERSION } from "../domain/release.ts"
import { bundleTree } from "./cli-bundle.ts"
import { centralTree } from "./cli-central.ts"
import { demoCommand } from "./cli-demo.ts"
import { deviceTree, historyTree, statusTree, syncTree } from "./cli-device.ts"
import { keysTree } from "./cli-keys.ts"
import { doctorTree, readinessTree } from "./cli-readiness.ts"
import { logsTree, ltiUsersTree, resultsTree, sessionsTree } from "./cli-records.ts"
import { root, runCli } from "./cli-run.ts"

const cli = root.pipe(
  Command.withDescription(
    "Carries tests to schools without a reliable network and brings the results home"
  ),
  Command.withSubcommands([
    demoCommand,
    centralTree,
    deviceTree,
    syncTree,
    bundleTree,
    statusTree,
    historyTree,
    readinessTree,
    doctorTree,
    keysTree,
    resultsTree,
    sessionsTree,
    logsTree,
    ltiUsersTree
  ])
)

runCli(cli, { version: PROGRAM_VERSION })

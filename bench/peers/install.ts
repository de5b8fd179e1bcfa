/**
 * Installs the peers into `bench/node_modules`, exactly as locked, the first time they are needed.
 * Their install scripts are not run. They are never a dependency of Testferry itself.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const INSTALL_MILLIS = 300_000

/** Answers true when the peers are there; otherwise says why not and answers false. */
export const installPeers = (): boolean => {
  const bench = fileURLToPath(new URL("..", import.meta.url))
  if (existsSync(`${bench}node_modules/express-pouchdb/package.json`)) return true
  console.log("Installing the peers into bench/node_modules, this once.")
  const npm = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: bench,
    encoding: "utf8",
    timeout: INSTALL_MILLIS
  })
  if (npm.status === 0) return true
  console.error(
    `The peers could not be installed; the run goes on without them.\n${npm.error?.message ?? npm.stderr}`
  )
  return false
}

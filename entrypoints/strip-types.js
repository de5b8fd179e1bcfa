/**
 * Lets an installed Testferry run its TypeScript: Node strips types everywhere but below
 * node_modules, so there it is done here, for the files of this package alone.
 */
import { readFileSync } from "node:fs"
import { registerHooks, stripTypeScriptTypes } from "node:module"
import { fileURLToPath } from "node:url"

const own = new URL("../", import.meta.url).href

if (own.includes("/node_modules/")) {
  // Node calls stripping experimental and says so on every start; the pinned version is tested.
  process.removeAllListeners("warning")
  registerHooks({
    load(url, context, nextLoad) {
      if (!url.startsWith(own) || !url.endsWith(".ts")) return nextLoad(url, context)
      const source = stripTypeScriptTypes(readFileSync(fileURLToPath(url), "utf8"))
      return { format: "module", source, shortCircuit: true }
    }
  })
}

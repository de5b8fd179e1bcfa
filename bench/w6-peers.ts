/**
 * Runs the programs that people use for the same errand, each on the same packages and flushed:
 * `age` for encryption, `zip -0` for packing, `restic` and `borg` for what has changed since. They
 * come from the system (Debian: age, zip, restic, borgbackup); what is not there is left out.
 */
import { spawn, spawnSync } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import type { Took } from "./w6-steps.ts"

/** Milliseconds between two looks at a program's memory. */
const LOOK = 20

export interface Peers {
  /** A folder with the packages, and one file with the bytes of all of them. */
  readonly packages: string
  readonly joined: string
  /** Theirs, emptied after each. */
  readonly scratch: string
}

export const has = (program: string): boolean =>
  spawnSync("sh", ["-c", `command -v ${program}`]).status === 0

/** Runs commands one after the other; the time of all, and the memory of the largest. */
const run = async (
  commands: ReadonlyArray<ReadonlyArray<string>>,
  environment: Readonly<Record<string, string>> = {}
): Promise<Omit<Took, "bytes" | "note">> => {
  const start = performance.now()
  const before = childrenCpu()
  let peakRss = 0
  for (const [program = "", ...args] of commands) {
    const child = spawn(program, args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...environment }
    })
    let said = ""
    child.stderr.on("data", (chunk) => {
      said += chunk
    })
    const look = setInterval(() => {
      peakRss = Math.max(peakRss, highWater(child.pid))
    }, LOOK)
    const { promise, reject, resolve } = Promise.withResolvers<number | null>()
    child.on("close", resolve)
    child.on("error", reject)
    const code = await promise.finally(() => clearInterval(look))
    if (code !== 0) throw new Error(`${program} ${args[0]} ended with ${code}: ${said}`)
  }
  return {
    seconds: (performance.now() - start) / 1_000,
    cpu: childrenCpu() - before,
    peakRss
  }
}

const highWater = (pid: number | undefined): number => {
  try {
    const status = fs.readFileSync(`/proc/${pid}/status`, "utf8")
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024
  } catch {
    return 0
  }
}

/** Of all children that have ended, in seconds; Linux counts in hundredths. */
const childrenCpu = (): number => {
  const stat = fs.readFileSync("/proc/self/stat", "utf8")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[13]) + Number(fields[14])) / 100
}

/** What a peer does; `change` is called between its first and its second time. */
interface Peer {
  readonly needs: string
  readonly run: (peers: Peers, change: () => void) => Promise<ReadonlyArray<[string, Took]>>
}

const flush = (file: string) => ["sync", file]
const size = (file: string) => fs.statSync(file).size
const folderSize = (folder: string): number =>
  fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + size(path.join(entry.parentPath, entry.name)), 0)

const age: Peer = {
  needs: "age",
  run: async ({ joined, scratch }) => {
    const key = path.join(scratch, "key")
    spawnSync("age-keygen", ["-o", key])
    const recipient = spawnSync("age-keygen", ["-y", key], { encoding: "utf8" }).stdout.trim()
    const out = path.join(scratch, "out.age")
    const sealed = await run([["age", "-r", recipient, "-o", out, joined], flush(out)])
    const bytes = size(out)
    const read = await run([["dd", `if=${out}`, "of=/dev/null", "bs=4M", "iflag=direct"]])
    const compared = await run([["sha256sum", out]])
    const all = {
      seconds: sealed.seconds + read.seconds + compared.seconds,
      cpu: sealed.cpu + read.cpu + compared.cpu,
      peakRss: sealed.peakRss
    }
    return [
      ["age, flush", { ...sealed, bytes, note: "" }],
      ["age, flush, read back, sha256", { ...all, bytes, note: "dd iflag=direct, sha256sum" }]
    ]
  }
}

const zip: Peer = {
  needs: "zip",
  run: async ({ packages, scratch }) => {
    const out = path.join(scratch, "out.zip")
    const took = await run([["zip", "-0", "-q", "-r", out, packages], flush(out)])
    return [["zip -0, flush", { ...took, bytes: size(out), note: "not encrypted" }]]
  }
}

const restic: Peer = {
  needs: "restic",
  run: async ({ packages, scratch }, change) => {
    const repository = path.join(scratch, "restic")
    const environment = {
      RESTIC_PASSWORD: "bench",
      RESTIC_REPOSITORY: repository,
      RESTIC_CACHE_DIR: path.join(scratch, "cache")
    }
    const backup = [["restic", "-q", "backup", packages]]
    await run([["restic", "-q", "init"]], environment)
    return twice(repository, () => run(backup, environment), change, "restic backup")
  }
}

const borg: Peer = {
  needs: "borg",
  run: async ({ packages, scratch }, change) => {
    const repository = path.join(scratch, "borg")
    const environment = {
      BORG_PASSPHRASE: "bench",
      BORG_REPO: repository,
      BORG_BASE_DIR: path.join(scratch, "cache")
    }
    await run([["borg", "init", "-e", "repokey"]], environment)
    let at = 0
    const backup = () => run([["borg", "create", `::${at++}`, packages]], environment)
    return twice(repository, backup, change, "borg create")
  }
}

const twice = async (
  repository: string,
  backup: () => Promise<Omit<Took, "bytes" | "note">>,
  change: () => void,
  name: string
): Promise<ReadonlyArray<[string, Took]>> => {
  const empty = folderSize(repository)
  const first = await backup()
  const full = folderSize(repository)
  change()
  const second = await backup()
  return [
    [name, { ...first, bytes: full - empty, note: "" }],
    [`${name}, 1 %`, { ...second, bytes: folderSize(repository) - full, note: "" }]
  ]
}

/** Runs the peers that are here; says which are not. `change` changes a package, `restore` undoes it. */
export const runPeers = async (
  peers: Peers,
  { change, restore }: { readonly change: () => void; readonly restore: () => void }
): Promise<ReadonlyMap<string, Took>> => {
  const all = new Map<string, Took>()
  for (const peer of [age, zip, restic, borg]) {
    if (!has(peer.needs)) {
      console.log(`${peer.needs} is not installed: left out.`)
      continue
    }
    fs.mkdirSync(peers.scratch, { recursive: true })
    for (const [name, took] of await peer.run(peers, change)) all.set(name, took)
    restore()
    fs.rmSync(peers.scratch, { recursive: true, force: true })
  }
  return all
}

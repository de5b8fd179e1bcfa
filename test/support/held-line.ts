/** A line to central that can be held: bytes stop where the test says, until it lets them go on. */
import { connect, createServer, type Socket } from "node:net"
import { Deferred, Effect } from "effect"

export interface HeldLine {
  /** The address by which central is to be known. */
  readonly url: string
  /** Leads each next connection to the next of these ports, and ends those that are open. */
  readonly lead: (...ports: ReadonlyArray<number>) => void
  /** Stops after so many more bytes from central; the effect ends when they have passed. */
  readonly hold: (bytes: number) => Effect.Effect<Effect.Effect<void>>
  readonly release: () => void
  /** Takes no more connections, as a machine on which nothing listens. */
  readonly cut: () => void
}

/** Opens a line, which closes with the scope. */
export const heldLine = Effect.gen(function* () {
  const sockets = new Set<Socket>()
  const stopped = new Set<Socket>()
  const targets: Array<number> = []
  let left = Number.POSITIVE_INFINITY
  let reached: Deferred.Deferred<void> | undefined
  const carry = (near: Socket) => {
    const [target = 0] = targets
    targets.push(...targets.splice(0, 1))
    const far = connect(target, "127.0.0.1")
    for (const [from, to] of [
      [near, far],
      [far, near]
    ] as const) {
      sockets.add(from)
      from.on("error", () => {})
      from.on("close", () => {
        sockets.delete(from)
        stopped.delete(from)
        to.destroy()
      })
    }
    near.on("data", (bytes) => far.write(bytes))
    far.on("data", (bytes) => {
      near.write(bytes)
      left -= bytes.byteLength
      if (left > 0) return
      far.pause()
      stopped.add(far)
      if (reached !== undefined) Deferred.doneUnsafe(reached, Effect.void)
    })
  }
  const server = yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer(carry)
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
  )
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const line: HeldLine = {
    url: `https://127.0.0.1:${port}`,
    lead: (...ports) => {
      targets.splice(0, targets.length, ...ports)
      for (const socket of sockets) socket.destroy()
    },
    hold: Effect.fnUntraced(function* (bytes) {
      const here = yield* Deferred.make<void>()
      reached = here
      left = bytes
      return Deferred.await(here)
    }),
    release: () => {
      left = Number.POSITIVE_INFINITY
      for (const socket of stopped) socket.resume()
      stopped.clear()
    },
    cut: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }
  return line
})

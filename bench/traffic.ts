/**
 * Counts what a process serves: HTTP requests, and bytes over its listening sockets in both
 * directions. It listens on Node's own diagnostics channels, so that it costs the measured program
 * nothing and works for any server in the process, with or without TLS.
 */
import { subscribe } from "node:diagnostics_channel"
import type { Socket } from "node:net"

export interface Traffic {
  readonly bytes: number
  readonly requests: number
}

/** Starts counting; must be called before the server listens. Answers a reader of the totals. */
export const countTraffic = (): (() => Traffic) => {
  const sockets = new Set<Socket>()
  let closed = 0
  let requests = 0
  subscribe("net.server.socket", (message) => {
    // The channel's message is untyped; Node documents it as { socket: net.Socket }.
    const { socket } = message as { socket: Socket }
    sockets.add(socket)
    socket.once("close", () => {
      closed += socket.bytesRead + socket.bytesWritten
      sockets.delete(socket)
    })
  })
  subscribe("http.server.request.start", () => {
    requests += 1
  })
  return () => {
    let bytes = closed
    for (const socket of sockets) bytes += socket.bytesRead + socket.bytesWritten
    return { bytes, requests }
  }
}

/** What passed between two readings. */
export const between = (before: Traffic, after: Traffic): Traffic => ({
  bytes: after.bytes - before.bytes,
  requests: after.requests - before.requests
})

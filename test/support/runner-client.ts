/** A test runner of few words: plain HTTP to a device's door, as any other runner speaks it. */
import { Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import type { Known } from "../../application/play-ports.ts"
import { layerQuiet } from "../../entrypoints/central-server.ts"
import * as DeviceServer from "../../entrypoints/device-server.ts"

export interface Told {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly bytes: Buffer
  /** The answer's JSON, if it is any; unchecked, since its form is what is tested. */
  readonly json: Said
}

/** What tests look for in answers. */
export interface Said {
  readonly [member: string]: unknown
  readonly code?: string
  readonly token?: string
  readonly execution?: string
  readonly stage?: string
  readonly deliveries?: ReadonlyArray<Said>
  readonly sessions?: ReadonlyArray<Said>
  readonly files?: ReadonlyArray<{ readonly path: string; readonly size: number }>
  readonly parts?: ReadonlyArray<Said>
  /** What was drawn for a test-taker. */
  readonly templates?: ReadonlyArray<Known>
  readonly paths?: Readonly<Record<string, unknown>>
}

/** The address of a door over the ports of whoever runs this; open as long as the scope. */
export const openDoor = (options: Partial<DeviceServer.DeviceServerOptions> = {}) =>
  Effect.gen(function* () {
    const built = yield* Layer.build(
      DeviceServer.layer({
        host: "127.0.0.1",
        port: 0,
        tls: undefined,
        grace: "1 second",
        ...options
      }).pipe(Layer.provide(layerQuiet))
    )
    const { address } = yield* Effect.provideContext(HttpServer.HttpServer, built)
    return `http://127.0.0.1:${"port" in address ? address.port : 0}`
  })

export const ask = (
  base: string,
  method: string,
  path: string,
  options: {
    readonly token?: string | undefined
    readonly body?: unknown
    readonly headers?: Record<string, string>
  } = {}
) =>
  Effect.promise(async (): Promise<Told> => {
    const answer = await fetch(base + path, {
      method,
      headers: {
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...(options.body === undefined ? {} : { "content-type": "application/json" }),
        ...options.headers
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) })
    })
    const bytes = Buffer.from(await answer.arrayBuffer())
    const text = bytes.toString("utf8")
    const isJson = /json/u.test(answer.headers.get("content-type") ?? "")
    const json: Said = isJson ? JSON.parse(text) : {}
    return { status: answer.status, headers: answer.headers, text, bytes, json }
  })

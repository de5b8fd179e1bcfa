/** Knocks at the office's door as somebody who has logged in there. */
import { Effect } from "effect"
import { type Answer, Door } from "./door.ts"
import { PASSWORD } from "./office-desk.ts"

/** What a page of ours says of itself with every write. */
export const PAGE = { "testferry-page": "1", "content-type": "application/json" }

/** By the port of the door, and by login: files may share this module. */
const cookies = new Map<string, string>()
export const cookieOf = Effect.fnUntraced(function* (login: string) {
  const door = yield* Door
  const who = `${door.port} ${login}`
  const known = cookies.get(who)
  if (known !== undefined) return known
  const answer = yield* door.knock({
    method: "POST",
    path: "/office/v1/login",
    headers: PAGE,
    body: JSON.stringify({ login, password: PASSWORD })
  })
  const cookie = answer.headers["set-cookie"]?.[0]?.split(";")[0] ?? ""
  cookies.set(who, cookie)
  return cookie
})

export const get = Effect.fnUntraced(function* (path: string, login = "root") {
  const door = yield* Door
  const cookie = yield* cookieOf(login)
  return yield* door.knock({ path: `/office/v1/${path}`, headers: { cookie } })
})

export const post = Effect.fnUntraced(function* (
  path: string,
  body: unknown,
  { headers = {}, login = "root" }: { headers?: Record<string, string>; login?: string } = {}
) {
  const door = yield* Door
  const cookie = yield* cookieOf(login)
  return yield* door.knock({
    method: "POST",
    path: `/office/v1/${path}`,
    headers: { ...PAGE, cookie, ...headers },
    body: JSON.stringify(body)
  })
})

export const code = ({ json, status }: Answer) => [status, json?.code]

/** The form of these rows is what is tested. */
export const rows = <Row>(found: unknown) => found as ReadonlyArray<Row>

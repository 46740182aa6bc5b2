/** The client of a load: posts a turn and reads its server-sent events, cheap enough not to be what limits. */
import { Agent, type IncomingMessage, request } from "node:http"

/** Milliseconds since 1970 with parts of one, as the upstream stamps its deltas. */
export const now = (): number => performance.timeOrigin + performance.now()

export interface Delta {
  readonly text: string
  /** When it was read, by `now`. */
  readonly at: number
}

export interface Ask {
  readonly url: string
  readonly body: unknown
  readonly accept?: string
  /** What an event's data shows to a user, or undefined. */
  readonly textOf: (data: string) => string | undefined
  readonly onDelta?: ((delta: Delta) => void) | undefined
}

export interface Seen {
  /** From the request. */
  readonly firstMs: number
  readonly wholeMs: number
  readonly characters: number
}

/** Idle connections are dropped long before a server does that (Node: 5 s), which would meet a request on its way. */
const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 1024, timeout: 2_000 })

const open = ({ accept, body, url }: Ask): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const payload = JSON.stringify(body)
    const headers = {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(payload),
      ...(accept === undefined ? {} : { accept })
    }
    request(url, { method: "POST", agent, headers }, resolve).on("error", reject).end(payload)
  })

/** Fails where the answer is no success or its connection breaks. */
export const read = async (ask: Ask): Promise<Seen> => {
  const begun = now()
  const response = await open(ask)
  response.setEncoding("utf8")
  if (response.statusCode !== 200) {
    let said = ""
    for await (const text of response) said += text
    throw new Error(`${ask.url} answered ${response.statusCode}: ${said.slice(0, 500)}`)
  }
  let first = Number.NaN
  let characters = 0
  let rest = ""
  for await (const part of response) {
    const at = now()
    const text = rest + String(part)
    let from = 0
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", from)) {
      const said = text.startsWith("data:", from) ? ask.textOf(text.slice(from + 5, end)) : undefined
      from = end + 1
      if (said === undefined || said === "") continue
      if (characters === 0) first = at
      characters += said.length
      ask.onDelta?.({ text: said, at })
    }
    rest = text.slice(from)
  }
  return { firstMs: first - begun, wholeMs: now() - begun, characters }
}

/** A small request: what it answers, as JSON. */
export const call = async (method: "GET" | "POST", url: string, body?: unknown): Promise<unknown> => {
  const response = await fetch(url, {
    method,
    ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
  })
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${(await response.text()).slice(0, 500)}`)
  return response.json()
}

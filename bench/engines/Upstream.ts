/** The provider of the benchmark (`servers/upstream.mjs`), as the loads ask it. */
import * as Program from "../kit/Program.ts"
import { call } from "./TurnReader.ts"

/** Characters of every delta. */
export const deltaLength = 16

/** How a call is answered, in the model's name. */
export interface Script {
  readonly deltas: number
  /** Milliseconds between two; 0: as fast as they are taken. */
  readonly everyMs?: number
  /** A name under which the upstream keeps how the call went: letters and digits. */
  readonly tag?: string
}

export const modelOf = ({ deltas, everyMs = 0, tag }: Script): string =>
  `n${deltas}-p${everyMs}${tag === undefined ? "" : `-x${tag}`}`

/** When a paced delta was sent, by `TurnReader.now`. */
export const sentAt = (delta: string): number => Number(delta) / 10

export interface Call {
  /** That were sent with it. */
  readonly messages: number
  readonly finished: boolean
  /** When its socket closed, by `TurnReader.now`. */
  readonly closedAt: number | null
}

export interface Upstream {
  readonly url: string
  readonly callOf: (tag: string) => Promise<Call | null>
}

export const start = async (): Promise<Upstream> => {
  const { url } = await Program.start({ file: Program.server("upstream"), folder: Program.freshFolder() })
  return { url, callOf: async (tag) => await call("GET", `${url}/calls/${tag}`) as Call | null }
}

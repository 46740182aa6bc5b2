/** The hand-written floor (`servers/floor.mjs`). */
import * as Program from "../kit/Program.ts"
import { type Engine, type Message, question } from "./Engine.ts"
import { call, read } from "./TurnReader.ts"
import { modelOf } from "./Upstream.ts"

const delta = '{"type":"delta","text":'

const textOf = (data: string): string | undefined =>
  data.includes(delta) ? (JSON.parse(data) as { readonly text: string }).text : undefined

let sessions = 0

export const engine: Engine = {
  name: "floor",
  start: async (upstream, folder) => {
    const env = { UPSTREAM: upstream.url, DATA_DIR: folder }
    const program = await Program.start({ file: Program.server("floor"), env, folder })
    const session = async () => `s${++sessions}`
    return {
      program,
      session,
      seeded: async (messages) => {
        const id = await session()
        await call("POST", `${program.url}/seed/${id}`, messages)
        return id
      },
      turn: ({ onDelta, session, ...script }) =>
        read({
          url: `${program.url}/turns/${session}`,
          body: { message: question, model: modelOf(script) },
          textOf,
          onDelta
        }),
      cancel: async (session) => {
        await call("POST", `${program.url}/cancel/${session}`)
      },
      lastText: async (session) => {
        const messages = await call("GET", `${program.url}/sessions/${session}`) as ReadonlyArray<Message>
        const last = messages.at(-1)
        return last?.role === "assistant" ? last.text : ""
      }
    }
  }
}

/** The built service, on a live provider of the family `openai-compatible`, in one of its two durability modes. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Program from "../kit/Program.ts"
import { type Engine, question } from "./Engine.ts"
import { call, read } from "./TurnReader.ts"
import { modelOf, type Upstream } from "./Upstream.ts"

interface Envelope {
  readonly turnId: string
  readonly seq: number
  readonly type: string
  readonly data: { readonly kind?: string; readonly text?: string }
}

interface Page {
  readonly items: ReadonlyArray<{
    readonly role: string
    readonly parts: ReadonlyArray<{ readonly type: string; readonly text?: string }>
  }>
}

/** Nothing of a load is refused, and all of a history fits. */
const configOf = (upstream: Upstream) => ({
  defaults: { provider: "upstream", model: "n20-p0" },
  network: { live: true, allowLoopback: true },
  limits: { runningTurns: 1_000, eventStreams: 1_000 },
  providers: [{
    id: "upstream",
    family: "openai-compatible",
    baseUrl: `${upstream.url}/v1`,
    models: "any",
    contextWindow: 2_000_000,
    maxOutputTokens: 8_192
  }]
})

const idOf = (resource: unknown): string => (resource as { readonly id: string }).id

const part = (text: string) => [{ type: "text", text }]

export const engine = (durability: "relaxed" | "full"): Engine => ({
  name: durability,
  start: async (upstream, folder) => {
    const config = Path.join(folder, "config.json")
    Fs.writeFileSync(config, JSON.stringify(configOf(upstream)))
    const program = await Program.start({
      file: Program.service,
      args: ["serve"],
      env: {
        TURNSTREAM_CONFIG: config,
        TURNSTREAM_DATA_DIR: folder,
        TURNSTREAM_DURABILITY: durability,
        TURNSTREAM_PORT: "0"
      },
      folder
    })
    const sessions = `${program.url}/v1/sessions`
    const running = new Map<string, string>()
    return {
      program,
      session: async () => idOf(await call("POST", sessions, {})),
      seeded: async (messages) => {
        const imported = messages.map(({ role, text }) => ({ role, parts: part(text) }))
        return idOf(await call("POST", `${sessions}/import`, { v: 1, session: {}, messages: imported }))
      },
      turn: ({ onDelta, session, ...script }) =>
        read({
          url: `${sessions}/${session}/turns`,
          body: { message: question, model: modelOf(script) },
          accept: "text/event-stream",
          textOf: (data) => {
            const event = JSON.parse(data) as Envelope
            if (event.seq === 1) running.set(session, event.turnId)
            return event.type === "model.delta" ? event.data.text : undefined
          },
          onDelta
        }),
      cancel: async (session) => {
        await call("POST", `${program.url}/v1/turns/${running.get(session)}/cancel`, {})
      },
      lastText: async (session) => {
        const { items } = await call("GET", `${sessions}/${session}/messages?limit=10000`) as Page
        const last = items.at(-1)
        return last?.role === "assistant" ? last.parts.map(({ text = "" }) => text).join("") : ""
      }
    }
  }
})

/** Ollama's chat as it would stream it; nothing here was recorded. */
import { family } from "../../../src/provider/families/Ollama.ts"
import { bytesOf, type FamilyWire } from "./decoding.ts"

export const line = (fields: object): Uint8Array => bytesOf(`${JSON.stringify(fields)}\n`)

export const said = (message: object, rest: object = {}) => ({
  model: "m",
  created_at: "2030-01-01T00:00:00Z",
  message: { role: "assistant", content: "", ...message },
  done: false,
  ...rest
})

export const text = (content: string) => said({ content })

export const call = (name: string, args: unknown, id?: string) => ({
  ...(id === undefined ? {} : { id }),
  function: { name, arguments: args }
})

export const calls = (...tool_calls: ReadonlyArray<object>) => said({ tool_calls })

export const counts = { prompt_eval_count: 11, eval_count: 7 }

export const done = (done_reason: string | null | undefined, rest: object = counts) =>
  said({}, { done: true, ...(done_reason === undefined ? {} : { done_reason }), ...rest })

export const wire: FamilyWire = {
  family,
  contentType: "application/x-ndjson",
  answeredBy: "m",
  answer: (texts) => [...texts.map(text), done("stop")].map(line),
  endFrames: 1,
  toolCall: (id, name, pieces) => [calls(call(name, JSON.parse(pieces.join("")), id)), done("stop")].map(line),
  overloaded: line({ error: "server busy, try again", StatusCode: 503, Status: "503 Service Unavailable" }),
  errorBody: (message) => JSON.stringify({ error: message })
}

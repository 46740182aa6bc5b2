/** Chat completions as a server would say them; nothing here was recorded. */
import { family } from "../../../src/provider/families/OpenAiChat.ts"
import { bytesOf, type FamilyWire } from "./decoding.ts"

export const sse = (data: unknown): Uint8Array =>
  bytesOf(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`)

export const chunk = (delta: object, rest: object = {}) => ({
  id: "c1",
  object: "chat.completion.chunk",
  model: "m",
  choices: [{ index: 0, delta, finish_reason: null, ...rest }]
})

/** One piece of a tool call; absent fields are not on the wire. */
export const callPiece = (fields: object, called: object) =>
  chunk({ tool_calls: [{ ...fields, type: "function", function: called }] })

export const finish = (reason: string) => chunk({}, { finish_reason: reason })

export const usage = (fields: object) => ({ id: "c1", object: "chat.completion.chunk", choices: [], usage: fields })

export const done = "[DONE]"

export const wire: FamilyWire = {
  family,
  contentType: "text/event-stream",
  answeredBy: "m",
  answer: (texts) =>
    [
      chunk({ role: "assistant", content: "" }),
      ...texts.map((content) => chunk({ content })),
      finish("stop"),
      usage({ prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 }),
      done
    ].map(sse),
  endFrames: 3,
  toolCall: (id, name, pieces) =>
    [
      chunk({ role: "assistant", content: null }),
      chunk({ tool_calls: [{ index: 0, id, type: "function", function: { name, arguments: "" } }] }),
      ...pieces.map((piece) => chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
      finish("tool_calls"),
      done
    ].map(sse),
  overloaded: sse({ error: { message: "try later", type: "server_error", code: "server_is_overloaded" } }),
  errorBody: (message) => JSON.stringify({ error: { message, type: "some_error", param: null, code: null } })
}

/** Responses as a server would stream them; nothing here was recorded. */
import { family } from "../../../src/provider/families/OpenAiResponses.ts"
import { bytesOf, type FamilyWire } from "./decoding.ts"

export type Event = { readonly type: string } & Readonly<Record<string, unknown>>

export const sse = (event: Event): Uint8Array => bytesOf(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)

export const text = (delta: string, index = 0): Event => ({
  type: "response.output_text.delta",
  item_id: `item_${index}`,
  output_index: index,
  content_index: 0,
  delta
})

export const reasoning = (kind: "summary" | "text", delta: string, index = 0): Event => ({
  type: kind === "summary" ? "response.reasoning_summary_text.delta" : "response.reasoning_text.delta",
  item_id: `item_${index}`,
  output_index: index,
  delta
})

export const call = (callId: string, name: string, json: string, rest: object = {}) => ({
  type: "function_call",
  id: `fc_${callId}`,
  call_id: callId,
  name,
  arguments: json,
  status: "completed",
  ...rest
})

export const message = (said: string, rest: object = {}) => ({
  type: "message",
  id: "msg_1",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", annotations: [], text: said }],
  ...rest
})

export const added = (index: number, item: object): Event => ({
  type: "response.output_item.added",
  output_index: index,
  item
})

export const done = (index: number, item: object): Event => ({
  type: "response.output_item.done",
  output_index: index,
  item
})

export const input = (index: number, delta: string): Event => ({
  type: "response.function_call_arguments.delta",
  item_id: `item_${index}`,
  output_index: index,
  delta
})

export const inputDone = (index: number, json: string): Event => ({
  type: "response.function_call_arguments.done",
  item_id: `item_${index}`,
  output_index: index,
  arguments: json
})

/** A call as OpenAI streams it. */
export const streamedCall = (index: number, callId: string, name: string, pieces: ReadonlyArray<string>) => [
  added(index, call(callId, name, "", { status: "in_progress" })),
  ...pieces.map((piece) => input(index, piece)),
  inputDone(index, pieces.join("")),
  done(index, call(callId, name, pieces.join("")))
]

export const usage = { input_tokens: 11, output_tokens: 7, total_tokens: 18 }

export const response = (status: string, rest: object = {}) => ({
  id: "resp_1",
  object: "response",
  model: "m",
  status,
  error: null,
  incomplete_details: null,
  output: [],
  usage: null,
  ...rest
})

export const created: Event = { type: "response.created", response: response("in_progress") }

export const ended = (word: "completed" | "incomplete" | "failed", rest: object = {}): Event => ({
  type: `response.${word}`,
  response: response(word, rest)
})

export const completed = ended("completed", { usage })

export const wire: FamilyWire = {
  family,
  contentType: "text/event-stream",
  answeredBy: "m",
  answer: (texts) =>
    [
      created,
      added(0, message("", { status: "in_progress", content: [] })),
      ...texts.map((delta) => text(delta)),
      done(0, message(texts.join(""))),
      ended("completed", { usage, output: [message(texts.join(""))] })
    ].map(sse),
  endFrames: 1,
  toolCall: (id, name, pieces) =>
    [
      created,
      ...streamedCall(0, id, name, pieces),
      ended("completed", { usage, output: [call(id, name, pieces.join(""))] })
    ].map(sse),
  overloaded: sse({ type: "error", code: "server_is_overloaded", message: "try later", param: null }),
  errorBody: (message) => JSON.stringify({ error: { message, type: "some_error", param: null, code: null } })
}

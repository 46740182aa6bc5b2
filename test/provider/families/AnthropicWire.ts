/** Answers of the Messages API as a server would say them; nothing here was recorded. */
import { family } from "../../../src/provider/families/Anthropic.ts"
import { bytesOf, type FamilyWire } from "./decoding.ts"

export type Body = { readonly type: string } & { readonly [key: string]: unknown }

export const event = (body: Body): Uint8Array => bytesOf(`event: ${body.type}\ndata: ${JSON.stringify(body)}\n\n`)

export const start = (usage: unknown = { input_tokens: 11, output_tokens: 1 }, rest: object = {}): Body => ({
  type: "message_start",
  message: {
    id: "msg_a",
    type: "message",
    role: "assistant",
    model: "m",
    content: [],
    stop_reason: null,
    usage,
    ...rest
  }
})

export const open = (index: number, block: Body): Body => ({ type: "content_block_start", index, content_block: block })

export const delta = (index: number, body: Body): Body => ({ type: "content_block_delta", index, delta: body })

export const text = (index: number, value: string): Body => delta(index, { type: "text_delta", text: value })

export const json = (index: number, value: string): Body =>
  delta(index, { type: "input_json_delta", partial_json: value })

export const close = (index: number): Body => ({ type: "content_block_stop", index })

export const reason = (stop: string | null, usage: unknown = { output_tokens: 7 }): Body => ({
  type: "message_delta",
  delta: { stop_reason: stop, stop_sequence: null },
  usage
})

export const stop: Body = { type: "message_stop" }

export const ping: Body = { type: "ping" }

export const textBlock = (index: number, ...texts: ReadonlyArray<string>): ReadonlyArray<Body> => [
  open(index, { type: "text", text: "" }),
  ...texts.map((value) => text(index, value)),
  close(index)
]

export const tool = (id: string, name: string, input: unknown = {}): Body => ({ type: "tool_use", id, name, input })

export const toolBlock = (index: number, block: Body, ...pieces: ReadonlyArray<string>): ReadonlyArray<Body> => [
  open(index, block),
  ...pieces.map((piece) => json(index, piece)),
  close(index)
]

export const wire: FamilyWire = {
  family,
  contentType: "text/event-stream; charset=utf-8",
  answeredBy: "m",
  answer: (texts) =>
    [
      start(),
      open(0, { type: "text", text: "" }),
      ...texts.map((value) => text(0, value)),
      close(0),
      reason("end_turn"),
      stop
    ].map(event),
  endFrames: 1,
  toolCall: (id, name, pieces) =>
    [
      start(),
      open(0, tool(id, name)),
      ...["", ...pieces].map((piece) => json(0, piece)),
      close(0),
      reason("tool_use"),
      stop
    ].map(event),
  overloaded: event({ type: "error", error: { type: "overloaded_error", message: "try later" } }),
  errorBody: (message) => JSON.stringify({ type: "error", error: { type: "invalid_request_error", message } })
}

/** ConverseStream messages as the service would send them; nothing here was recorded. */
import { EventStreamCodec } from "@smithy/eventstream-codec"
import { family } from "../../../src/provider/families/Bedrock.ts"
import { bytesOf, type FamilyWire } from "./decoding.ts"

const codec = new EventStreamCodec((bytes) => Buffer.from(bytes).toString("utf8"), bytesOf)

/** A whole message with string headers; a body that is not bytes is sent as JSON. */
export const message = (headers: Readonly<Record<string, string>>, body: unknown): Uint8Array =>
  codec.encode({
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, { type: "string", value }])),
    body: body instanceof Uint8Array ? body : bytesOf(JSON.stringify(body))
  })

/** With the padding that the service adds to each payload. */
export const event = (type: string, payload: object): Uint8Array =>
  message(
    { ":event-type": type, ":content-type": "application/json", ":message-type": "event" },
    { ...payload, p: "abcdefghijkl" }
  )

export const exception = (type: string, payload: unknown): Uint8Array =>
  message(
    { ":exception-type": type, ":content-type": "application/json", ":message-type": "exception" },
    payload
  )

export const error = (code: string, text: string): Uint8Array =>
  message({ ":message-type": "error", ":error-code": code, ":error-message": text }, new Uint8Array(0))

export const begin = event("messageStart", { role: "assistant" })

export const blockStart = (index: number, start: object) =>
  event("contentBlockStart", { contentBlockIndex: index, start })

export const toolStart = (index: number, toolUseId: string, name: string, rest: object = {}) =>
  blockStart(index, { toolUse: { toolUseId, name, ...rest } })

export const delta = (index: number, said: object) =>
  event("contentBlockDelta", { contentBlockIndex: index, delta: said })

export const text = (said: string, index = 0) => delta(index, { text: said })

export const input = (index: number, json: string) => delta(index, { toolUse: { input: json } })

export const blockStop = (index = 0) => event("contentBlockStop", { contentBlockIndex: index })

export const stop = (stopReason: string) => event("messageStop", { stopReason })

export const metadata = (usage?: object) =>
  event("metadata", { metrics: { latencyMs: 41 }, ...(usage === undefined ? {} : { usage }) })

export const counted = metadata({ inputTokens: 11, outputTokens: 7, totalTokens: 18 })

export const wire: FamilyWire = {
  family,
  contentType: "application/vnd.amazon.eventstream",
  answeredBy: undefined,
  answer: (texts) => [begin, ...texts.map((said) => text(said)), blockStop(), stop("end_turn"), counted],
  endFrames: 2,
  toolCall: (id, name, pieces) => [
    begin,
    toolStart(0, id, name),
    ...pieces.map((piece) => input(0, piece)),
    blockStop(),
    stop("tool_use"),
    counted
  ],
  overloaded: exception("serviceUnavailableException", { message: "too busy, come back later" }),
  errorBody: (said) => JSON.stringify({ message: said })
}

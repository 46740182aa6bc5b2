/** One call of chat completions as JSON. What differs between the servers that speak it is in `quirks`. Pure. */
import { type Call, type CallInput, under } from "../Family.ts"
import type { GenerationOptions } from "../Provider.ts"
import * as Growing from "../wire/Growing.ts"
import * as Prompt from "../wire/Prompt.ts"

type Message = Readonly<Record<string, unknown>>

const userMessages = (entry: Prompt.Entry): ReadonlyArray<Message> => {
  const said = Prompt.textsOf(entry)
  return [
    ...entry.blocks.flatMap((block) =>
      block.type === "result" ? [{ role: "tool", tool_call_id: block.id, content: block.content }] : []
    ),
    ...(said.length === 0
      ? []
      : [{ role: "user", content: said.length === 1 ? said[0] : said.map((text) => ({ type: "text", text })) }])
  ]
}

const assistantMessage = (entry: Prompt.Entry): Message => {
  const said = Prompt.textsOf(entry).join("")
  const calls = entry.blocks.flatMap((block) =>
    block.type === "call"
      ? [{
        id: block.id,
        type: "function",
        function: { name: block.name, arguments: JSON.stringify(block.arguments ?? {}) }
      }]
      : []
  )
  return { role: "assistant", content: said === "" ? null : said, ...(calls.length === 0 ? {} : { tool_calls: calls }) }
}

const entryMessages = (entry: Prompt.Entry): ReadonlyArray<Message> =>
  entry.role === "user" ? userMessages(entry) : [assistantMessage(entry)]

const growing = Growing.make<Prompt.Entry, Message>(Prompt.isText)

const messagesOf = ({ facts, request }: CallInput): ReadonlyArray<Message> => {
  const entries = Prompt.forModel(request.messages, facts.capabilities.prefix)
  const messages = growing(entries, entryMessages)
  const { prefixField } = facts.quirks
  const last = messages.at(-1)
  const asked = prefixField !== undefined && last !== undefined && Prompt.endsWithPrefix(entries)
    ? messages.with(messages.length - 1, { ...last, [prefixField]: true })
    : messages
  return request.system === undefined ? asked : [{ role: "system", content: request.system }, ...asked]
}

const reasoningOf = (
  reasoning: GenerationOptions["reasoning"],
  { capabilities, quirks }: CallInput["facts"]
): Readonly<Record<string, unknown>> => {
  if (reasoning === undefined || !capabilities.reasoning) return {}
  const off = reasoning === "off"
  switch (quirks.reasoning) {
    case "object":
      return { reasoning: off ? { enabled: false } : { effort: reasoning } }
    case "thinking":
      return { thinking: { type: off ? "disabled" : "enabled" } }
    case "enable_thinking":
      return { enable_thinking: !off }
    case "none":
      return {}
    default:
      return { reasoning_effort: off ? "none" : reasoning }
  }
}

export const encode = (input: CallInput): Call => {
  const { facts, request } = input
  const { maxOutputTokens, reasoning, temperature } = request.generation
  return {
    url: under(facts.baseUrl, "/chat/completions"),
    headers: { accept: "text/event-stream" },
    body: {
      model: request.model,
      messages: messagesOf(input),
      stream: true,
      ...(facts.quirks.streamOptions === false ? {} : { stream_options: { include_usage: true } }),
      ...(temperature === undefined ? {} : { temperature }),
      ...(maxOutputTokens === undefined ? {} : { [facts.quirks.maxTokensField ?? "max_tokens"]: maxOutputTokens }),
      ...reasoningOf(reasoning, facts)
    }
  }
}

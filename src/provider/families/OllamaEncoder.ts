/**
 * One call of Ollama's chat as JSON. A last message of the assistant is continued by it, so that a resumed answer goes as
 * it is. `num_ctx` is the window that the context was built for: by its own default the server cuts a longer prompt and
 * says nothing. Pure.
 */
import { type Call, type CallInput, under } from "../Family.ts"
import * as Growing from "../wire/Growing.ts"
import * as Prompt from "../wire/Prompt.ts"

type Fields = Readonly<Record<string, unknown>>

const userMessages = (entry: Prompt.Entry): ReadonlyArray<Fields> => {
  const said = Prompt.textsOf(entry)
  return [
    ...entry.blocks.flatMap((block) =>
      block.type === "result" ? [{ role: "tool", tool_name: block.name, content: block.content }] : []
    ),
    // what Ollama itself puts between messages of one role
    ...(said.length === 0 ? [] : [{ role: "user", content: said.join("\n\n") }])
  ]
}

const assistantMessage = (entry: Prompt.Entry): Fields => {
  const calls = entry.blocks.flatMap((block) =>
    block.type === "call"
      ? [{ function: { name: block.name, arguments: Prompt.objectArguments(block.arguments) } }]
      : []
  )
  return {
    role: "assistant",
    content: Prompt.textsOf(entry).join(""),
    ...(calls.length === 0 ? {} : { tool_calls: calls })
  }
}

const entryMessages = (entry: Prompt.Entry): ReadonlyArray<Fields> =>
  entry.role === "user" ? userMessages(entry) : [assistantMessage(entry)]

const growing = Growing.make<Prompt.Entry, Fields>(Prompt.isText)

const messagesOf = ({ facts, request }: CallInput): ReadonlyArray<Fields> => {
  const entries = Prompt.forModel(request.messages, facts.capabilities.prefix)
  return [
    ...(request.system === undefined ? [] : [{ role: "system", content: request.system }]),
    ...growing(entries, entryMessages)
  ]
}

/** On or off; gpt-oss takes levels instead, ignores anything else and cannot be turned off, so that off is its lowest. */
const thinkOf = ({ facts, request }: CallInput): Fields => {
  const { reasoning } = request.generation
  if (reasoning === undefined || !facts.capabilities.reasoning) return {}
  if (/gpt-oss/i.test(request.model)) return { think: reasoning === "off" ? "low" : reasoning }
  return { think: reasoning !== "off" }
}

export const encode = (input: CallInput): Call => {
  const { contextWindow, facts, request } = input
  const { maxOutputTokens, temperature } = request.generation
  const options = {
    num_ctx: contextWindow,
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxOutputTokens === undefined ? {} : { num_predict: maxOutputTokens })
  }
  return {
    url: under(facts.baseUrl, "/api/chat"),
    headers: { accept: "application/x-ndjson" },
    body: {
      model: request.model,
      messages: messagesOf(input),
      stream: true,
      ...thinkOf(input),
      options
    }
  }
}

/**
 * A call of the Messages API. The API refuses what others accept, so the history is bent to its rules: the user speaks
 * first, text is never blank and an answer to continue does not end in white space, ids and names of tools have a narrow
 * alphabet, ids are unique, a call's input is an object, and who shows calls must define tools. Content is always a list
 * of blocks. Pure.
 */
import type { PromptMessage } from "../../domain/Message.ts"
import { type Call, type CallInput, under } from "../Family.ts"
import * as Growing from "../wire/Growing.ts"
import type { JsonObject } from "../wire/Json.ts"
import * as Prompt from "../wire/Prompt.ts"
import * as ClaudeThinking from "./ClaudeThinking.ts"

/** Letters of an id and of a tool's name, and the longest of each. */
const foreign = /[^a-zA-Z0-9_-]/g
const idCharsMax = 256
const nameCharsMax = 128

const isBlank = (text: string): boolean => text.trim() === ""

/**
 * Without blank text, which the API refuses. A user who sent nothing else keeps it: the refusal says what is wrong,
 * while leaving it out would have the model continue its own last answer.
 */
const spoken = (message: PromptMessage): PromptMessage => {
  const parts = message.parts.filter((part) => part.type !== "text" || !isBlank(part.text))
  return message.role === "user" && parts.length === 0 ? message : { ...message, parts }
}

const growingSpoken = Growing.make<PromptMessage, PromptMessage>()

/** The names of calls depend on those before. */
const growing = Growing.make<Prompt.Entry, JsonObject>(Prompt.isText)

const messagesOf = (
  entries: ReadonlyArray<Prompt.Entry>,
  toolName: (name: string) => string
): ReadonlyArray<JsonObject> => {
  const id = Prompt.naming(foreign, idCharsMax, "_")
  const encoded = (block: Prompt.Block): JsonObject => {
    switch (block.type) {
      case "text":
        return { type: "text", text: block.text }
      case "call":
        return {
          type: "tool_use",
          id: id(block.id),
          name: toolName(block.name),
          input: Prompt.objectArguments(block.arguments)
        }
      case "result":
        return { type: "tool_result", tool_use_id: id(block.id), content: block.content }
    }
  }
  return growing(entries, ({ blocks, role }) => [{ role, content: blocks.map(encoded) }])
}

export const encode = (input: CallInput): Call => {
  const { facts, maxOutputTokens, request } = input
  const { entries: history, trimmed } = Prompt.trimmedPrefix(
    Prompt.fromMessages(growingSpoken(request.messages, (message) => [spoken(message)]))
  )
  const thinking = ClaudeThinking.fields(input, history, maxOutputTokens)
  // a model that thinks begins with its thoughts, so the API takes no beginning of an answer from us
  const continues = facts.capabilities.prefix && thinking === undefined
  const entries = Prompt.startingWithUser(continues ? history : Prompt.askingToContinue(history))
  const toolName = Prompt.naming(foreign, nameCharsMax, "_")
  const tools = Prompt.toolNames(entries).map(toolName)
  const { temperature } = request.generation
  return {
    url: under(facts.baseUrl, "/v1/messages"),
    headers: { "anthropic-version": "2023-06-01", "accept": "text/event-stream" },
    body: {
      model: request.model,
      max_tokens: maxOutputTokens,
      stream: true,
      ...(request.system === undefined || isBlank(request.system) ? {} : { system: request.system }),
      messages: messagesOf(entries, toolName),
      ...(tools.length === 0 ? {} : { tools: tools.map((name) => ({ name, input_schema: { type: "object" } })) }),
      // the API refuses a temperature beside thinking
      ...(thinking ?? (temperature === undefined ? {} : { temperature }))
    },
    trimmed
  }
}

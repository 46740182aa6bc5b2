/**
 * A call of the Messages API. The API refuses what others accept, so the history is bent to its rules: the user speaks
 * first, text is never blank and an answer to continue does not end in white space, ids and names of tools have a narrow
 * alphabet, ids are unique, a call's input is an object, and who shows calls must define tools. Content is always a list
 * of blocks. Pure.
 */
import type { PromptMessage } from "../../domain/Message.ts"
import { type Call, type CallInput, under } from "../Family.ts"
import type { JsonObject } from "../wire/Json.ts"
import * as Prompt from "../wire/Prompt.ts"
import * as ClaudeThinking from "./ClaudeThinking.ts"

/** The longest name of a tool that the API takes. */
const nameCharsMax = 128

const narrow = (text: string): string => text.replace(/[^a-zA-Z0-9_-]/g, "_") || "_"

const toolName = (name: string): string => narrow(name).slice(0, nameCharsMax)

const isBlank = (text: string): boolean => text.trim() === ""

/**
 * Without blank text, which the API refuses. A user who sent nothing else keeps it: the refusal says what is wrong,
 * while leaving it out would have the model continue its own last answer.
 */
const spoken = (message: PromptMessage): PromptMessage => {
  const parts = message.parts.filter((part) => part.type !== "text" || !isBlank(part.text))
  return message.role === "user" && parts.length === 0 ? message : { ...message, parts }
}

/**
 * Ids of calls as the API takes them, unique in the conversation: some servers count their calls from 0 in every answer.
 * A result belongs to a call of the entry before it, so one answer's ids are all that it has to look up.
 */
const wireIds = () => {
  const used = new Set<string>()
  let ofAnswer = new Map<string, string>()
  return {
    nextAnswer: (): void => {
      ofAnswer = new Map()
    },
    called: (id: string): string => {
      const plain = narrow(id)
      let wireId = plain
      for (let count = 2; used.has(wireId); count++) wireId = `${plain}_${count}`
      used.add(wireId)
      ofAnswer.set(id, wireId)
      return wireId
    },
    answered: (id: string): string => ofAnswer.get(id) ?? narrow(id)
  }
}

const messagesOf = (entries: ReadonlyArray<Prompt.Entry>): ReadonlyArray<JsonObject> => {
  const ids = wireIds()
  const encoded = (block: Prompt.Block): JsonObject => {
    switch (block.type) {
      case "text":
        return { type: "text", text: block.text }
      case "call":
        return {
          type: "tool_use",
          id: ids.called(block.id),
          name: toolName(block.name),
          input: Prompt.objectArguments(block.arguments)
        }
      case "result":
        return { type: "tool_result", tool_use_id: ids.answered(block.id), content: block.content }
    }
  }
  return entries.map(({ blocks, role }) => {
    if (role === "assistant") ids.nextAnswer()
    return { role, content: blocks.map(encoded) }
  })
}

export const encode = (input: CallInput): Call => {
  const { facts, maxOutputTokens, request } = input
  const { entries: history, trimmed } = Prompt.trimmedPrefix(Prompt.fromMessages(request.messages.map(spoken)))
  const thinking = ClaudeThinking.fields(input, history, maxOutputTokens)
  // a model that thinks begins with its thoughts, so the API takes no beginning of an answer from us
  const continues = facts.capabilities.prefix && thinking === undefined
  const entries = Prompt.startingWithUser(continues ? history : Prompt.askingToContinue(history))
  const tools = new Set(Prompt.toolNames(entries).map(toolName))
  const { temperature } = request.generation
  return {
    url: under(facts.baseUrl, "/v1/messages"),
    headers: { "anthropic-version": "2023-06-01", "accept": "text/event-stream" },
    body: {
      model: request.model,
      max_tokens: maxOutputTokens,
      stream: true,
      ...(request.system === undefined || isBlank(request.system) ? {} : { system: request.system }),
      messages: messagesOf(entries),
      ...(tools.size === 0 ? {} : { tools: [...tools].map((name) => ({ name, input_schema: { type: "object" } })) }),
      // the API refuses a temperature beside thinking
      ...(thinking ?? (temperature === undefined ? {} : { temperature }))
    },
    trimmed
  }
}

/**
 * A request to Bedrock's ConverseStream. Pure.
 *
 * Bedrock wants: roles in turn, the user first; no blank text; ids and names of calls in its own letters; arguments that
 * are an object; and a definition of each tool that the history holds, though none may be called.
 */
import { type Call, type CallInput, under } from "../Family.ts"
import * as Growing from "../wire/Growing.ts"
import type { JsonObject } from "../wire/Json.ts"
import * as Prompt from "../wire/Prompt.ts"
import * as ClaudeThinking from "./ClaudeThinking.ts"

/** Of an id and of a tool's name. */
const nameCharsMax = 64

/** Where nothing but blanks was said: a message without content is refused, and so is a blank one. */
const nothingSaid = "(an empty message)"

const isBlank = (block: Prompt.Block): boolean => block.type === "text" && block.text.trim() === ""

type Naming = Readonly<Record<"id" | "tool", (text: string) => string>>

const contentOf = (block: Prompt.Block, { id, tool }: Naming): Readonly<Record<string, unknown>> => {
  switch (block.type) {
    case "text":
      return { text: block.text }
    case "call":
      return {
        toolUse: { toolUseId: id(block.id), name: tool(block.name), input: Prompt.objectArguments(block.arguments) }
      }
    case "result":
      return { toolResult: { toolUseId: id(block.id), content: [{ text: block.content }] } }
  }
}

const messageOf = ({ blocks, role }: Prompt.Entry, naming: Naming) => {
  const said = blocks.filter((block) => !isBlank(block))
  return { role, content: said.length === 0 ? [{ text: nothingSaid }] : said.map((block) => contentOf(block, naming)) }
}

/** The names of calls depend on those before. */
const growing = Growing.make<Prompt.Entry, ReturnType<typeof messageOf>>(Prompt.isText)

const modelFields = ({ facts, request }: CallInput, thinking: JsonObject | undefined) => {
  const { reasoning = "off" } = request.generation
  if (thinking !== undefined) return { additionalModelRequestFields: thinking }
  return facts.capabilities.reasoning && reasoning !== "off" && request.model.includes("openai.gpt-oss")
    ? { additionalModelRequestFields: { reasoning_effort: reasoning } }
    : {}
}

const inferenceConfig = ({ request }: CallInput, isThinking: boolean) => {
  const { maxOutputTokens, temperature } = request.generation
  const config = {
    ...(maxOutputTokens === undefined ? {} : { maxTokens: maxOutputTokens }),
    ...(temperature === undefined || isThinking ? {} : { temperature })
  }
  return Object.keys(config).length === 0 ? {} : { inferenceConfig: config }
}

const toolConfig = (names: ReadonlyArray<string>) =>
  names.length === 0
    ? {}
    : {
      toolConfig: { tools: names.map((name) => ({ toolSpec: { name, inputSchema: { json: { type: "object" } } } })) }
    }

const urlOf = ({ facts, request }: CallInput): string => {
  // half a surrogate pair cannot be percent-encoded; its replacement names no model, and the service says so
  const model = Buffer.from(request.model, "utf8").toString("utf8")
  return under(facts.baseUrl, `/model/${encodeURIComponent(model)}/converse-stream`)
}

export const encode = (input: CallInput): Call => {
  const { facts, request } = input
  const { entries: history, trimmed } = Prompt.trimmedPrefix(Prompt.fromMessages(request.messages))
  const thinking = request.model.includes("anthropic.")
    ? ClaudeThinking.fields(input, history, request.generation.maxOutputTokens)
    : undefined
  const continues = facts.capabilities.prefix && thinking === undefined
  const entries = Prompt.startingWithUser(continues ? history : Prompt.askingToContinue(history))
  const names: Naming = {
    id: Prompt.naming(/[^a-zA-Z0-9_.:-]/g, nameCharsMax, "call"),
    tool: Prompt.naming(/[^a-zA-Z0-9_-]/g, nameCharsMax, "tool")
  }
  return {
    url: urlOf(input),
    headers: { accept: "application/vnd.amazon.eventstream" },
    body: {
      ...(request.system === undefined || request.system.trim() === "" ? {} : { system: [{ text: request.system }] }),
      messages: growing(entries, (entry) => [messageOf(entry, names)]),
      ...inferenceConfig(input, thinking !== undefined),
      ...toolConfig(Prompt.toolNames(entries).map(names.tool)),
      ...modelFields(input, thinking)
    },
    trimmed
  }
}

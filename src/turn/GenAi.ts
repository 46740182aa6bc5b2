/** The names and shapes of OpenTelemetry's GenAI conventions (development status, 2026) for what the engine does. */
import * as Exit from "effect/Exit"
import type { PromptMessage } from "../domain/Message.ts"
import type { Usage } from "../domain/Usage.ts"
import type { ProviderRequest } from "../provider/Provider.ts"

/** The conventions' names of vendors whose id here is another; every other provider goes by its own id. */
const providerNames: ReadonlyMap<string, string> = new Map([
  ["bedrock", "aws.bedrock"],
  ["google", "gcp.gemini"],
  ["mistral", "mistral_ai"],
  ["moonshot", "moonshot_ai"],
  ["xai", "x_ai"]
])

export const providerName = (providerId: string): string => providerNames.get(providerId) ?? providerId

/** How a span says that something failed: by a tag and words that hold nothing of what was sent or said. */
export const failed = (tag: string, message: string): Exit.Exit<never, Error> =>
  Exit.fail(Object.assign(new Error(message), { name: tag, stack: `${tag}: ${message}` }))

type Attributes = Record<string, unknown>
type Redact = (text: string) => string

export const requestAttributes = (providerId: string, sessionId: string, request: ProviderRequest): Attributes => {
  const { maxOutputTokens, reasoning, temperature } = request.generation
  return {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": providerName(providerId),
    "gen_ai.request.model": request.model,
    "gen_ai.request.stream": true,
    "gen_ai.conversation.id": sessionId,
    "turnstream.attempt": request.attempt,
    ...(maxOutputTokens === undefined ? {} : { "gen_ai.request.max_tokens": maxOutputTokens }),
    ...(temperature === undefined ? {} : { "gen_ai.request.temperature": temperature }),
    ...(reasoning === undefined ? {} : { "gen_ai.request.reasoning.level": reasoning })
  }
}

const usageNames = [
  ["inputTokens", "gen_ai.usage.input_tokens"],
  ["outputTokens", "gen_ai.usage.output_tokens"],
  ["cacheReadTokens", "gen_ai.usage.cache_read.input_tokens"],
  ["cacheWriteTokens", "gen_ai.usage.cache_creation.input_tokens"],
  ["reasoningTokens", "gen_ai.usage.reasoning.output_tokens"]
] as const

/** What is known of it. */
export const usageAttributes = (usage: Usage): Attributes =>
  Object.fromEntries(usageNames.flatMap(([field, name]) => usage[field] === null ? [] : [[name, usage[field]]]))

/** Characters of prompt or answer that one attribute holds. */
export const contentMax = 32_768

/** What must not be shown goes first, from each text by itself: a piece of a key would not be known again. */
const shown = (value: unknown, redact: Redact): string => {
  const text = JSON.stringify(value, (_, inner: unknown) => typeof inner === "string" ? redact(inner) : inner)
  return text.length <= contentMax ? text : `${text.slice(0, contentMax)} [cut]`
}

const partOf = (part: PromptMessage["parts"][number]): unknown => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return { type: part.type, content: part.text }
    case "tool-call":
      return { type: "tool_call", id: part.toolCallId, name: part.toolName, arguments: part.arguments }
    case "tool-result":
      return { type: "tool_call_response", id: part.toolCallId, response: part.content }
  }
}

/** What was sent, as JSON; only where the operator asked for it. */
export const promptAttributes = (
  { messages, system }: Pick<ProviderRequest, "messages" | "system">,
  redact: Redact
): Attributes => ({
  ...(system === undefined ? {} : { "gen_ai.system_instructions": shown([{ type: "text", content: system }], redact) }),
  "gen_ai.input.messages": shown(messages.map(({ parts, role }) => ({ role, parts: parts.map(partOf) })), redact)
})

/** What was said, as JSON; likewise. */
export const answerAttributes = (
  parts: PromptMessage["parts"],
  finishReason: string,
  redact: Redact
): Attributes => ({
  "gen_ai.output.messages": shown(
    [{ role: "assistant", parts: parts.map(partOf), finish_reason: finishReason }],
    redact
  )
})

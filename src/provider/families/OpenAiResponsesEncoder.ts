/**
 * One call of the Responses API as JSON. History is sent whole (`store: false`): nothing of a session stays with the
 * vendor, and a call does not depend on an earlier one. Pure.
 */
import { type Call, type CallInput, under } from "../Family.ts"
import type { GenerationOptions } from "../Provider.ts"
import * as Growing from "../wire/Growing.ts"
import * as Prompt from "../wire/Prompt.ts"

type Item = Readonly<Record<string, unknown>>

/** Blocks in their order: texts in a row are one message, a call or a result is an item of its own. */
const itemsOf = ({ blocks, role }: Prompt.Entry): ReadonlyArray<Item> => {
  const items: Array<Item> = []
  let content: Array<Item> | undefined
  for (const block of blocks) {
    if (block.type === "text") {
      if (content === undefined) items.push({ type: "message", role, content: content = [] })
      content.push({ type: role === "user" ? "input_text" : "output_text", text: block.text })
      continue
    }
    content = undefined
    items.push(
      block.type === "call"
        ? {
          type: "function_call",
          call_id: block.id,
          name: block.name,
          arguments: JSON.stringify(block.arguments ?? {})
        }
        : { type: "function_call_output", call_id: block.id, output: block.content }
    )
  }
  return items
}

const growing = Growing.make<Prompt.Entry, Item>(Prompt.isText)

const reasoningOf = (reasoning: GenerationOptions["reasoning"], { capabilities }: CallInput["facts"]): Item => {
  if (reasoning === undefined || !capabilities.reasoning) return {}
  return { reasoning: reasoning === "off" ? { effort: "none" } : { effort: reasoning, summary: "auto" } }
}

export const encode = ({ facts, request }: CallInput): Call => {
  const { maxOutputTokens, reasoning, temperature } = request.generation
  const entries = Prompt.forModel(request.messages, facts.capabilities.prefix)
  return {
    url: under(facts.baseUrl, "/responses"),
    headers: { accept: "text/event-stream" },
    body: {
      model: request.model,
      ...(request.system === undefined ? {} : { instructions: request.system }),
      input: growing(entries, itemsOf),
      stream: true,
      store: false,
      ...(temperature === undefined ? {} : { temperature }),
      ...(maxOutputTokens === undefined ? {} : { max_output_tokens: maxOutputTokens }),
      ...reasoningOf(reasoning, facts)
    }
  }
}

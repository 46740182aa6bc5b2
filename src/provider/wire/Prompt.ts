/**
 * Messages as every vendor accepts them. History holds what happened; a vendor refuses the request where a call has no
 * result, where a result has no call, or where a role speaks twice. So: neighbours of one role are one entry, a call
 * that nobody answered gets a result that says so, a result without its call becomes text. Reasoning is left out: it is
 * bound to the model that gave it. Pure.
 */
import * as Beginnings from "../../domain/Beginnings.ts"
import type { Part, PromptMessage } from "../../domain/Message.ts"
import * as Growing from "./Growing.ts"
import { isObject, type JsonObject } from "./Json.ts"

export type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "call"; readonly id: string; readonly name: string; readonly arguments: unknown }
  | { readonly type: "result"; readonly id: string; readonly name: string; readonly content: string }
export type BlockOf<T extends Block["type"]> = Extract<Block, { readonly type: T }>

/** In an entry of the user, results stand first. */
export interface Entry {
  readonly role: "user" | "assistant"
  readonly blocks: ReadonlyArray<Block>
}

/** Added where a resumed answer cannot be sent as a prefix that the model continues. */
export const continueText =
  "Your last message was cut off. Continue it exactly where it stops. Do not repeat any of it, and do not comment on this."

const noResult = "(no result was given)"

/** Where a conversation begins with an answer and the vendor wants a question first. */
const opening = "(the conversation begins with your message)"
const openingEntry: Entry = { role: "user", blocks: [{ type: "text", text: opening }] }

const contentText = (content: unknown): string => typeof content === "string" ? content : JSON.stringify(content) ?? ""

const blockOf = (part: Part): ReadonlyArray<Block> => {
  switch (part.type) {
    case "text":
      return part.text === "" ? [] : [part]
    case "reasoning":
      return []
    case "tool-call":
      return [{ type: "call", id: part.toolCallId, name: part.toolName, arguments: part.arguments }]
    case "tool-result":
      return [{ type: "result", id: part.toolCallId, name: "", content: contentText(part.content) }]
  }
}

const mergedRoles = (messages: ReadonlyArray<PromptMessage>): ReadonlyArray<Entry> => {
  const entries: Array<{ role: Entry["role"]; blocks: Array<Block> }> = []
  for (const message of messages) {
    const blocks = message.parts.flatMap(blockOf)
    if (blocks.length === 0) continue
    const last = entries.at(-1)
    if (last?.role === message.role) last.blocks.push(...blocks)
    else entries.push({ role: message.role, blocks })
  }
  return entries
}

const isCall = (block: Block): block is BlockOf<"call"> => block.type === "call"

/** The entry of a user behind these calls: each answered once, in the order of the calls, then the rest. */
const answered = (calls: ReadonlyArray<BlockOf<"call">>, blocks: ReadonlyArray<Block>): ReadonlyArray<Block> => {
  const contents: Array<string | undefined> = calls.map(() => undefined)
  const rest: Array<Block> = []
  for (const block of blocks) {
    if (block.type !== "result") {
      rest.push(block)
      continue
    }
    // two calls of one id are answered in their order; of two results for one call the last counts
    const open = calls.findIndex(({ id }, index) => id === block.id && contents[index] === undefined)
    const index = open >= 0 ? open : calls.findLastIndex(({ id }) => id === block.id)
    if (index < 0) rest.push({ type: "text", text: `Result of the tool call ${block.id}: ${block.content}` })
    else contents[index] = block.content
  }
  const results = calls.map(({ id, name }, index): Block => ({
    type: "result",
    id,
    name,
    content: contents[index] ?? noResult
  }))
  return [...results, ...rest]
}

/**
 * The same with ids that no two calls share: some servers count their calls from 0 in every answer. The results behind
 * an entry's calls stand in their order.
 */
const withOwnIds = (entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const used = new Set<string>()
  let ids: Array<string> = []
  const ownId = (id: string): string => {
    let own = id
    for (let count = 2; used.has(own); count++) own = `${id}_${count}`
    used.add(own)
    ids.push(own)
    return own
  }
  return entries.map((entry) => {
    if (entry.role === "assistant") ids = []
    return {
      role: entry.role,
      blocks: entry.blocks.map((block) =>
        block.type === "call"
          ? { ...block, id: ownId(block.id) }
          : block.type === "result"
          ? { ...block, id: ids.shift() ?? block.id }
          : block
      )
    }
  })
}

/** Names in the letters that a vendor takes; another name for each different text. */
export const naming = (foreign: RegExp, charsMax: number, fallback: string): (text: string) => string => {
  const names = new Map<string, string>()
  const taken = new Set<string>()
  return (text) => {
    const known = names.get(text)
    if (known !== undefined) return known
    const plain = text.replace(foreign, "_").slice(0, charsMax) || fallback
    let name = plain
    for (let count = 2; taken.has(name); count++) name = `${plain.slice(0, charsMax - `_${count}`.length)}_${count}`
    names.set(text, name)
    taken.add(name)
    return name
  }
}

/** With nothing known of a beginning. */
export const allEntries = (messages: ReadonlyArray<PromptMessage>): ReadonlyArray<Entry> => {
  const entries: Array<Entry> = []
  let calls: ReadonlyArray<BlockOf<"call">> = []
  for (const entry of mergedRoles(messages)) {
    if (entry.role === "assistant") {
      entries.push(entry)
      calls = entry.blocks.filter(isCall)
      continue
    }
    entries.push({ role: "user", blocks: answered(calls, entry.blocks) })
    calls = []
  }
  if (calls.length > 0) entries.push({ role: "user", blocks: answered(calls, []) })
  return withOwnIds(entries)
}

/** Nothing but texts. */
export const isText = ({ blocks }: Entry): boolean => blocks.every(({ type }) => type === "text")

/** Messages of roles in turn, each of text alone: each is one entry, whatever stands around it. */
interface Plain {
  readonly items: ReadonlyArray<PromptMessage>
  readonly entries: ReadonlyArray<Entry>
}

const begun = Beginnings.make<PromptMessage, Plain>(Growing.keptMax)

const speaks = ({ parts }: PromptMessage): boolean => parts.some((part) => blockOf(part).length > 0)

/** As far as they are plain from the beginning, and the next one speaks in the other role. */
const plainStart = (messages: ReadonlyArray<PromptMessage>): Plain => {
  const settled = Growing.settledOf(messages)
  const known = begun.find(messages, settled)
  if (known?.skip === 0 && known.value.items.length === settled) return known.value
  const entries = known === undefined ? [] : known.value.entries.slice(known.skip)
  for (let end = entries.length; end < settled; end++) {
    const [message, next] = [messages[end], messages[end + 1]]
    if (message === undefined || next === undefined || next.role === message.role || !speaks(next)) break
    const entry: Entry = { role: message.role, blocks: message.parts.flatMap(blockOf) }
    if (entry.blocks.length === 0 || !isText(entry)) break
    entries.push(entry)
  }
  const found = { items: messages.slice(0, entries.length), entries }
  begun.put(found, entries.length, known?.value)
  return found
}

export const fromMessages = (messages: ReadonlyArray<PromptMessage>): ReadonlyArray<Entry> => {
  const { entries, items: { length } } = plainStart(messages)
  return length === 0 ? allEntries(messages) : entries.concat(allEntries(messages.slice(length)))
}

/** For vendors that want the user to speak first. */
export const startingWithUser = (entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> =>
  entries[0]?.role === "assistant" ? [openingEntry, ...entries] : entries

/** Whether it ends with an answer to continue: a resumed turn. */
export const endsWithPrefix = (entries: ReadonlyArray<Entry>): boolean => entries.at(-1)?.role === "assistant"

/** With the request to continue, where the model takes no prefix. */
export const askingToContinue = (entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> =>
  endsWithPrefix(entries) ? [...entries, { role: "user", blocks: [{ type: "text", text: continueText }] }] : entries

/** The texts of an entry. */
export const textsOf = ({ blocks }: Entry): ReadonlyArray<string> =>
  blocks.flatMap((block) => (block.type === "text" ? [block.text] : []))

/** For vendors that take nothing but an object. */
export const objectArguments = (given: unknown): JsonObject =>
  isObject(given) ? given : given === undefined || given === null ? {} : { value: given }

/** Whether the last question is the results of calls. */
export const answersCalls = (entries: ReadonlyArray<Entry>): boolean =>
  entries.findLast(({ role }) => role === "user")?.blocks.some(({ type }) => type === "result") === true

/** For vendors that take no white space at the end of an answer to continue; a blank one is none. */
export const trimmedPrefix = (
  entries: ReadonlyArray<Entry>
): { readonly entries: ReadonlyArray<Entry>; readonly trimmed: string } => {
  const prefix = entries.at(-1)
  if (prefix?.role !== "assistant") return { entries, trimmed: "" }
  const blocks = [...prefix.blocks]
  let trimmed = ""
  for (let last = blocks.at(-1); last?.type === "text"; last = blocks.at(-1)) {
    const text = last.text.trimEnd()
    trimmed = last.text.slice(text.length) + trimmed
    blocks.pop()
    if (text === "") continue
    blocks.push({ type: "text", text })
    break
  }
  return { entries: [...entries.slice(0, -1), ...(blocks.length === 0 ? [] : [{ ...prefix, blocks }])], trimmed }
}

/** History as it is sent to a model that continues a prefix, or does not. */
export const forModel = (messages: ReadonlyArray<PromptMessage>, takesPrefix: boolean): ReadonlyArray<Entry> => {
  const history = fromMessages(messages)
  return takesPrefix ? history : askingToContinue(history)
}

/** The names of all tools in the conversation, each once: some vendors want a definition of each. */
export const toolNames = (entries: ReadonlyArray<Entry>): ReadonlyArray<string> => [
  ...new Set(entries.flatMap(({ blocks }) => blocks.filter(isCall).map(({ name }) => name)))
]

/**
 * `ContextBuilder`: room is given in the order instructions and message (with a resumed prefix), exchanges that the
 * message's tool results need, middle slots in their order, then history from the newest.
 *
 * Invariants: the total never passes the budget unless the build fails; instructions and message are never dropped;
 * history is read page by page and no further than the budget reaches, so a turn costs the same at any length of its
 * session; equal content gives an equal hash, and a rebuild with what was recorded gives equal bytes.
 *
 * Limits: history, message and prefix are not recorded, the journal holds them. A recorded content that is missing at a
 * rebuild counts as empty: the manifest's hash then differs, and the caller compares.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as List from "effect/List"
import type { ContextManifest, Slot, SlotName } from "../domain/Context.ts"
import type { HistoryReader } from "../domain/History.ts"
import type { PromptMessage } from "../domain/Message.ts"
import { ContextOverflow } from "../domain/TurnError.ts"
import {
  type BuiltContext,
  charsPerToken,
  ContextBuilder,
  type ContextRequest,
  type ContextSource,
  ContextSources,
  ContextTooLarge
} from "./ContextBuilder.ts"
import * as Budget from "./ContextBuilderBudget.ts"
import { hashOf, sumOf } from "./ContextHash.ts"
import * as Tokens from "./Tokens.ts"

/** Part of the window from which compaction would start. */
const compactionShare = 0.7

const beforeHistory = ["memory", "skills", "team"] as const
const afterHistory = ["attachments"] as const

/** A slot with what it sends: `text` goes into the system text. */
interface Filled {
  readonly slot: Slot
  readonly text: string
  readonly content: string | undefined
}

const hashOfNothing = hashOf(null)

const omitted = (slot: SlotName, source: string, reason: string): Filled => ({
  slot: { slot, source, tokens: 0, hash: hashOfNothing, action: "omitted", reason },
  text: "",
  content: undefined
})

const included = (slot: SlotName, source: string, content: string, text: string, tokens: number): Filled => ({
  slot: { slot, source, tokens, hash: hashOf(content), action: "included" },
  text,
  content
})

const separator = "\n\n"

/** A middle slot's text stands between tags with its name, so that a model can tell it from the instructions. */
const section = (slot: SlotName, content: string): string => `<${slot}>\n${content}\n</${slot}>`

const instructions = (content: string | undefined): Filled =>
  content === undefined || content === ""
    ? omitted("instructions", "session.system", "empty")
    : included("instructions", "session.system", content, content, Tokens.messageOverhead + Tokens.countText(content))

/** A middle slot in at most `room` tokens. */
const middle = (slot: SlotName, source: string, content: string | undefined, room: number): Filled => {
  if (content === undefined || content === "") return omitted(slot, source, "empty")
  const text = section(slot, content)
  const tokens = Tokens.countText(separator + text)
  return tokens > room
    ? omitted(slot, source, `${tokens} tokens do not fit into the ${Math.max(0, room)} that are left`)
    : included(slot, source, content, text, tokens)
}

/** What a source gives for a slot, live or as recorded; `omittedAs` repeats an earlier decision. */
interface Offered {
  readonly slot: SlotName
  readonly source: string
  /** Undefined where nobody gives anything. */
  readonly read: Effect.Effect<string | undefined> | undefined
  readonly omittedAs?: string
}

const offeredNow = (
  sources: ReadonlyArray<ContextSource>,
  sessionId: string,
  slots: ReadonlyArray<SlotName>
): ReadonlyArray<Offered> =>
  slots.flatMap((slot): ReadonlyArray<Offered> => {
    const mine = sources.filter((source) => source.slot === slot)
    return mine.length === 0
      ? [{ slot, source: "none", read: undefined }]
      : mine.map(({ read, source }) => ({ slot, source, read: read(sessionId) }))
  })

const offeredAsRecorded = (
  manifest: ContextManifest,
  recorded: ReadonlyMap<string, string>,
  slots: ReadonlyArray<SlotName>
): ReadonlyArray<Offered> =>
  manifest.slots.filter(({ slot }) => slots.includes(slot)).map(({ action, hash, reason, slot, source }) => ({
    slot,
    source,
    read: Effect.succeed(recorded.get(hash)),
    ...(action === "omitted" ? { omittedAs: reason ?? "empty" } : {})
  }))

const recordedInstructions = (manifest: ContextManifest, recorded: ReadonlyMap<string, string>) => {
  const slot = manifest.slots.find((candidate) => candidate.slot === "instructions")
  return slot === undefined || slot.action === "omitted" ? undefined : recorded.get(slot.hash)
}

/** What the turn asks: its message and, for a resumed turn, the answer so far. */
const askedOf = (message: PromptMessage, prefix: string | undefined): ReadonlyArray<PromptMessage> =>
  prefix === undefined || prefix === ""
    ? [message]
    : [message, { role: "assistant", parts: [{ type: "text", text: prefix }] }]

const never = () => false

/** Offer history to the selection until it is full, has ended, or `stop` says so. Pages are read when needed. */
const historyCursor = <E>(reader: HistoryReader<E>, charsMax: number) => {
  let page: Effect.Effect.Success<ReturnType<HistoryReader<E>>> | undefined
  let index = 0
  /** Where nothing is asked of each exchange. */
  const takeRow = (from: Budget.Selection, limit: number) => {
    const { selection, taken } = Budget.offerRow(from, page?.exchanges ?? [], index, limit)
    index += taken
    return selection
  }
  const isRead = () => page !== undefined && page.cursor === undefined && index >= page.exchanges.length
  const take = Effect.fnUntraced(function*(
    from: Budget.Selection,
    limit: number,
    stop: (selection: Budget.Selection) => boolean
  ) {
    let selection = from
    while (!selection.full && !stop(selection)) {
      if (page === undefined || index >= page.exchanges.length) {
        if (isRead()) return Budget.end(selection)
        page = yield* reader(page?.cursor, charsMax)
        index = 0
        continue
      }
      if (stop === never) selection = takeRow(selection, limit)
      const exchange = page.exchanges[index]
      if (exchange === undefined) continue
      index++
      selection = Budget.offer(selection, exchange, limit)
    }
    return selection
  })
  /** Exchanges read and not kept, and whether there are more that nobody read. */
  const left = () => ({ unread: (page?.exchanges.length ?? 0) - index, more: page?.cursor !== undefined })
  return { take, left }
}

const countMessages = (messages: ReadonlyArray<PromptMessage>): number =>
  messages.reduce((sum, message) => sum + Tokens.countMessage(message), 0)

const messageSlot = (asked: ReadonlyArray<PromptMessage>): Slot => ({
  slot: "message",
  source: "request",
  tokens: countMessages(asked),
  hash: hashOf(asked),
  action: "included"
})

/** History's line in the manifest. */
const historySlot = (messages: ReadonlyArray<PromptMessage>, dropped: number, more: boolean): Slot => {
  const lost = dropped === 0 && !more
    ? undefined
    : `${dropped}${more ? " or more" : ""} oldest ${
      dropped === 1 && !more ? "exchange" : "exchanges"
    } dropped to fit the budget`
  if (messages.length === 0) return omitted("history", "journal", lost ?? "empty").slot
  return {
    slot: "history",
    source: "journal",
    ...sumOf(messages),
    ...(lost === undefined ? { action: "included" } : { action: "clipped", reason: lost })
  }
}

const manifestOf = (slots: ReadonlyArray<Slot>, window: number, reserve: number): ContextManifest => {
  const total = slots.reduce((sum, slot) => sum + slot.tokens, 0)
  return {
    slots,
    budget: window - reserve,
    reserve,
    window,
    total,
    hash: hashOf(slots.filter((slot) => slot.action !== "omitted").map((slot) => slot.hash)),
    compaction: total > compactionShare * window
  }
}

/** The ordered slots of a finished build. */
interface Filling {
  readonly head: Filled
  readonly before: ReadonlyArray<Filled>
  readonly history: Slot
  readonly after: ReadonlyArray<Filled>
  readonly message: Slot
}

const slotsOf = ({ after, before, head, history, message }: Filling): ReadonlyArray<Slot> => [
  head.slot,
  ...before.map(({ slot }) => slot),
  history,
  ...after.map(({ slot }) => slot),
  message
]

/** The failure of a build whose message does not fit: `extra` tokens of exchanges that it needs come on top. */
const tooLarge = (head: Filled, message: Slot, extra: number, window: number, reserve: number) => {
  const none = (slots: ReadonlyArray<SlotName>) => slots.map((slot) => omitted(slot, "none", "no room"))
  const history = omitted("history", "journal", "no room").slot
  const filling = { head, before: none(beforeHistory), history, after: none(afterHistory), message }
  const manifest = manifestOf(slotsOf(filling), window, reserve)
  const error = new ContextOverflow({ tokens: manifest.total + extra, budget: manifest.budget })
  return new ContextTooLarge({ error, manifest })
}

const make = (sources: ReadonlyArray<ContextSource>) => {
  const build = Effect.fnUntraced(function*<E>(request: ContextRequest<E>) {
    const { recorded, recordedManifest } = request
    const again = recorded !== undefined && recordedManifest !== undefined
    const { reserve, window } = again ? recordedManifest : request
    const budget = window - reserve
    const offered = (slots: ReadonlyArray<SlotName>) =>
      again ? offeredAsRecorded(recordedManifest, recorded, slots) : offeredNow(sources, request.sessionId, slots)

    const head = instructions(again ? recordedInstructions(recordedManifest, recorded) : request.system)
    const message = Budget.plain(request.message)
    const asked = askedOf(message, request.prefix)
    const asking = messageSlot(asked)

    let room = budget - head.slot.tokens - asking.tokens
    const cursor = historyCursor(request.history, window * charsPerToken)
    const needed = yield* cursor.take(Budget.start(message), room, ({ required }) => required.size === 0)
    if (room < 0 || Budget.isOverflow(needed)) {
      return yield* tooLarge(head, asking, needed.pendingTokens, window, reserve)
    }

    const filledWith = ({ omittedAs, slot, source }: Offered, content: string | undefined): Filled => {
      if (omittedAs !== undefined) return omitted(slot, source, omittedAs)
      const filled = middle(slot, source, content, room - needed.keptTokens)
      room -= filled.slot.tokens
      return filled
    }
    const before: Array<Filled> = []
    const after: Array<Filled> = []
    for (const [slots, filled] of [[beforeHistory, before], [afterHistory, after]] as const) {
      for (const offer of offered(slots)) {
        filled.push(filledWith(offer, offer.read === undefined ? undefined : yield* offer.read))
      }
    }

    const selection = Budget.end(yield* cursor.take(needed, room, never))
    const earlier = Budget.messages(selection, message)
    const { more, unread } = cursor.left()
    const history = historySlot(earlier, List.size(selection.pending) + unread, more)
    const filling: Filling = { head, before, history, after, message: asking }
    const texts = [head, ...before, ...after]
    const built: BuiltContext = {
      manifest: manifestOf(slotsOf(filling), window, reserve),
      system: texts.map(({ text }) => text).filter((text) => text !== "").join(separator) || undefined,
      messages: earlier.concat(asked),
      contents: texts.flatMap(({ content, slot }) => (content === undefined ? [] : [{ hash: slot.hash, content }]))
    }
    return built
  })
  return ContextBuilder.of({ build, isPrompt: sources.length === 0 })
}

export const layer: Layer.Layer<ContextBuilder, never, ContextSources> = Layer.effect(
  ContextBuilder,
  Effect.map(ContextSources, make)
)

export const layerSources = (sources: ReadonlyArray<ContextSource>): Layer.Layer<ContextSources> =>
  Layer.succeed(ContextSources, sources)

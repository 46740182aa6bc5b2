import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ContextBuilder, type ContextRequest, type ContextSource } from "../../src/context/ContextBuilder.ts"
import { layer, layerSources } from "../../src/context/ContextBuilderLayer.ts"
import { hashOf } from "../../src/context/ContextHash.ts"
import * as Tokens from "../../src/context/Tokens.ts"
import type { ContextManifest, SlotName } from "../../src/domain/Context.ts"
import type { Exchange } from "../../src/domain/History.ts"
import { type PromptMessage, textOf } from "../../src/domain/Message.ts"
import { answer, exchange, pages, user } from "./history.ts"

const build = <E>(request: ContextRequest<E>, sources: ReadonlyArray<ContextSource> = []) =>
  Effect.flatMap(ContextBuilder, (builder) => builder.build(request)).pipe(
    Effect.provide(Layer.provide(layer, layerSources(sources)))
  )

const request = (
  changes: Partial<Omit<ContextRequest<never>, "history">> & { readonly exchanges?: ReadonlyArray<Exchange> } = {}
): ContextRequest<never> => {
  const { exchanges, ...rest } = changes
  return {
    sessionId: "s",
    system: undefined,
    window: 10_000,
    reserve: 1_000,
    history: pages(exchanges ?? [], 10).reader,
    message: user("Hello"),
    prefix: undefined,
    ...rest
  }
}

const slot = (manifest: ContextManifest, name: SlotName) => {
  const found = manifest.slots.find((candidate) => candidate.slot === name)
  assert.isDefined(found)
  return found
}

const source = (name: ContextSource["slot"], text: string | undefined): ContextSource => ({
  slot: name,
  source: `test.${name}`,
  read: (sessionId) => Effect.succeed(text === undefined ? undefined : `${text} for ${sessionId}`)
})

const order: ReadonlyArray<SlotName> = ["instructions", "memory", "skills", "team", "history", "attachments", "message"]

const everySource = [
  source("attachments", "files"),
  source("team", "people"),
  source("skills", "recipes"),
  source("memory", "facts")
]

const talk = (count: number, text = "words ") =>
  Array.from({ length: count }, (_, index) => exchange(`u${index}`, `question ${index} ${text}`, `answer ${index}`))

describe("slots", () => {
  it.effect("a bare message: every slot is listed in order, the empty ones omitted with a reason", () =>
    Effect.gen(function*() {
      const { contents, manifest, messages, system } = yield* build(request())
      assert.deepStrictEqual(manifest.slots.map((entry) => entry.slot), order)
      for (const entry of manifest.slots.slice(0, -1)) {
        assert.deepInclude(entry, { action: "omitted", reason: "empty", tokens: 0 })
      }
      assert.deepInclude(slot(manifest, "message"), { action: "included" })
      assert.deepStrictEqual(messages, [user("Hello")])
      assert.isUndefined(system)
      assert.deepStrictEqual(contents, [])
      assert.deepInclude(manifest, { budget: 9_000, reserve: 1_000, window: 10_000, compaction: false })
    }))

  it.effect("every middle source reaches its slot and the system text, in the fixed order", () =>
    Effect.gen(function*() {
      const { contents, manifest, system } = yield* build(
        request({ system: "  Be brief.\n", exchanges: talk(2) }),
        everySource
      )
      assert.deepStrictEqual(manifest.slots.map((entry) => entry.slot), order)
      assert.isTrue(manifest.slots.every((entry) => entry.action === "included"))
      assert.deepStrictEqual(manifest.slots.map((entry) => entry.source), [
        "session.system",
        "test.memory",
        "test.skills",
        "test.team",
        "journal",
        "test.attachments",
        "request"
      ])
      assert.strictEqual(
        system,
        [
          "  Be brief.\n",
          "<memory>\nfacts for s\n</memory>",
          "<skills>\nrecipes for s\n</skills>",
          "<team>\npeople for s\n</team>",
          "<attachments>\nfiles for s\n</attachments>"
        ].join("\n\n")
      )
      assert.deepStrictEqual(contents.map(({ content }) => content), [
        "  Be brief.\n",
        "facts for s",
        "recipes for s",
        "people for s",
        "files for s"
      ])
      for (const { content, hash } of contents) assert.strictEqual(hash, hashOf(content))
      assert.strictEqual(manifest.total, manifest.slots.reduce((sum, entry) => sum + entry.tokens, 0))
    }))

  it.effect("a middle source that does not fit is omitted with the numbers; smaller ones after it still enter", () =>
    Effect.gen(function*() {
      const { manifest, system } = yield* build(
        request({ window: 300, reserve: 100, system: "Be brief." }),
        [source("memory", "x".repeat(3_000)), source("skills", "small")]
      )
      assert.match(slot(manifest, "memory").reason ?? "", /^\d+ tokens do not fit into the \d+ that are left$/)
      assert.strictEqual(slot(manifest, "memory").action, "omitted")
      assert.strictEqual(slot(manifest, "skills").action, "included")
      assert.notInclude(system ?? "", "xxx")
    }))

  it.effect("two sources of one slot are listed both, in the order of the list", () =>
    Effect.gen(function*() {
      const { manifest } = yield* build(request(), [source("memory", "a"), {
        ...source("memory", "b"),
        source: "second"
      }])
      assert.deepStrictEqual(
        manifest.slots.filter((entry) => entry.slot === "memory").map((entry) => entry.source),
        ["test.memory", "second"]
      )
    }))

  it.effect("a resumed turn ends with the partial answer as an assistant prefix, counted with the message", () =>
    Effect.gen(function*() {
      const plainly = yield* build(request())
      const { manifest, messages } = yield* build(request({ prefix: "So far" }))
      assert.deepStrictEqual(messages, [user("Hello"), answer("So far")])
      assert.isAbove(slot(manifest, "message").tokens, slot(plainly.manifest, "message").tokens)
      assert.notStrictEqual(manifest.hash, plainly.manifest.hash)
    }))

  it.effect("reasoning of earlier answers is not sent again", () =>
    Effect.gen(function*() {
      const thought: Exchange = {
        ...exchange("u1", "why?", "because"),
        answer: { role: "assistant", parts: [{ type: "reasoning", text: "hm" }, { type: "text", text: "because" }] }
      }
      const { messages } = yield* build(request({ exchanges: [thought] }))
      assert.deepStrictEqual(messages, [user("why?"), answer("because"), user("Hello")])
    }))

  it.effect("compaction is due above 0.7 of the window", () =>
    Effect.gen(function*() {
      const tokens = (yield* build(request())).manifest.total
      const window = (share: number) => build(request({ window: Math.floor(tokens / share), reserve: 0 }))
      assert.isTrue((yield* window(0.8)).manifest.compaction)
      assert.isFalse((yield* window(0.6)).manifest.compaction)
    }))
})

describe("history", () => {
  it.effect("ascending, before this message; a turn without an answer gives its question only", () =>
    Effect.gen(function*() {
      const exchanges = [exchange("u2", "second", "2"), exchange("u1", "failed"), exchange("u0", "first", "1")]
      const { messages } = yield* build(request({ exchanges }))
      assert.deepStrictEqual(messages, [
        user("first"),
        answer("1"),
        user("failed"),
        user("second"),
        answer("2"),
        user("Hello")
      ])
    }))

  it.effect("clipped from the oldest, with how many were dropped", () =>
    Effect.gen(function*() {
      const { manifest, messages } = yield* build(request({ window: 150, reserve: 20, exchanges: talk(9) }))
      const kept = (messages.length - 1) / 2
      assert.isAbove(kept, 0)
      assert.deepInclude(slot(manifest, "history"), {
        action: "clipped",
        reason: `${9 - kept} oldest exchanges dropped to fit the budget`
      })
      assert.isAtMost(manifest.total, manifest.budget)
      assert.strictEqual(textOf(messages[0]?.parts ?? []), `question ${kept - 1} words `)
    }))

  it.effect("where older pages stay unread the count says so", () =>
    Effect.gen(function*() {
      const { manifest } = yield* build(request({ window: 200, reserve: 20, exchanges: talk(500) }))
      assert.match(slot(manifest, "history").reason ?? "", /^\d+ or more oldest exchanges dropped to fit the budget$/)
    }))

  it.effect("nothing fits beside the message: history is omitted and says what was dropped", () =>
    Effect.gen(function*() {
      const exchanges = [exchange("u", "x".repeat(900), "y")]
      const { manifest, messages } = yield* build(request({ window: 200, reserve: 20, exchanges }))
      assert.deepInclude(slot(manifest, "history"), {
        action: "omitted",
        reason: "1 oldest exchange dropped to fit the budget"
      })
      assert.deepStrictEqual(messages, [user("Hello")])
    }))

  it.effect("P33: what is read does not grow with the session beyond the budget", () =>
    Effect.gen(function*() {
      const reads = Effect.fnUntraced(function*(turns: number) {
        const history = pages(talk(turns), 10)
        yield* build({ ...request({ window: 2_000 }), history: history.reader })
        return { pages: history.pages(), exchanges: history.exchanges() }
      })
      const short = yield* reads(200)
      assert.isAtMost(short.exchanges, 60)
      assert.deepStrictEqual(yield* reads(5_000), short)
    }))

  it.effect("no page is read when the message already fails", () =>
    Effect.gen(function*() {
      const history = pages(talk(50), 10)
      yield* Effect.flip(build({ ...request({ message: user("x".repeat(90_000)) }), history: history.reader }))
      assert.strictEqual(history.pages(), 0)
    }))

  it.effect("a failing read fails the build with the reader's own error", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(build({ ...request(), history: () => Effect.fail("storage" as const) }))
      assert.strictEqual(error, "storage")
    }))
})

describe("overflow", () => {
  it.effect("a message that does not fit fails with the tokens, the budget and the manifest", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(build(request({ system: "Be brief.", message: user("x".repeat(60_000)) })))
      assert.strictEqual(error._tag, "ContextTooLarge")
      assert.deepInclude({ ...error.error }, { _tag: "ContextOverflow", tokens: error.manifest.total, budget: 9_000 })
      assert.isAbove(error.manifest.total, 9_000)
      assert.deepStrictEqual(error.manifest.slots.map((entry) => entry.slot), order)
      assert.strictEqual(slot(error.manifest, "instructions").action, "included")
      assert.strictEqual(slot(error.manifest, "message").action, "included")
    }))

  it.effect("instructions are never dropped to make room for the message", () =>
    Effect.gen(function*() {
      const system = "rule ".repeat(6_000)
      const error = yield* Effect.flip(build(request({ system })))
      assert.strictEqual(error._tag, "ContextTooLarge")
    }))

  it.effect("the prefix of a resumed turn counts: it is never cut", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(build(request({ prefix: "so far ".repeat(5_000) })))
      assert.strictEqual(error._tag, "ContextTooLarge")
    }))

  it.effect("exactly the budget fits; one token less does not", () =>
    Effect.gen(function*() {
      const { total } = (yield* build(request())).manifest
      yield* build(request({ window: total, reserve: 0 }))
      yield* Effect.flip(build(request({ window: total, reserve: 1 })))
    }))

  it.effect("calls that this message answers are kept before any middle slot, or it is an overflow", () =>
    Effect.gen(function*() {
      const message: PromptMessage = {
        role: "user",
        parts: [{ type: "tool-result", toolCallId: "c1", content: "42" }]
      }
      const called: Exchange = {
        ...exchange("u", "x".repeat(600)),
        answer: {
          role: "assistant",
          parts: [{ type: "tool-call", toolCallId: "c1", toolName: "add", arguments: { a: 1 } }]
        }
      }
      const memory = [source("memory", "m".repeat(400))]
      const fits = yield* build(request({ window: 330, reserve: 0, message, exchanges: [called] }), memory)
      assert.strictEqual(slot(fits.manifest, "memory").action, "omitted")
      assert.strictEqual(fits.messages.length, 3)
      const error = yield* Effect.flip(
        build(request({ window: 200, reserve: 0, message, exchanges: [called] }), memory)
      )
      assert.strictEqual(error._tag, "ContextTooLarge")
      assert.isAbove(error.error.tokens, 200)
    }))
})

describe("hash and rebuild", () => {
  it.effect("the same content gives the same hash, whatever the order of keys in a tool's arguments", () =>
    Effect.gen(function*() {
      const withArguments = (args: unknown): ReadonlyArray<Exchange> => [
        {
          ...exchange("u1", "go"),
          answer: {
            role: "assistant",
            parts: [{ type: "tool-call", toolCallId: "c", toolName: "t", arguments: args }]
          }
        }
      ]
      const message: PromptMessage = { role: "user", parts: [{ type: "tool-result", toolCallId: "c", content: 1 }] }
      const hash = (args: unknown) =>
        Effect.map(build(request({ message, exchanges: withArguments(args) })), ({ manifest }) => manifest.hash)
      const first = yield* hash({ a: 1, b: { c: 2, d: 3 } })
      assert.strictEqual(yield* hash({ b: { d: 3, c: 2 }, a: 1 }), first)
      assert.notStrictEqual(yield* hash({ b: { d: 3, c: 2 }, a: 2 }), first)
      assert.match(first, /^[0-9a-f]{64}$/)
    }))

  it.effect("a change in any slot changes the hash", () =>
    Effect.gen(function*() {
      const base = { system: "Be brief.", exchanges: talk(2) }
      const hashes = yield* Effect.forEach([
        build(request(base), everySource),
        build(request({ ...base, system: "Be long." }), everySource),
        build(request({ ...base, exchanges: talk(3) }), everySource),
        build(request({ ...base, message: user("Bye") }), everySource),
        build(request(base), everySource.slice(1))
      ], (effect) => Effect.map(effect, ({ manifest }) => manifest.hash))
      assert.strictEqual(new Set(hashes).size, hashes.length)
    }))

  it.effect("a rebuild from what was recorded is byte-identical, though sources, settings and window have changed", () =>
    Effect.gen(function*() {
      const sources = [source("skills", undefined), source("team", "y".repeat(30_000)), ...everySource.slice(2)]
      const asked = request({ system: "Be brief.", exchanges: talk(60, "x".repeat(600)), prefix: "So far" })
      const first = yield* build(asked, sources)
      assert.strictEqual(slot(first.manifest, "history").action, "clipped")
      const again = yield* build(
        {
          ...asked,
          system: "Another rule.",
          window: 500_000,
          reserve: 1,
          recorded: new Map(first.contents.map(({ content, hash }) => [hash, content])),
          recordedManifest: first.manifest
        },
        [source("memory", "other"), source("attachments", "new")]
      )
      assert.strictEqual(JSON.stringify(again), JSON.stringify(first))
    }))

  it.effect("a rebuild of a turn without instructions does not take the session's later ones", () =>
    Effect.gen(function*() {
      const first = yield* build(request())
      const again = yield* build(
        request({ system: "Set later.", recorded: new Map(), recordedManifest: first.manifest })
      )
      assert.strictEqual(JSON.stringify(again), JSON.stringify(first))
    }))
})

describe("token counts", () => {
  it("a text costs a third of its UTF-8 bytes, rounded up; more text never costs less", () => {
    assert.strictEqual(Tokens.countText(""), 0)
    assert.strictEqual(Tokens.countText("abcd"), 2)
    assert.strictEqual(Tokens.countText("世界"), 2)
    let before = 0
    for (let length = 0; length < 200; length++) {
      const now = Tokens.countText("aé世😀".repeat(50).slice(0, length))
      assert.isAtLeast(now, before)
      before = now
    }
  })

  it("a tool part costs its JSON, a message a constant more than its parts", () => {
    const part = { type: "tool-result", toolCallId: "c", content: { long: "x".repeat(100) } } as const
    assert.strictEqual(
      Tokens.countMessage({ role: "user", parts: [part] }),
      Tokens.messageOverhead + Tokens.countText(JSON.stringify(part))
    )
  })
})

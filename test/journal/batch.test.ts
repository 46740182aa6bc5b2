import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as FastCheck from "effect/FastCheck"
import { MessageId } from "../../src/domain/Ids.ts"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import * as Batch from "../../src/journal/Batch.ts"
import { journals } from "../domain/turns.ts"

const same = (tails: ReadonlyArray<string>) => {
  const packed = Batch.pack(tails)
  assert.deepStrictEqual(Batch.unpack(packed), tails)
  assert.strictEqual(packed.split("\n").length, tails.length, "one line an event")
  return packed
}

/** As a database keeps it. */
const stored = (packed: string) => Buffer.from(packed, "utf8").toString("utf8")

const at = "2026-01-02T03:04:05.678Z"
const delta = (text: string, time = at, kind: TurnEvent.DeltaKind = "text", attempt = 1) =>
  TurnEvent.tail({ at: time, attempt, type: "model.delta", data: { kind, text } })

const hostile = FastCheck.oneof(
  FastCheck.string({ unit: "binary" }),
  FastCheck.string({
    unit: FastCheck.constantFrom('"', "\\", "}", "{", ",", "\n", "\r", "1", "9", "\u0001", "\u001f")
  }),
  FastCheck.constantFrom("", "\ud800", "\udc00x", "\u0000", '","text":"', '"}}', '"model.delta","data":{"kind":"', at)
)
const times = FastCheck.oneof(
  FastCheck.constant(at),
  FastCheck.integer({ min: 0, max: 999 }).map((ms) => at.replace("678", String(ms).padStart(3, "0"))),
  // from the year 1 to 9999
  FastCheck.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 })
    .map((ms) => DateTime.formatIso(DateTime.unsafeMake(ms)))
)
const deltas = FastCheck.record({
  at: times,
  attempt: FastCheck.integer({ min: 1, max: 12 }),
  kind: FastCheck.constantFrom("text" as const, "text" as const, "reasoning" as const, "tool-input" as const),
  text: hostile
}).map(({ at, attempt, kind, text }) => {
  const tool = kind === "tool-input" ? { toolCallId: text, toolName: "look_up" } : {}
  return TurnEvent.tail({ at, attempt, type: "model.delta", data: { kind, text, ...tool } })
})
const lifecycle = FastCheck.tuple(journals, times).chain(([events, time]) =>
  FastCheck.constantFrom(...events.map((event) => TurnEvent.tail({ ...event, at: time })))
)

describe("a packed batch", () => {
  it("is what was packed, byte for byte, whatever the events are and in any order", () => {
    const tails = FastCheck.array(FastCheck.oneof({ weight: 4, arbitrary: deltas }, lifecycle), { minLength: 1 })
    FastCheck.assert(
      FastCheck.property(tails, (tails) => {
        const packed = same(tails)
        assert.deepStrictEqual(Batch.unpack(stored(packed)), tails, "and as a database keeps it")
      }),
      { numRuns: 1_000 }
    )
  })

  it("is what was packed for lines that are no events, too", () => {
    const line = FastCheck.oneof(
      FastCheck.string({ unit: "binary" }),
      FastCheck.tuple(FastCheck.constantFrom("", '"', "1", "9", "\u0001", "\u0002", "\u001f", ',"at":"'), lifecycle)
        .map(([mark, tail]) => mark + tail),
      FastCheck.tuple(lifecycle, FastCheck.nat({ max: 200 })).map(([tail, length]) => tail.slice(0, length))
    ).filter((text) => !text.includes("\n"))
    FastCheck.assert(FastCheck.property(FastCheck.array(line, { minLength: 1 }), (tails) => void same(tails)), {
      numRuns: 1_000
    })
  })

  it("of a row from before it was packed is read as it is", () => {
    FastCheck.assert(FastCheck.property(journals, (events) => {
      const tails = events.map(TurnEvent.tail)
      assert.deepStrictEqual(Batch.unpack(tails.join("\n")), tails)
    }))
  })

  it("that is damaged gives something else, and never fails", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.string({ unit: "binary" }),
        FastCheck.array(deltas, { minLength: 1 }),
        (junk, tails) => {
          const packed = Batch.pack(tails)
          for (const text of [junk, junk + packed, packed.slice(1), `${packed}\n${junk}`, packed.slice(0, -1)]) {
            assert.strictEqual(Batch.unpack(text).length, text.split("\n").length)
          }
        }
      )
    )
  })

  it("begins with what the schema looks for where a turn begins", () => {
    const userMessageId = MessageId.make("m")
    const tail = TurnEvent.tail({ at, type: "turn.started", data: { provider: "p", model: "m", userMessageId } })
    assert.include(same([tail]).slice(0, 80), ',"type":"turn.started",')
  })

  it("says of a delta that follows another its text, and of its time what differs", () => {
    const later = [
      delta("c", at.replace("678", "681")),
      delta("", at.replace("5.678", "6.001")),
      delta('"q"\n', at.replace("5.678", "6.001"))
    ]
    const [, ...lines] = same([delta("a"), delta("b"), ...later]).split("\n")
    assert.deepStrictEqual(lines, ['"b', "281c", "56.001", String.raw`"\"q\"\n`])
  })

  it("keeps its distance when something comes between two deltas", () => {
    const call = TurnEvent.tail({
      at: at.replace("678", "999"),
      attempt: 1,
      type: "model.tool-call",
      data: { toolCallId: "1", toolName: "t", arguments: { at } }
    })
    same([
      delta("a"),
      delta("b", at.replace("678", "679")),
      call,
      delta("c", at.replace("678", "679")),
      call,
      delta("d")
    ])
  })

  it("leaves no more out of a delta than a page of them allows for", () => {
    FastCheck.assert(FastCheck.property(FastCheck.array(deltas, { minLength: 1 }), (tails) => {
      const bytes = Buffer.byteLength(Batch.pack(tails)) + Batch.leftOutMax * tails.length
      assert.isAtLeast(bytes, Buffer.byteLength(tails.join("\n")))
    }))
  })

  // A journal holds these for ever: what a character stands for never changes.
  it("P30: of a whole turn is read by every later version", () => {
    const packed = [
      String.raw`,"at":"2026-01-02T03:04:05.678Z","type":"turn.started",`,
      '\u0006local\u0007m\u000bm_1"}}\n',
      "\u000220260102030405679\u000e\u0005\f212042\u0003h1\u0004\r6\u0003h2\u0004\u000f9\u00108\u00117\u00126\u0003h3\u0013\n",
      '\u0001\u0014local\u0007m"}}\n\u000220260102030405680\u0015a"}}\n"b\n11c\n\u0001\u0016d"}}\n',
      '\u0001\u001710\b20\t30\u00180\u001910\u001a20,"total_tokens":30}}}\n\u0001\u001b24}}\n',
      "\u0001\u001cm_2\u001d10\b20\t30}}}"
    ].join("")
    const empty =
      '"tokens":0,"hash":"74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b","action":"omitted","reason":"empty"}'
    const none = (slot: string) => `{"slot":"${slot}","source":"none",${empty}`
    const counts =
      '"inputTokens":10,"outputTokens":20,"cacheReadTokens":null,"cacheWriteTokens":null,"reasoningTokens":null,"totalTokens":30'
    const said = (ms: number, kind: string, text: string) =>
      `,"at":"2026-01-02T03:04:05.${ms}Z","attempt":1,"type":"model.delta","data":{"kind":"${kind}","text":"${text}"}}`
    const tails = [
      ',"at":"2026-01-02T03:04:05.678Z","type":"turn.started","data":{"provider":"local","model":"m","userMessageId":"m_1"}}',
      `,"at":"2026-01-02T03:04:05.679Z","type":"context.built","data":{"slots":[{"slot":"instructions","source":"session.system",${empty},${
        none("memory")
      },${none("skills")},${
        none("team")
      },{"slot":"history","source":"journal","tokens":212042,"hash":"h1","action":"included"},${
        none("attachments")
      },{"slot":"message","source":"request","tokens":6,"hash":"h2","action":"included"}],"budget":9,"reserve":8,"window":7,"total":6,"hash":"h3","compaction":false}}`,
      ',"at":"2026-01-02T03:04:05.679Z","attempt":1,"type":"attempt.started","data":{"attempt":1,"provider":"local","model":"m"}}',
      said(680, "text", "a"),
      said(680, "text", "b"),
      said(681, "text", "c"),
      said(681, "reasoning", "d"),
      `,"at":"2026-01-02T03:04:05.681Z","attempt":1,"type":"telemetry.usage","data":{"usage":{${counts}},"source":"reported","contextPercent":0,"raw":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}}}`,
      ',"at":"2026-01-02T03:04:05.681Z","type":"checkpoint.saved","data":{"checkpoint":1,"phase":"committing","seq":24}}',
      `,"at":"2026-01-02T03:04:05.681Z","type":"turn.completed","data":{"finishReason":"stop","rawFinishReason":"stop","messageId":"m_2","usage":{${counts}}}}`
    ]
    assert.deepStrictEqual(Batch.unpack(packed), tails)
    assert.strictEqual(same(tails), packed)
  })
})

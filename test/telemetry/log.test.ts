import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import * as Log from "../../src/telemetry/Log.ts"
import * as LogEntry from "../../src/telemetry/LogEntry.ts"
import * as Redaction from "../../src/telemetry/Redaction.ts"

const secret = "s3cret-of-the-collector"
const redaction = Redaction.make(() => [secret])

/** A stream that keeps what is written, and takes nothing while it is stuck. */
const makeSink = () => {
  const written: Array<string> = []
  const listeners = new Set<() => void>()
  const sink = {
    writableLength: 0,
    write: (text: string) => written.push(text),
    on: (_: "error", listener: () => void) => listeners.add(listener),
    off: (_: "error", listener: () => void) => listeners.delete(listener)
  }
  return { sink, written, listeners }
}

type Options = Partial<Omit<Log.Console, "sink">> & { readonly level?: "debug" | "info" | "warning" | "none" }

const withLog = <A, E>(effect: Effect.Effect<A, E>, { level = "info", form = "json", colours = false }: Options = {}) =>
  Effect.suspend(() => {
    const { listeners, sink, written } = makeSink()
    return effect.pipe(
      Effect.provide(Log.layer({ sink, form, colours }, { level, redaction })),
      Effect.map((result) => ({
        result,
        text: written.join(""),
        lines: written.map((line) => line.trimEnd()),
        listeners
      }))
    )
  })

const jsonOf = (line: string | undefined) => JSON.parse(line ?? "") as Record<string, unknown>

/** The one line of an effect that logs once, as data. */
const entryOf = (effect: Effect.Effect<void>) =>
  Effect.map(withLog(effect), ({ lines, text }) => {
    assert.strictEqual(text.split("\n").length, 2, "one line")
    return jsonOf(lines[0])
  })

const timestamp = Date.UTC(2026, 1, 3, 4, 5, 6, 78)
const atTime = TestClock.setTime(timestamp)

describe("the log", () => {
  it.effect("is one line of JSON an entry: time, level, message, annotations as they are", () =>
    Effect.gen(function*() {
      yield* atTime
      const entry = yield* entryOf(
        Effect.logWarning("Turn completed").pipe(
          Effect.annotateLogs({ turnId: "t_1", ms: 1.5, ok: true, none: null, usage: { input: 1, parts: ["a", 2] } })
        )
      )
      assert.deepStrictEqual(entry, {
        time: "2026-02-03T04:05:06.078Z",
        level: "warn",
        message: "Turn completed",
        ms: 1.5,
        none: null,
        ok: true,
        turnId: "t_1",
        usage: { input: 1, parts: ["a", 2] }
      })
    }))

  it.effect("on a terminal is a line to read, with what is beside the message as key=value and a cause below", () =>
    Effect.gen(function*() {
      yield* atTime
      const line = Effect.logError("It failed", Cause.die(new Error("bug"))).pipe(
        Effect.annotateLogs({ turnId: "t_1", text: "two words", list: [1] })
      )
      const { lines: [plain = ""] } = yield* withLog(line, { form: "readable" })
      const [first, ...below] = plain.split("\n")
      assert.strictEqual(first, '04:05:06.078 ERROR It failed list=[1] text="two words" turnId=t_1')
      assert.include(below[0], "Error: bug")
      for (const row of below) assert.match(row, /^ {4}/)
      const { lines: [coloured = ""] } = yield* withLog(line, { form: "readable", colours: true })
      assert.include(coloured, "\u001b[31mERROR\u001b[0m")
      // eslint-disable-next-line no-control-regex -- colours are what this is about
      assert.strictEqual(coloured.replace(/\u001b\[\d+m/g, ""), plain)
    }))

  it.effect("carries the ids of the nearest span of the engine, unless an annotation brings some", () =>
    Effect.gen(function*() {
      const { result, lines } = yield* withLog(
        Effect.gen(function*() {
          const { spanId, traceId } = yield* Effect.orDie(Effect.currentSpan)
          yield* Effect.logInfo("inside").pipe(Effect.withSpan("Journal.append"))
          yield* Effect.logInfo("named").pipe(Effect.annotateLogs({ traceId: "mine", spanId: "too" }))
          return { spanId, traceId }
        }).pipe(Effect.withSpan("turn"), Effect.zipLeft(Effect.logInfo("outside").pipe(Effect.withSpan("Other.fn"))))
      )
      const [inside, named, outside] = lines.map(jsonOf)
      assert.deepInclude(inside, { message: "inside", ...result })
      assert.deepInclude(named, { message: "named", traceId: "mine", spanId: "too" })
      assert.notProperty(outside, "traceId")
    }))

  it.effect("shows a cause as text, and values that are no JSON as something that is", () =>
    Effect.gen(function*() {
      const circle: Record<string, unknown> = {}
      circle["self"] = circle
      const entry = yield* entryOf(
        Effect.logError("Failed", Cause.fail(new Error("no disk"))).pipe(Effect.annotateLogs({
          big: 10n,
          circle,
          fails: { toJSON: () => assert.fail("it throws") },
          key: Redacted.make(secret),
          error: "hidden by the cause",
          level: "not mine",
          nan: NaN,
          none: undefined,
          option: Option.some(1),
          why: new TypeError("x")
        }))
      )
      assert.include(String(entry["error"]), "Error: no disk")
      assert.deepInclude(entry, {
        level: "error",
        big: "10",
        circle: { self: { self: { self: { self: "..." } } } },
        fails: "(not to be shown)",
        key: "<redacted>",
        nan: "NaN",
        none: "undefined",
        why: "TypeError: x"
      })
      assert.deepInclude(entry["option"], { _tag: "Some", value: 1 })
    }))

  it.effect("lets nobody forge a line or move a cursor", () =>
    Effect.gen(function*() {
      const nasty = 'a\n{"level":"error"}\r\u001b[2J\u0000\u007f\u009b31m\u2028\u202eb'
      // eslint-disable-next-line no-control-regex -- control characters are what this is about
      const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u202e]/
      const line = Effect.logWarning(nasty, Cause.die(nasty)).pipe(
        Effect.annotateLogs({ [nasty]: nasty, o: { [nasty]: [nasty] } })
      )
      const json = yield* withLog(line)
      assert.strictEqual(json.lines.length, 1)
      assert.notMatch(json.lines[0] ?? "", controls)
      assert.deepInclude(jsonOf(json.lines[0]), { message: nasty, [nasty]: nasty })
      const readable = yield* withLog(line, { form: "readable", colours: true })
      // eslint-disable-next-line no-control-regex -- the log's own colours
      const [first = "", ...below] = (readable.lines[0] ?? "").replace(/\u001b\[(0|2|31|33)m/g, "").split("\n")
      assert.notMatch(first + below.join(""), controls)
      for (const row of below) assert.match(row, /^ {4}/)
    }))

  it.effect("P25: passes every text through the redaction: messages, names, values, objects, causes", () =>
    Effect.gen(function*() {
      const line = Effect.logError(`m ${secret}`, { m: secret }, Cause.fail(new Error(`c ${secret}`))).pipe(
        Effect.annotateLogs({
          [`n-${secret}`]: 1,
          a: secret,
          o: { deep: [{ [secret]: `x${secret}x` }] },
          authorization: "whatever it is",
          h: { Cookie: 12345678, "x-api-key": ["k"] },
          traceId: secret,
          e: new Error(secret)
        })
      )
      for (const form of ["json", "readable"] as const) {
        const { text } = yield* withLog(line, { form })
        assert.notInclude(text, secret)
        for (const hidden of ["whatever", "12345678", '"k"']) assert.notInclude(text, hidden)
        assert.include(text, "m ***")
        assert.include(text, "c ***")
      }
    }))

  it.effect("cuts a line that is longer than 8 KiB, says so, and shows no part of a secret at the cut", () =>
    Effect.gen(function*() {
      const long = "é".repeat(100_000)
      const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`field${i}`, "x".repeat(50)]))
      const cases = [
        Effect.logInfo(long),
        Effect.logInfo("m").pipe(Effect.annotateLogs({ a: long, b: long, n: 5 })),
        Effect.logInfo("m", Cause.die(long)),
        Effect.logInfo("m").pipe(Effect.annotateLogs(many)),
        Effect.logInfo("m").pipe(Effect.annotateLogs("o", { list: Array.from({ length: 5_000 }, () => long) })),
        Effect.logInfo("\u0001".repeat(8_000)),
        Effect.logInfo("m").pipe(Effect.annotateLogs("n".repeat(50_000), 1))
      ]
      for (const [index, line] of cases.entries()) {
        const { lines } = yield* withLog(line)
        assert.isAtMost(Buffer.byteLength(lines[0] ?? ""), LogEntry.lineBytesMax, `case ${index}`)
        const entry = jsonOf(lines[0])
        if (index !== 4) assert.strictEqual(entry["cut"], true, `case ${index}`)
        assert.strictEqual(entry["level"], "info")
        const readable = yield* withLog(line, { form: "readable" })
        assert.isAtMost(Buffer.byteLength(readable.text), LogEntry.lineBytesMax * 2, `case ${index}`)
      }
      assert.isAbove(Object.keys(jsonOf((yield* withLog(cases[3] ?? Effect.void)).lines[0])).length, 60)
      // masks are shorter than what they hide: the cut of a text that is long before it may still be in the line
      const word = "0123456789".repeat(10)
      const { sink, written } = makeSink()
      yield* Effect.logInfo(`${word.repeat(400)} and on`).pipe(
        Effect.provide(
          Log.layer({ sink, form: "json", colours: false }, { level: "info", redaction: Redaction.make(() => [word]) })
        )
      )
      assert.match(String(jsonOf(written[0])["message"]), /^[*]+\.\.\.$/)
    }))

  it.effect("parses back whatever is logged, and never exceeds its bound", () =>
    Effect.gen(function*() {
      const anything = FastCheck.sample(
        FastCheck.tuple(
          FastCheck.string({ unit: "binary" }),
          FastCheck.dictionary(FastCheck.string(), FastCheck.anything(), { maxKeys: 5 })
        ),
        { numRuns: 300, seed: 11 }
      )
      for (const [message, notes] of anything) {
        const { lines, text } = yield* withLog(Effect.logInfo(message).pipe(Effect.annotateLogs(notes)))
        assert.strictEqual(text.split("\n").length, 2)
        assert.strictEqual(jsonOf(lines[0])["message"], redaction.text(message))
        assert.isAtMost(Buffer.byteLength(text), LogEntry.lineBytesMax + 1)
      }
    }))

  it.effect("begins at its level, and at none is silent", () =>
    Effect.gen(function*() {
      const all = Effect.all([Effect.logDebug("d"), Effect.logInfo("i"), Effect.logWarning("w"), Effect.logFatal("f")])
      const seen = (level: "debug" | "info" | "warning" | "none") =>
        Effect.map(withLog(all, { level }), ({ lines }) => lines.map((line) => jsonOf(line)["message"]).join(""))
      assert.deepStrictEqual(yield* Effect.forEach(["debug", "info", "warning", "none"] as const, seen), [
        "diwf",
        "iwf",
        "wf",
        ""
      ])
    }))

  it.effect("takes level and secrets from the settings", () =>
    Effect.gen(function*() {
      const { sink, written } = makeSink()
      yield* Effect.zipRight(Effect.logWarning("no"), Effect.logError("yes own-token-9")).pipe(
        Effect.provide(Log.layerSettings({ sink, form: "json", colours: false })),
        Effect.provide(SettingsLoader.layerWith({
          telemetry: { captureContent: false, logLevel: "error" },
          token: Redacted.make("own-token-9")
        }))
      )
      assert.deepStrictEqual(written.map((line) => jsonOf(line)["message"]), ["yes ***"])
    }))

  it.effect("leaves lines out while nobody reads, and says how many", () =>
    Effect.gen(function*() {
      const { listeners, sink, written } = makeSink()
      yield* Effect.gen(function*() {
        assert.strictEqual(listeners.size, 1, "a closed pipe is an error of the stream")
        sink.writableLength = 2 ** 20 + 1
        for (let i = 0; i < 3; i++) yield* Effect.logInfo("lost")
        sink.writableLength = 0
        yield* Effect.logInfo("seen")
      }).pipe(Effect.provide(Log.layer({ sink, form: "json", colours: false }, { level: "info", redaction })))
      assert.strictEqual(listeners.size, 0)
      assert.deepStrictEqual(written.map((line) => jsonOf(line)["message"]), [
        "3 log lines were left out, as nobody read them",
        "seen"
      ])
    }))
})

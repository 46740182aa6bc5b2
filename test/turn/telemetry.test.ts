/** What an operator gets to know of turns: spans, counts and log lines, for every way in which one ends. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Tracer from "effect/Tracer"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import type { SessionId, TurnId } from "../../src/domain/Ids.ts"
import { JournalFailure, providerFailure } from "../../src/domain/TurnError.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalMemory from "../../src/journal/JournalMemory.ts"
import { layerContext, layerRegistry, layerRuntime, layerTest } from "../../src/layers.ts"
import type { ProviderEvent } from "../../src/provider/Provider.ts"
import { ProviderRegistry } from "../../src/provider/ProviderRegistry.ts"
import type { Script } from "../../src/provider/Script.ts"
import * as TurnMetrics from "../../src/turn/TurnMetrics.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { appendingBy } from "../journal/appending.ts"
import { freshFolder } from "../journal/databaseFixture.ts"
import { layerIn } from "../journal/sqlFixture.ts"
import * as Spans from "../telemetry/spans.ts"
import {
  awaitEvent,
  events,
  newSession,
  one,
  steps,
  submit,
  submitScript,
  type TestSettings,
  turnOf
} from "./engine.ts"

const canary = "CANARY-in-a-prompt"
const said = "CANARY-in-an-answer "
/** One that no rule of looks would know. */
const system = "CANARY-in-the-instructions"

interface Line {
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly spanId: string | undefined
  readonly cause: string
}

/** An engine in memory whose spans and log lines are kept. */
const watched = () => {
  const spans = Spans.make()
  const lines: Array<Line> = []
  const logger = Logger.make(({ annotations, cause, context, logLevel, message }) => {
    const span = Context.getOption(FiberRefs.getOrDefault(context, FiberRef.currentContext), Tracer.ParentSpan)
    lines.push({
      level: logLevel.label,
      message: String(Array.isArray(message) ? message[0] : message),
      fields: Object.fromEntries(annotations),
      spanId: Option.getOrUndefined(span)?.spanId,
      cause: Cause.pretty(cause)
    })
  })
  const logged = Logger.replace(Logger.defaultLogger, logger)
  return { spans, lines, telemetry: Layer.merge(spans.layer, logged) }
}

const everyLine: TestSettings = { telemetry: { captureContent: false, logLevel: "debug" } }

const cancel = (id: TurnId) => Effect.flatMap(TurnRuntime, (runtime) => runtime.cancel(id))
const wait = Effect.repeatN(Effect.zipRight(TestClock.adjust("10 seconds"), Effect.yieldNow()), 24)
const hanging = steps({ say: said }, { hang: true })

interface Ending {
  readonly script: Script
  readonly settings?: TestSettings
  readonly body?: Parameters<typeof submit>[1]
  readonly act?: (id: TurnId, session: SessionId) => Effect.Effect<unknown, unknown, TurnRuntime | Journal>
  /** The error's tag, or "completed". */
  readonly outcome: string
  readonly errorType?: string
  readonly level: string
  /** Whether the span says that something went wrong. */
  readonly ok: boolean
  /** `error.type` of each call, undefined for one that ended well. */
  readonly calls: ReadonlyArray<string | undefined>
}

const endings: Readonly<Record<string, Ending>> = {
  "completed": { script: steps({ say: said }), outcome: "completed", level: "INFO", ok: true, calls: [undefined] },
  "cut at its length": {
    script: steps({ say: said }, { end: "length" }),
    outcome: "completed",
    level: "INFO",
    ok: true,
    calls: [undefined]
  },
  "failed for good": {
    script: steps({ say: said }, { fail: { kind: "authentication" } }),
    outcome: "ProviderFailure",
    errorType: "authentication",
    level: "WARN",
    ok: false,
    calls: ["authentication"]
  },
  "failed in every attempt": {
    script: steps({ fail: { kind: "overloaded" } }),
    act: () => wait,
    outcome: "ProviderFailure",
    errorType: "overloaded",
    level: "WARN",
    ok: false,
    calls: ["overloaded", "overloaded", "overloaded"]
  },
  "retried with success": {
    script: steps({ fail: { kind: "rate_limit", attempts: 1 } }, { say: said }),
    act: () => wait,
    outcome: "completed",
    level: "INFO",
    ok: true,
    calls: ["rate_limit", undefined]
  },
  "stalled": {
    script: hanging,
    act: () => wait,
    outcome: "ProviderFailure",
    errorType: "stalled",
    level: "WARN",
    ok: false,
    calls: ["stalled"]
  },
  "without a first token": {
    script: steps({ hang: true }),
    act: () => wait,
    outcome: "ProviderFailure",
    errorType: "timeout",
    level: "WARN",
    ok: false,
    calls: ["timeout", "timeout", "timeout"]
  },
  "cancelled in mid-stream": {
    script: hanging,
    act: (id) => Effect.zipRight(awaitEvent(id, "model.delta"), cancel(id)),
    outcome: "Cancelled",
    errorType: "user_stop",
    level: "INFO",
    ok: true,
    calls: ["user_stop"]
  },
  "cancelled before the first byte": {
    script: steps({ hang: true }),
    act: (id) => Effect.zipRight(awaitEvent(id, "attempt.started"), cancel(id)),
    outcome: "Cancelled",
    errorType: "user_stop",
    level: "INFO",
    ok: true,
    calls: ["user_stop"]
  },
  "past its deadline": {
    script: hanging,
    body: { options: { deadlineMs: 1_000 } },
    act: () => TestClock.adjust("2 seconds"),
    outcome: "Cancelled",
    errorType: "deadline",
    level: "INFO",
    ok: true,
    calls: ["deadline"]
  },
  "shut down": {
    script: hanging,
    settings: { drainMs: 0 },
    act: (id) =>
      Effect.zipRight(awaitEvent(id, "model.delta"), Effect.flatMap(TurnRuntime, (runtime) => runtime.drain)),
    outcome: "Interrupted",
    errorType: "shutdown",
    level: "WARN",
    ok: false,
    calls: ["shutdown"]
  },
  "of an unknown provider": {
    script: steps(),
    body: { provider: "nobody", options: {} },
    outcome: "UnknownProvider",
    errorType: "UnknownProvider",
    level: "INFO",
    ok: false,
    calls: []
  }
}

/** Turns of this process that ended so. */
const endedWith = (outcome: string): number =>
  Metric.unsafeSnapshot().reduce(
    (sum, { metricKey, metricState }) =>
      metricKey.name === "turnstream.turns" &&
        metricKey.tags.some(({ key, value }) => key === "outcome" && value === outcome)
        ? sum + (metricState as unknown as { readonly count: number }).count
        : sum,
    0
  )

const play = (ending: Ending) => {
  const { lines, spans, telemetry } = watched()
  return Effect.gen(function*() {
    const session = yield* newSession
    const before = endedWith(ending.outcome)
    const body = { ...ending.body, message: canary }
    const script = ending.body?.provider === undefined ? { script: ending.script, system } : {}
    const { turn } = yield* submit(session, { ...body, options: { ...script, ...ending.body?.options } })
    yield* ending.act?.(turn.id, session) ?? Effect.void
    yield* events(turn.id)
    // the line is written behind the commit that a follower sees
    while (!lines.some(({ message }) => message.startsWith("Turn "))) yield* Effect.yieldNow()
    return {
      turn: yield* turnOf(turn.id),
      spans,
      lines,
      counted: endedWith(ending.outcome) - before
    }
  }).pipe(Effect.provide(Layer.provideMerge(layerTest({ ...everyLine, ...ending.settings }), telemetry)))
}

const jsonOf = (value: unknown) =>
  JSON.stringify(value, (_, inner: unknown) => typeof inner === "bigint" ? String(inner) : inner)

describe("every ending of a turn is one span, one count and one line", () => {
  for (const [name, ending] of Object.entries(endings)) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const { counted, lines, spans, turn } = yield* play(ending)
        const [span, ...others] = spans.named("turn")
        assert.deepStrictEqual(others, [])
        assert.deepInclude(span?.attributes, {
          "turnstream.turn.id": turn.id,
          "gen_ai.conversation.id": turn.sessionId,
          "turnstream.turn.status": turn.status,
          "turnstream.turn.attempts": turn.attempts,
          "turnstream.turn.events": turn.lastSeq
        })
        assert.strictEqual(span?.attributes["error.type"], ending.errorType)
        assert.strictEqual(span?.ok, ending.ok)
        assert.strictEqual(span?.parentId, undefined)
        assert.strictEqual(counted, 1)

        const written = lines.filter(({ message }) => message.startsWith("Turn "))
        assert.lengthOf(written, 1)
        assert.deepInclude(written[0], { level: ending.level, spanId: span?.spanId })
        assert.deepInclude(written[0]?.fields, { turn: turn.id, session: turn.sessionId, outcome: ending.outcome })

        const calls = spans.named("chat")
        assert.deepStrictEqual(calls.map(({ attributes }) => attributes["error.type"]), [...ending.calls])
        for (const call of calls) {
          assert.deepStrictEqual([call.kind, call.parentId, call.traceId], ["client", span?.spanId, span?.traceId])
          assert.deepInclude(call.attributes, {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "deterministic",
            "gen_ai.request.model": "echo"
          })
        }
        const heard = calls.at(-1)
        const hasToken = turn.text !== ""
        assert.strictEqual(
          typeof heard?.attributes["gen_ai.response.time_to_first_chunk"],
          hasToken ? "number" : "undefined"
        )
        if (turn.status === "completed") {
          assert.deepStrictEqual(heard?.attributes["gen_ai.response.finish_reasons"], [turn.finishReason])
          assert.strictEqual(heard?.attributes["gen_ai.usage.output_tokens"], turn.usage?.outputTokens)
        }
        assert.lengthOf(spans.named("context.build"), ending.calls.length === 0 ? 0 : 1)
        for (const word of [canary, said.trim(), system]) {
          assert.notInclude(jsonOf(spans.ended), word)
          assert.notInclude(jsonOf(lines), word)
        }
      }))
  }

  it.effect("and of one that its session's next supersedes", () => {
    const { lines, spans, telemetry } = watched()
    return Effect.gen(function*() {
      const session = yield* newSession
      const first = yield* submitScript(session, hanging)
      yield* awaitEvent(first.id, "model.delta")
      const next = yield* submitScript(session, steps({ say: "instead" }), { onBusy: "supersede" })
      yield* events(next.id)
      while (lines.length < 2) yield* Effect.yieldNow()
      assert.deepStrictEqual(
        spans.named("turn").map(({ attributes }) => [attributes["turnstream.turn.id"], attributes["error.type"]]),
        [[first.id, "superseded"], [next.id, undefined]]
      )
    }).pipe(Effect.provide(Layer.provideMerge(layerTest(everyLine), telemetry)))
  })

  it.effect("nothing is logged below the level that is set, and nothing at all at none", () =>
    Effect.gen(function*() {
      for (const [logLevel, expected] of [["info", 2], ["warning", 1], ["none", 0]] as const) {
        const { lines, spans, telemetry } = watched()
        yield* Effect.gen(function*() {
          const session = yield* newSession
          yield* events((yield* submitScript(session, steps({ say: said }))).id)
          yield* events((yield* submitScript(session, steps({ fail: { kind: "authentication" } }))).id)
          while (spans.named("turn").length < 2) yield* Effect.yieldNow()
          yield* Effect.yieldNow()
          assert.lengthOf(lines.filter(({ message }) => message.startsWith("Turn ")), expected, logLevel)
        }).pipe(
          Effect.provide(
            Layer.provideMerge(layerTest({ telemetry: { captureContent: false, logLevel } }), telemetry)
          )
        )
      }
    }))
})

describe("a vendor that quotes what was said in its error", () => {
  it.effect("does not bring it into a span or a line", () => {
    const { lines, spans, telemetry } = watched()
    const registry = Layer.effect(
      ProviderRegistry,
      Effect.map(ProviderRegistry, (real) => ({
        ...real,
        resolve: (id: string, model: string) =>
          Effect.map(real.resolve(id, model), (resolved) => ({
            ...resolved,
            provider: {
              ...resolved.provider,
              stream: () =>
                Stream.concat(
                  Stream.make<[ProviderEvent]>({ _tag: "Delta", kind: "text", text: said }),
                  Stream.fail(providerFailure("vendor", "server", { detail: `filtered: ${said} of ${canary}` }))
                )
            }
          }))
      }))
    ).pipe(Layer.provide(layerRegistry))
    const layers = layerRuntime.pipe(
      Layer.provideMerge(Layer.mergeAll(JournalMemory.layer, registry, layerContext)),
      Layer.provide(SettingsLoader.layerWith(everyLine)),
      Layer.provideMerge(telemetry),
      Layer.provideMerge(Logger.minimumLogLevel(LogLevel.All))
    )
    return Effect.gen(function*() {
      const { turn } = yield* submit(yield* newSession, { message: canary })
      yield* events(turn.id)
      while (spans.named("turn").length === 0) yield* Effect.yieldNow()
      yield* Effect.yieldNow()
      const everything = jsonOf(spans.ended) + jsonOf(lines)
      assert.include(everything, "server")
      assert.notInclude(everything, said.trim())
      assert.notInclude(everything, canary)
    }).pipe(Effect.provide(layers))
  })
})

describe("content in spans", () => {
  const key = "sk-canary0123456789abcdefghij"

  it.effect("a key at the beginning of a line, or where a long text is cut, is masked too", () => {
    const { spans, telemetry } = watched()
    const secret = 'correct "horse" battery'
    const settings = {
      telemetry: { captureContent: true, logLevel: "none" as const },
      providers: [{ id: "deterministic", contextWindow: 200_000, maxOutputTokens: 1_000 }],
      token: Redacted.make(secret)
    }
    return Effect.gen(function*() {
      const session = yield* newSession
      for (
        const message of [`my keys:\n${key}\n\tBearer abcdefghijkl`, `${secret} and`, `${"x".repeat(32_720)}${secret}`]
      ) {
        yield* events((yield* submit(session, { message })).turn.id)
      }
      const shown = spans.named("chat").map(({ attributes }) => String(attributes["gen_ai.input.messages"])).join()
      assert.notInclude(shown, key)
      assert.notInclude(shown, "abcdefghijkl")
      assert.notInclude(shown, "horse")
      assert.include(shown, "my keys:\\n***")
    }).pipe(Effect.provide(Layer.provideMerge(layerTest(settings), telemetry)))
  })

  it.effect("is there where it was asked for, without what looks like a key", () => {
    const { spans, telemetry } = watched()
    return Effect.gen(function*() {
      const script = steps({ reason: "I think" }, { say: `${said}${key}` }, {
        toolCall: { name: "look", arguments: { at: "it" } }
      })
      const { turn } = yield* submit(yield* newSession, {
        message: `${canary} ${key}`,
        options: { script, system: `${system} ${key}` }
      })
      yield* events(turn.id)
      const [call] = spans.named("chat")
      const content = (name: string) => JSON.parse(String(call?.attributes[name])) as unknown
      assert.deepStrictEqual(content("gen_ai.system_instructions"), [{ type: "text", content: `${system} ***` }])
      assert.deepStrictEqual(content("gen_ai.input.messages"), [
        { role: "user", parts: [{ type: "text", content: `${canary} ***` }] }
      ])
      const [answer] = content("gen_ai.output.messages") as ReadonlyArray<
        { readonly role: string; readonly parts: ReadonlyArray<Readonly<Record<string, unknown>>> }
      >
      assert.deepStrictEqual(answer?.parts.slice(0, 2), [
        { type: "reasoning", content: "I think" },
        { type: "text", content: `${said}***` }
      ])
      assert.deepInclude(answer?.parts[2], { type: "tool_call", name: "look", arguments: { at: "it" } })
      assert.notInclude(jsonOf(spans.ended), key)
    }).pipe(
      Effect.provide(
        Layer.provideMerge(layerTest({ telemetry: { captureContent: true, logLevel: "none" } }), telemetry)
      )
    )
  })

  it.effect("is cut where it is long", () => {
    const { spans, telemetry } = watched()
    return Effect.gen(function*() {
      const { turn } = yield* submit(yield* newSession, {
        message: "x".repeat(100_000),
        options: { script: steps({ big: 100_000 }) }
      })
      yield* events(turn.id)
      for (const name of ["gen_ai.input.messages", "gen_ai.output.messages"]) {
        assert.match(String(spans.named("chat")[0]?.attributes[name]), /^.{32768} \[cut\]$/)
      }
    }).pipe(
      Effect.provide(
        Layer.provideMerge(
          layerTest({
            telemetry: { captureContent: true, logLevel: "none" },
            providers: [{ id: "deterministic", contextWindow: 200_000, maxOutputTokens: 1_000 }]
          }),
          telemetry
        )
      )
    )
  })
})

describe("spans across a crash, on disk", () => {
  /** Runs `use` on an engine that is gone then; `storage.works` false: it wrote nothing any more. */
  const life = <A, E>(
    dataDir: string,
    spans: ReturnType<typeof Spans.make>,
    use: Effect.Effect<A, E, TurnRuntime | Journal>,
    storage = { works: true }
  ) =>
    Effect.gen(function*() {
      const gone = new JournalFailure({ operation: "append", retryable: false, reason: "gone" })
      const journal = Layer.map(layerIn(dataDir), (context) => {
        const real = Context.get(context, Journal)
        return Context.make(Journal, {
          ...real,
          ...appendingBy((append) => Effect.suspend(() => storage.works ? real.append(append) : Effect.fail(gone)))
        })
      })
      const settings = SettingsLoader.layerWith({ drainMs: 0, telemetry: { captureContent: false, logLevel: "none" } })
      const engine = layerRuntime.pipe(
        Layer.provideMerge(Layer.mergeAll(journal, layerRegistry, layerContext)),
        Layer.provide(settings),
        Layer.provide(spans.layer),
        Layer.provideMerge(spans.layer)
      )
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(engine, scope)
      const result = yield* use.pipe(Effect.provide(context), Effect.provide(spans.layer))
      storage.works = false
      yield* Scope.close(scope, Exit.void)
      return result
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))

  const begun = Effect.gen(function*() {
    const { id } = yield* submitScript(yield* newSession, hanging)
    yield* awaitEvent(id, "model.delta")
    const journal = yield* Journal
    return { id, trace: (yield* journal.turn(id)).trace }
  })

  it.scopedLive("a turn's span is kept with it, and its commits belong to it", () =>
    Effect.gen(function*() {
      const spans = Spans.make()
      const turn = yield* life(yield* freshFolder, spans, Effect.tap(begun, ({ id }) => cancel(id)))
      const span = spans.named("turn")[0]
      assert.deepStrictEqual({ ...turn.trace }, { traceId: span?.traceId ?? "", spanId: span?.spanId ?? "" })
      const commits = spans.named("journal.commit").filter(({ traceId }) => traceId === span?.traceId)
      // its end; its admission comes before anybody knows that there is such a turn
      assert.strictEqual(commits.length, 1)
      for (const { attributes } of commits) assert.isAbove(Number(attributes["turnstream.commit.writes"]), 0)
    }))

  it.scopedLive("the start that closes it does so in a span that links to it, and so does the turn that resumes it", () =>
    Effect.gen(function*() {
      const dataDir = yield* freshFolder
      const turn = yield* life(dataDir, Spans.make(), begun)
      assert.isDefined(turn.trace)
      const spans = Spans.make()
      const id = yield* life(
        dataDir,
        spans,
        Effect.gen(function*() {
          const runtime = yield* TurnRuntime
          const child = yield* runtime.resume(turn.id)
          yield* cancel(child.turn.id)
          return child.turn.id
        })
      )
      const [recovery] = spans.named("recovery")
      assert.deepInclude(recovery?.attributes, { "turnstream.recovery.turns": 1 })
      const closed = spans.ended.find(({ name }) => name === "recovery.turn")
      assert.deepInclude(closed?.attributes, {
        "turnstream.turn.id": turn.id,
        "turnstream.turn.status": "failed",
        "error.type": "crash"
      })
      assert.strictEqual(closed?.parentId, recovery?.spanId)
      const resumed = spans.named("turn").find(({ attributes }) => attributes["turnstream.turn.id"] === id)
      assert.deepInclude(resumed?.attributes, { "turnstream.turn.resume_of": turn.id })
      for (const span of [closed, resumed]) assert.deepStrictEqual([...span?.links ?? []], [{ ...turn.trace }])
    }))

  it.scopedLive("a commit of deltas alone has none", () =>
    Effect.gen(function*() {
      const spans = Spans.make()
      const commits = yield* life(
        yield* freshFolder,
        spans,
        Effect.gen(function*() {
          const { id } = yield* submitScript(yield* newSession, { deltas: 40, delayMs: 3 })
          yield* events(id)
          const journal = yield* Journal
          return (yield* journal.commits(id, 0, 1_000)).length
        })
      )
      assert.isAbove(commits, 20)
      assert.isBelow(spans.named("journal.commit").length, 10)
    }))
})

describe("whatever watches it", () => {
  it.scopedLive("a tracer that throws at commits, and a logger that throws, stop neither the writer nor a turn", () =>
    Effect.gen(function*() {
      const native = yield* Effect.tracer
      const throwing = Tracer.make({
        ...native,
        span: (name, ...rest) => {
          if (name === "journal.commit") throw new Error("no span")
          return native.span(name, ...rest)
        }
      })
      const logger = Logger.make(() => {
        throw new Error("no line")
      })
      const engine = layerIn(yield* freshFolder)
      const layers = layerRuntime.pipe(
        Layer.provideMerge(Layer.mergeAll(engine, layerRegistry, layerContext)),
        Layer.provide(SettingsLoader.layerWith({ ...everyLine, drainMs: 0 })),
        Layer.provideMerge(Layer.merge(Layer.setTracer(throwing), Logger.replace(Logger.defaultLogger, logger)))
      )
      const texts = yield* Effect.gen(function*() {
        const session = yield* newSession
        const first = yield* submitScript(session, steps({ say: "one" }))
        yield* events(first.id)
        const second = yield* submitScript(session, steps({ say: "two" }))
        yield* events(second.id)
        return [(yield* turnOf(first.id)).text, (yield* turnOf(second.id)).text]
      }).pipe(Effect.provide(layers))
      assert.deepStrictEqual(texts, ["one", "two"])
    }))

  it.effect("an ending that storage never takes is told as not ended, and counted as nothing", () => {
    const { lines, spans, telemetry } = watched()
    const gone = new JournalFailure({ operation: "append", retryable: false, reason: "SQLITE_FULL" })
    const storage = { works: true }
    const journal = Layer.map(JournalMemory.layer, (context) => {
      const real = Context.get(context, Journal)
      return Context.make(Journal, {
        ...real,
        ...appendingBy((append) => Effect.suspend(() => storage.works ? real.append(append) : Effect.fail(gone)))
      })
    })
    const layers = layerRuntime.pipe(
      Layer.provideMerge(Layer.mergeAll(journal, layerRegistry, layerContext)),
      Layer.provide(SettingsLoader.layerWith({ ...everyLine, drainMs: 0 }))
    )
    return Effect.gen(function*() {
      const before = endedWith("completed") + endedWith("Interrupted")
      yield* Effect.gen(function*() {
        const { id } = yield* submitScript(yield* newSession, steps({ say: said }, { wait: 1_000 }))
        yield* awaitEvent(id, "model.delta")
        storage.works = false
        yield* TestClock.adjust("2 seconds")
      }).pipe(Effect.provide(layers))
      assert.strictEqual(endedWith("completed") + endedWith("Interrupted"), before)
      const told = lines.filter(({ message }) => message.startsWith("Turn "))
      assert.deepStrictEqual(told.map(({ level, message }) => [level, message]), [["ERROR", "Turn not ended"]])
      assert.deepInclude(spans.named("turn")[0], { ok: false })
    }).pipe(Effect.provide(telemetry))
  })

  it.scopedLive("a submit that finds its turn by its key leaves no span behind", () =>
    Effect.gen(function*() {
      const spans = Spans.make()
      const layers = layerRuntime.pipe(
        Layer.provideMerge(Layer.mergeAll(layerIn(yield* freshFolder), layerRegistry, layerContext)),
        Layer.provide(SettingsLoader.layerWith({ telemetry: { captureContent: false, logLevel: "none" } })),
        Layer.provideMerge(spans.layer)
      )
      yield* Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        const sessionId = yield* newSession
        const request = { sessionId, message: "hello", idempotencyKey: "one" }
        const { turn } = yield* runtime.submit(request)
        yield* events(turn.id)
        assert.isTrue((yield* runtime.submit(request)).existing)
      }).pipe(Effect.provide(layers))
      assert.lengthOf(spans.named("turn"), 1)
      const ids = new Set(spans.ended.map(({ spanId }) => spanId))
      for (const { name, parentId } of spans.ended) assert.isTrue(parentId === undefined || ids.has(parentId), name)
    }))
})

describe("labels", () => {
  it("of models that clients name without end are a closed set", () => {
    for (let i = 0; i < 500; i++) TurnMetrics.ofCalls("open", `model-${i}`).firstChunk(0.1)
    TurnMetrics.reserve("open", "configured")
    TurnMetrics.ofCalls("open", "configured").firstChunk(0.1)
    const named = Metric.unsafeSnapshot().filter(({ metricKey }) =>
      metricKey.name === "gen_ai.client.operation.time_to_first_chunk"
    )
    // beside those of the configuration, and the one that the others share
    assert.isAtMost(named.length, 70)
    const models = named.flatMap(({ metricKey }) => metricKey.tags).filter(({ key }) => key === "gen_ai.request.model")
    assert.include(models.map(({ value }) => value), "other")
    assert.include(models.map(({ value }) => value), "configured")
    TurnMetrics.reserve("open", "***")
    TurnMetrics.ofCalls("open", "sk-abcdefghijklmnop").firstChunk(0.1)
    assert.notInclude(JSON.stringify(Metric.unsafeSnapshot().map(({ metricKey }) => metricKey.tags)), "sk-abcdefgh")
  })
})

describe("cancel", () => {
  it.effect("is measured to the end of the provider's stream", () =>
    Effect.gen(function*() {
      const observed = () =>
        Metric.unsafeSnapshot().find(({ metricKey }) => metricKey.name === "turnstream.cancel.upstream_close.duration")
          ?.metricState as { readonly count: number } | undefined
      const before = observed()?.count ?? 0
      yield* play(endings["cancelled in mid-stream"] ?? assert.fail())
      assert.strictEqual(observed()?.count, before + 1)
      yield* play(endings["completed"] ?? assert.fail())
      assert.strictEqual(observed()?.count, before + 1)
    }))
})

describe("usage", () => {
  it.effect("is priced by what is configured, in its event, the ledger and the log", () => {
    const { lines, telemetry } = watched()
    return Effect.gen(function*() {
      const session = yield* newSession
      const spent = () =>
        Metric.unsafeSnapshot().reduce((sum, { metricKey, metricState }) =>
          metricKey.name === "turnstream.cost"
            ? sum + (metricState as unknown as { readonly count: number }).count
            : sum, 0)
      const before = spent()
      const usage = { inputTokens: 1_000, cacheReadTokens: 400, outputTokens: 100 }
      const { id } = yield* submitScript(session, steps({ say: said }, { usage }))
      // 600 at 3, 400 at 0.3, 100 at 15, a million each
      const cost = 0.00342
      assert.strictEqual(one(yield* events(id), "telemetry.usage").data.cost, cost)
      const journal = yield* Journal
      assert.strictEqual((yield* journal.usage({ by: [] }))[0]?.costNanos, cost * 1e9)
      while (lines.length === 0) yield* Effect.yieldNow()
      assert.strictEqual(lines[0]?.fields["cost"], cost)
      assert.closeTo(spent() - before, cost, 1e-12)
    }).pipe(
      Effect.provide(
        Layer.provideMerge(
          layerTest({
            ...everyLine,
            providers: [{ id: "deterministic", prices: { input: 3, cached: 0.3, output: 15 } }]
          }),
          telemetry
        )
      )
    )
  })
})

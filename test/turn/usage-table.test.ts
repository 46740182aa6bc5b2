/** P14 as a table: every way a turn can end, against every place where its provider can have reported usage. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import type { TurnId } from "../../src/domain/Ids.ts"
import { checkJournal } from "../../src/domain/Invariants.ts"
import { JournalFailure, type ProviderFailure, providerFailure, type TurnError } from "../../src/domain/TurnError.ts"
import * as UsageSum from "../../src/domain/UsageSum.ts"
import { Journal } from "../../src/journal/Journal.ts"
import { layerContext, layerRuntime } from "../../src/layers.ts"
import type { ProviderEvent } from "../../src/provider/Provider.ts"
import { ProviderRegistry } from "../../src/provider/ProviderRegistry.ts"
import * as Estimate from "../../src/turn/Estimate.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { appendingBy } from "../journal/appending.ts"
import { freshFolder } from "../journal/databaseFixture.ts"
import { layerIn } from "../journal/sqlFixture.ts"
import { awaitEvent, events, newSession, submit, turnOf } from "./engine.ts"

const word: ProviderEvent = { _tag: "Delta", kind: "text", text: "four" }
const report = (outputTokens: number): ProviderEvent => ({
  _tag: "Usage",
  usage: UsageSum.make({ inputTokens: 100, outputTokens })
})

/** What the provider says before the end, and the output tokens that it reported last. */
const positions: Readonly<Record<string, { readonly said: ReadonlyArray<ProviderEvent>; readonly last?: number }>> = {
  "never": { said: [word, word] },
  "before the text": { said: [report(1), word, word], last: 1 },
  "after the text": { said: [word, word, report(2)], last: 2 },
  "twice": { said: [word, report(1), word, report(2)], last: 2 },
  "growing with the text": { said: [report(0), word, report(1), word, report(2)], last: 2 },
  "with no text": { said: [report(7)], last: 7 }
}

type Tail = Stream.Stream<ProviderEvent, ProviderFailure>
const hangs: Tail = Stream.never
const finishes: Tail = Stream.make<[ProviderEvent]>({ _tag: "Finish", reason: "stop" })

interface Ending {
  readonly tail: Tail
  /** What the turn ended with. */
  readonly error: TurnError["_tag"] | undefined
  /** Brings it about, once the provider has said what it says. */
  readonly act: (id: TurnId) => Effect.Effect<unknown, unknown, TurnRuntime | Journal>
  /** The process is gone: what the provider reported went with it. */
  readonly forgets?: true
}

/** Long enough for three attempts that never say a word. */
const wait = () => Effect.repeatN(Effect.zipRight(TestClock.adjust("10 seconds"), Effect.yieldNow()), 24)
const failing = (kind: ProviderFailure["kind"]): Tail => Stream.fail(providerFailure("told", kind))

const endings: Readonly<Record<string, Ending>> = {
  "completed": { tail: finishes, error: undefined, act: () => Effect.void },
  "failed for good": { tail: failing("authentication"), error: "ProviderFailure", act: () => Effect.void },
  "failed, perhaps tried again": { tail: failing("server"), error: "ProviderFailure", act: wait },
  "broken off": { tail: Stream.empty, error: "ProviderFailure", act: wait },
  "stalled": { tail: hangs, error: "ProviderFailure", act: wait },
  "cancelled": {
    tail: hangs,
    error: "Cancelled",
    act: (id) => Effect.flatMap(TurnRuntime, (runtime) => runtime.cancel(id))
  },
  "past its deadline": { tail: hangs, error: "Cancelled", act: () => TestClock.adjust("2 seconds") },
  "superseded": {
    tail: hangs,
    error: "Cancelled",
    act: (id) =>
      Effect.gen(function*() {
        const { submit } = yield* TurnRuntime
        const { turn } = yield* Effect.flatMap(Journal, (journal) => journal.turn(id))
        const newer = yield* submit({ sessionId: turn.sessionId, message: "instead", onBusy: "supersede" })
        yield* events(newer.turn.id)
      })
  },
  "shut down": {
    tail: hangs,
    error: "Interrupted",
    act: () => Effect.flatMap(TurnRuntime, (runtime) => runtime.drain)
  },
  "left by a crash": { tail: hangs, error: "Interrupted", act: () => Effect.void, forgets: true }
}

/** The first call says the lines; later ones (of who superseded) answer at once. Retries say them again. */
const registryOf = (said: ReadonlyArray<ProviderEvent>, tail: Tail) =>
  Layer.succeed(ProviderRegistry, {
    defaults: { provider: "told", model: () => "only" },
    resolve: (id) =>
      Effect.succeed({
        provider: {
          id,
          usageSource: "reported",
          stream: ({ messages }) => {
            const question = messages.at(-1)?.parts[0]
            const instead = question?.type === "text" && question.text === "instead"
            return instead
              ? Stream.concat(Stream.make(word, report(1)), finishes)
              : Stream.concat(Stream.fromIterable(said), tail)
          }
        },
        model: { id: "only", contextWindow: 10_000, contextWindowFrom: "configured", maxOutputTokens: 100 },
        capabilities: { streaming: true, tools: false, reasoning: false, prefix: true },
        generation: {}
      }),
    prices: () => undefined,
    diagnostics: Effect.succeed([])
  })

/** A life of the engine on the file; `storage.works` false: nothing is written any more, as if the process were gone. */
const layerLife = (dataDir: string, registry: ReturnType<typeof registryOf>, storage: { works: boolean }) => {
  const gone = new JournalFailure({ operation: "append", retryable: false, reason: "gone" })
  const journal = Layer.map(layerIn(dataDir), (context) => {
    const real = Context.get(context, Journal)
    return Context.make(Journal, {
      ...real,
      ...appendingBy((append) => Effect.suspend(() => storage.works ? real.append(append) : Effect.fail(gone)))
    })
  })
  return layerRuntime.pipe(
    Layer.provideMerge(Layer.mergeAll(journal, registry, layerContext)),
    Layer.provide(SettingsLoader.layerWith({ drainMs: 0 }))
  )
}

/** Ends a turn in this way and answers with its events, its resource, and the ledger. */
const play = (position: string, ending: Ending) =>
  Effect.gen(function*() {
    const { said } = positions[position] ?? assert.fail(position)
    const dataDir = yield* freshFolder
    const registry = registryOf(said, ending.tail)
    const storage = { works: true }
    const scope = yield* Scope.make()
    const first = yield* Layer.buildWithScope(layerLife(dataDir, registry, storage), scope)
    const deadline = ending === endings["past its deadline"] ? { options: { deadlineMs: 1_000 } } : {}
    const id = yield* Effect.gen(function*() {
      const { turn } = yield* submit(yield* newSession, deadline)
      yield* position === "with no text"
        ? awaitEvent(turn.id, "attempt.started")
        : awaitEvent(turn.id, "model.delta", 2)
      // what stands behind the last delta is heard before the commit that a reader sees it by
      yield* Effect.yieldNow()
      yield* ending.act(turn.id)
      return turn.id
    }).pipe(Effect.provide(first))
    const facts = Effect.gen(function*() {
      const journal = yield* Journal
      return {
        all: yield* events(id),
        turn: yield* turnOf(id),
        ledger: yield* journal.usage({ by: ["session"] }),
        others: (yield* journal.turns((yield* turnOf(id)).sessionId, { cursor: undefined, limit: 9 })).items.filter((
          turn
        ) => turn.id !== id)
      }
    })
    if (ending.forgets !== true) {
      return yield* Effect.ensuring(Effect.provide(facts, first), Scope.close(scope, Exit.void))
    }
    storage.works = false
    yield* Scope.close(scope, Exit.void)
    return yield* Effect.provide(facts, layerLife(dataDir, registry, { works: true }))
  })

const tokens = (value: number | null | undefined) => value ?? 0

describe("P14: usage once per attempt, with what is known, and the ledger adds up", () => {
  for (const [name, ending] of Object.entries(endings)) {
    for (const [position, { last, said }] of Object.entries(positions)) {
      it.scoped(`${name}, usage reported ${position}`, () =>
        Effect.gen(function*() {
          const { all, ledger, others, turn } = yield* play(position, ending)
          assert.strictEqual(turn.error?._tag, ending.error)
          assert.deepStrictEqual(checkJournal(all, { ended: true }), [])
          const usages = all.filter((event) => event.type === "telemetry.usage")
          assert.lengthOf(usages, turn.attempts)
          const known = ending.forgets === true ? undefined : last
          for (const { data } of usages) {
            assert.strictEqual(data.source, known === undefined ? "estimated" : "reported")
            const words = said.map((event) => event._tag === "Delta" ? event.text : "").join("")
            // nothing is known of a call that said nothing
            assert.strictEqual(data.usage.outputTokens, known ?? (words === "" ? null : Estimate.ofText(words)))
          }
          assert.strictEqual(turn.usage?.outputTokens, known === undefined ? undefined : known * turn.attempts)
          const sum = usages.reduce((total, { data }) => total + tokens(data.usage.outputTokens), 0)
          assert.strictEqual(tokens(ledger[0]?.usage.outputTokens), sum + others.length)
        }))
    }
  }
})

/** How long a cancel takes, phase by phase: to the upstream's socket where there is one, else to the answer (P11). */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import type { SessionId, TurnId } from "../../src/domain/Ids.ts"
import type { EventType } from "../../src/domain/TurnEvent.ts"
import * as Page from "../../src/http/Page.ts"
import * as Server from "../../src/http/Server.ts"
import { Journal } from "../../src/journal/Journal.ts"
import { layerContext, layerRuntime } from "../../src/layers.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import { layerIn } from "../journal/sqlFixture.ts"
import { newSession, withFolder } from "./engine.ts"
import { type Behaviour, layerRegistry, type Upstream, upstream } from "./upstream.ts"

export const phases = ["queued", "before the first byte", "streaming", "backoff", "committing"] as const
export type Phase = (typeof phases)[number]

/** Milliseconds of each cancel, by phase. */
export interface Latencies {
  readonly ms: Readonly<Record<Phase, ReadonlyArray<number>>>
  readonly wrong: ReadonlyArray<string>
}

/** The value that `share` of all stay below. */
export const quantile = (values: ReadonlyArray<number>, share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN

type Cancel = (id: TurnId) => Effect.Effect<unknown, unknown>

const awaitEvent = (id: TurnId, type: EventType) =>
  Effect.flatMap(
    Journal,
    (journal) =>
      journal.follow(id, 0).pipe(Stream.filter((event) => event.type === type), Stream.take(1), Stream.runDrain)
  )

const submit = (sessionId: SessionId, behaviour: Behaviour) =>
  Effect.flatMap(
    TurnRuntime,
    (runtime) => Effect.map(runtime.submit({ sessionId, message: behaviour, onBusy: "queue" }), ({ turn }) => turn.id)
  )

/** Brings a turn into the phase; `socket`: whether the upstream must notice. */
const enter = (phase: Phase, upstream: Upstream) =>
  Effect.gen(function*() {
    const sessionId = yield* newSession
    const arrived = upstream.arrived()
    switch (phase) {
      case "queued": {
        yield* submit(sessionId, "silent")
        yield* Effect.promise(() => arrived)
        return { id: yield* submit(sessionId, "silent"), socket: false, others: sessionId }
      }
      case "before the first byte": {
        const id = yield* submit(sessionId, "silent")
        yield* Effect.promise(() => arrived)
        return { id, socket: true, others: undefined }
      }
      case "streaming": {
        const id = yield* submit(sessionId, "streaming")
        yield* awaitEvent(id, "model.delta")
        return { id, socket: true, others: undefined }
      }
      case "backoff": {
        const id = yield* submit(sessionId, "fails")
        yield* awaitEvent(id, "attempt.failed")
        return { id, socket: false, others: undefined }
      }
      case "committing": {
        const id = yield* submit(sessionId, "ends")
        yield* Effect.promise(() => arrived)
        return { id, socket: false, others: undefined }
      }
    }
  })

const measure = (rounds: number, upstream: Upstream, cancel: Cancel) =>
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    const journal = yield* Journal
    const wrong: Array<string> = []
    const ms = Object.fromEntries(phases.map((phase) => [phase, [] as Array<number>])) as Record<Phase, Array<number>> // one list each
    for (let round = 0; round < rounds; round++) {
      for (const phase of phases) {
        const { id, others, socket } = yield* enter(phase, upstream)
        const calls = upstream.calls()
        const closed = upstream.closed()
        const begun = performance.now()
        yield* cancel(id)
        const answered = performance.now()
        const { turn } = yield* journal.turn(id)
        if (turn.status === "running") wrong.push(`${phase}: answered while the turn runs`)
        if (phase !== "committing" && turn.error?._tag !== "Cancelled") {
          wrong.push(`${phase}: ended as ${turn.error?._tag}`)
        }
        if (upstream.calls() !== calls) wrong.push(`${phase}: the upstream was called again`)
        ms[phase].push((socket ? yield* Effect.promise(() => closed) : answered) - begun)
        if (others !== undefined) yield* runtime.deleteSession(others)
      }
    }
    return { ms, wrong }
  })

const layerEngine = (dataDir: string, upstream: Upstream) =>
  layerRuntime.pipe(
    Layer.provideMerge(Layer.mergeAll(layerIn(dataDir), layerRegistry(upstream), layerContext)),
    Layer.provideMerge(SettingsLoader.layerWith({ drainMs: 0 }))
  )

export const inProcess = (rounds: number): Effect.Effect<Latencies, unknown> =>
  withFolder((dataDir) =>
    Effect.flatMap(upstream, (upstream) =>
      Effect.gen(function*() {
        const runtime = yield* TurnRuntime
        return yield* measure(rounds, upstream, runtime.cancel)
      }).pipe(Effect.provide(layerEngine(dataDir, upstream))))
  )

/** The same by `POST /v1/turns/{id}/cancel`. */
export const overHttp = (rounds: number): Effect.Effect<Latencies, unknown> =>
  withFolder((dataDir) =>
    Effect.gen(function*() {
      const model = yield* upstream
      const layer = Server.layer.pipe(
        Layer.provide(Page.layerEmpty),
        Layer.provideMerge(layerEngine(dataDir, model))
      )
      const context = yield* Layer.build(layer)
      const { url } = Context.get(context, Server.Server)
      const cancel: Cancel = (id) =>
        Effect.promise(async () => (await fetch(`${url}/v1/turns/${id}/cancel`, { method: "POST" })).text())
      return yield* Effect.provide(measure(rounds, model, cancel), context)
    })
  )

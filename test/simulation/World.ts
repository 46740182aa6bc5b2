/**
 * One file, one life of the engine after the other: opened, crashed, recovered, shut down. A crash lets no statement of
 * the dead engine through any more; what it still does on its way is heard by nobody.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalSql from "../../src/journal/JournalSql.ts"
import { layerContext, layerRuntime } from "../../src/layers.ts"
import { TurnRuntime } from "../../src/turn/TurnRuntime.ts"
import type { JournalView } from "./JournalView.ts"
import type { Model } from "./Model.ts"
import { type SimRuntime, whyNot } from "./SimRuntime.ts"
import * as SimStorage from "./SimStorage.ts"
import * as SteeredProvider from "./SteeredProvider.ts"

/** Small numbers, so that a few steps reach each bound. */
const settingsOf = (onRestart: "interrupt" | "resume"): SettingsLoader.Overrides => ({
  drainMs: 1_000,
  recovery: { onRestart, maxResumes: 2 },
  limits: {
    runningTurns: 4,
    queuedTurns: 3,
    outputBytesPerTurn: 2_048,
    firstTokenMs: 10_000,
    idleMs: 5_000,
    totalMs: 40_000
  }
})

export interface Life {
  readonly runtime: TurnRuntime["Type"]
  readonly journal: Journal["Type"]
  readonly faults: SimStorage.Faults
  readonly scope: Scope.CloseableScope
}

export interface WorldOptions {
  readonly sim: SimRuntime
  readonly view: JournalView
  readonly model: Model
  readonly dataDir: string
  readonly onRestart: "interrupt" | "resume"
  readonly note: (line: () => string) => void
}

/** Virtual time that a start or an end may take; beyond it, it hangs. */
const patienceMs = 60_000

export const make = ({ dataDir, model, note, onRestart, sim, view }: WorldOptions) => {
  let life: Life | undefined
  let crashes = 0
  const live: Array<SteeredProvider.Call> = []
  const made: Array<SteeredProvider.Call> = []
  let answering = false

  const answer = (call: SteeredProvider.Call) => {
    call.tell({ _tag: "Events", events: [{ _tag: "Delta", kind: "text", text: `${call.number}! ` }] })
    call.tell({ _tag: "Events", events: [{ _tag: "Finish", reason: "stop" }] })
    call.tell({ _tag: "End" })
  }

  const makeLife = () => {
    const { faults, layer: layerStorage } = SimStorage.make(() => view.catchUp())
    const provider = SteeredProvider.make((call) => {
      made.push(call)
      // what a dead process asks for, nobody hears
      if (faults.dead()) return
      model.called(call)
      live.push(call)
      note(() => `  call ${call.number} for ${call.turnId}, attempt ${call.request.attempt}`)
      if (answering) answer(call)
    })
    const layer = layerRuntime.pipe(
      Layer.provideMerge(
        Layer.mergeAll(Layer.provide(JournalSql.layer, layerStorage(dataDir)), provider.layer, layerContext)
      ),
      Layer.provide(SettingsLoader.layerWith(settingsOf(onRestart)))
    )
    return { faults, provider, layer }
  }

  /** Ends a life whose statements fail; also one that only half began. */
  const bury = async (faults: SimStorage.Faults, scope: Scope.CloseableScope): Promise<void> => {
    faults.kill()
    model.had.crash = true
    crashes++
    life = undefined
    live.length = 0
    for (const ask of model.asks) if (ask.state === "waiting") ask.state = "lost"
    for (const follower of model.followers) if (follower.state === "joined") follower.state = "lost"
    const closed = await sim.finish(Scope.close(scope, Exit.void), patienceMs)
    if (closed === undefined) model.violate("P22", "", "a dead engine does not let go")
    view.catchUp()
  }

  const crash = async (): Promise<void> => {
    if (life === undefined) return
    note(() => "  the process dies")
    await bury(life.faults, life.scope)
  }

  /** Opens the file; where that fails or dies on the way, it stays closed. */
  const open = async (dieIn: number, dieAfter: boolean): Promise<void> => {
    const { faults, layer, provider } = makeLife()
    faults.dieIn = dieIn
    faults.dieAfter = dieAfter
    const before = new Set(
      view.rows<{ id: string }>("SELECT id FROM turns WHERE status = 'running'").map(({ id }) => id)
    )
    const scope = Effect.runSync(Scope.make())
    const exit = await sim.finish(Layer.buildWithScope(layer, scope), patienceMs)
    if (exit?._tag !== "Success" || faults.dead()) {
      note(() => `  the start fails: ${exit === undefined ? "it hangs" : whyNot(exit)}`)
      if (!faults.dead()) {
        model.violate("P6", "", `a start without a fault fails: ${exit === undefined ? "it hangs" : whyNot(exit)}`)
      }
      model.count("crash during recovery")
      await bury(faults, scope)
      return
    }
    faults.dieIn = 0
    view.catchUp()
    model.recovered(before, provider.calls(), onRestart === "resume")
    life = {
      runtime: Context.get(exit.value, TurnRuntime),
      journal: Context.get(exit.value, Journal),
      faults,
      scope
    }
  }

  const shutdown = async (): Promise<void> => {
    if (life === undefined) return
    const { faults, runtime, scope } = life
    model.had.shutdown = true
    const closed = await sim.finish(Effect.zipRight(runtime.drain, Scope.close(scope, Exit.void)), patienceMs)
    if (faults.dead()) {
      await bury(faults, scope)
      return
    }
    if (closed === undefined) model.violate("P22", "", "a shutdown hangs")
    life = undefined
    live.length = 0
    const open = view.rows<{ id: string }>("SELECT id FROM turns WHERE status = 'running'")
    const mayBeLeft = faults.full || faults.busy > 0
    // the next start finds them as a crash leaves them
    if (open.length > 0) model.had.crash = true
    for (const { id } of open) if (!mayBeLeft) model.violate("P22", id, "a turn is open after a shutdown")
    for (const follower of model.followers) {
      if (follower.state === "joined" && follower.slow) follower.state = "lost"
      else if (follower.state === "joined") {
        model.violate("P22", "", `follower ${follower.number} is open after a shutdown`)
      }
    }
    for (const ask of model.asks) {
      if (ask.state === "waiting") {
        model.violate("P22", ask.turnId ?? "", `ask ${ask.number} is not answered after a shutdown`)
      }
    }
  }

  return {
    life: () => life,
    crash,
    open,
    shutdown,
    crashes: () => crashes,
    /** Calls that may still be steered. */
    calls: () => live.filter((call) => call.open),
    /** Nothing of this world waits any more. */
    end: () => {
      for (const call of made) call.letGo()
      return sim.end()
    },
    /** From now on providers answer at once. */
    answerAll: () => {
      answering = true
      for (const call of live) if (call.open && !call.stalled) answer(call)
    }
  }
}

export type World = ReturnType<typeof make>

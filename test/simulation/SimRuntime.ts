/**
 * A world with time and order of its own, for one engine at a time: a clock that only `advance` moves, a scheduler that
 * only `settle` and `run` turn, chance from one seed. Two runs with the same seed do the same, fiber by fiber.
 *
 * - Wall time can be set back or forth (`setWall`) while the time that sleeps are measured by goes on.
 * - Fibers take turns first come first served or, with `shuffle`, in an order drawn from the seed: any order between
 *   fibers is one that could happen.
 * - The engine's only wait outside of this is the end of a turn of the event loop (the writer's tick). The world is
 *   settled when a whole turn of the loop passed in which no fiber ran.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import type * as Scheduler from "effect/Scheduler"
import { PCGRandom } from "effect/Utils"

/** A Thursday. */
const startMillis = 1_767_225_600_000

interface Sleeper {
  readonly due: number
  readonly wake: () => void
}

export interface SimOptions {
  readonly seed: number
  readonly shuffle: boolean
}

/** No engine of ours runs this many steps of fibers without the world settling. */
const tasksMax = 2_000_000

export const make = ({ seed, shuffle }: SimOptions) => {
  let mono = 0
  let wall = startMillis
  let sleepers: Array<Sleeper> = []
  const tasks: Array<Scheduler.Task> = []
  let ran = 0
  const order = new PCGRandom(seed ^ 0x5eed)

  const sleep = (duration: Duration.Duration) =>
    Effect.async<void>((resume) => {
      const sleeper: Sleeper = { due: mono + Duration.toMillis(duration), wake: () => resume(Effect.void) }
      if (sleeper.due <= mono) return resume(Effect.void)
      // sorted by due time; equal times in the order of their asking
      const place = sleepers.findIndex((other) => other.due > sleeper.due)
      if (place < 0) sleepers.push(sleeper)
      else sleepers.splice(place, 0, sleeper)
      return Effect.sync(() => {
        sleepers = sleepers.filter((other) => other !== sleeper)
      })
    })

  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => Math.floor(wall + mono),
    currentTimeMillis: Effect.sync(() => Math.floor(wall + mono)),
    unsafeCurrentTimeNanos: () => BigInt(Math.round(mono * 1e6)),
    currentTimeNanos: Effect.sync(() => BigInt(Math.round(mono * 1e6))),
    sleep
  }

  const scheduler: Scheduler.Scheduler = {
    shouldYield: (fiber) =>
      fiber.currentOpCount > fiber.getFiberRef(FiberRef.currentMaxOpsBeforeYield)
        ? fiber.getFiberRef(FiberRef.currentSchedulingPriority)
        : false,
    scheduleTask: (task) => {
      tasks.push(task)
    }
  }
  const random = Random.make(seed)

  const run = (most: number): void => {
    for (let left = most; left > 0 && tasks.length > 0; left--) {
      const [task] = tasks.splice(shuffle ? order.integer(tasks.length) : 0, 1)
      ran++
      if (ran > tasksMax) throw new Error("the engine never comes to rest")
      task?.()
    }
  }

  const loopTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

  /** Until nothing moves any more without time passing. */
  const settle = async (): Promise<void> => {
    for (;;) {
      run(Number.POSITIVE_INFINITY)
      const before = ran
      await loopTurn()
      run(Number.POSITIVE_INFINITY)
      if (ran === before) return
    }
  }

  const advance = async (ms: number): Promise<void> => {
    const end = mono + ms
    await settle()
    for (let next = sleepers[0]; next !== undefined && next.due <= end; next = sleepers[0]) {
      mono = next.due
      while (sleepers[0] !== undefined && sleepers[0].due <= mono) sleepers.shift()?.wake()
      await settle()
    }
    mono = end
  }

  const fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  const fork = <A, E>(effect: Effect.Effect<A, E>): Fiber.RuntimeFiber<A, E> => {
    const fiber = Effect.runFork(
      effect.pipe(
        Effect.withClock(clock),
        Effect.withRandom(random),
        Effect.withTracerEnabled(false),
        Logger.withMinimumLogLevel(LogLevel.None)
      ),
      { scheduler }
    )
    fibers.add(fiber)
    fiber.addObserver(() => fibers.delete(fiber))
    return fiber
  }

  /** Ends what still waits, so that nothing of this world is kept. */
  const end = async (): Promise<void> => {
    for (const fiber of fibers) fork(Fiber.interruptFork(fiber))
    await settle()
  }

  /** Lets time pass until the effect ends, `maxMs` at most. */
  const finish = async <A, E>(effect: Effect.Effect<A, E>, maxMs: number): Promise<Exit.Exit<A, E> | undefined> => {
    const fiber = fork(effect)
    const end = mono + maxMs
    await settle()
    while (fiber.unsafePoll() === null && mono < end) await advance(Math.min(25, end - mono))
    return fiber.unsafePoll() ?? undefined
  }

  return {
    clock,
    run,
    loopTurn,
    settle,
    advance,
    fork,
    finish,
    end,
    setWall: (ms: number) => {
      wall += ms
    },
    millis: () => mono,
    tasks: () => ran
  }
}

export type SimRuntime = ReturnType<typeof make>

/** The failure or defect of an exit, as a short text. */
export const whyNot = <A, E>(exit: Exit.Exit<A, E>): string =>
  exit._tag === "Success" ? "success" : Cause.pretty(exit.cause).split("\n", 3).join(" ")

/**
 * How much memory a service takes beyond what it needs: its heap lives on some 14 MB, and V8 left to itself lets several
 * times as much garbage lie before it collects. Measured on a 24 MB answer with 40 stuck readers: 125 MB more, 26 MB with
 * this; idle 72 MB instead of 85.
 *
 * - The nursery (new objects) grows only while there is use for it: a restart with many turns to close, or `busyTurns`
 *   turns at once, whose objects live longer than a small nursery lets them. Kept small under such a load it costs two
 *   thirds more CPU; kept large it holds 40 MB. A start with nothing to close has none: where it let the nursery grow once,
 *   the service held 4 MB more for good, and a lone stream at 25 MB/s cost 7% less CPU.
 * - Old space is collected when it grew by a fifth (8 MB at least). V8 sets the limit of one collection at the end of the
 *   one before, so the rule must stand before the one that ends the loading of modules. Set when the service was ready, it
 *   let 26 MB of garbage lie before the first collection under load, and 12 before each later one. Neither a long start nor
 *   a busy service has it: closing thousands of turns costs a tenth more CPU with it, and 16 turns at once a third more,
 *   on threads that no profile of the main one shows.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8"
import { TurnRuntime } from "../turn/TurnRuntime.ts"

const busyTurns = 8
/** A burst of a hundred turns is over within a second: looked at once a second, it cost a third more. */
const lookEvery = "100 millis"
/** An engine with nothing to close starts in a third of this; closing thousands of turns takes a second. */
const longStart = "200 millis"

/**
 * What the nursery may be for fewer turns: a delta of a lone stream costs a tenth less with it, and 40 readers that take
 * nothing of 24 MB grow the service by 19 MB. With 10 MB it was up to 38 of the 40 that are promised.
 */
const loneNurseryBytes = 6 * 1024 * 1024

const nurseryBytes = (): number =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? 0

const nursery = (size: "small" | "grows") =>
  setFlagsFromString(`--semi-space-growth-factor=${size === "small" ? 1 : 2}`)

/** `free`: as much as V8 thinks right. */
const oldSpace = (growth: "bounded" | "free") =>
  setFlagsFromString(`--heap-growing-percent=${growth === "bounded" ? 20 : 0}`)

/** Before modules are loaded; what they leave lives on, and a nursery that grew with it would stay. */
export const loading = (): void => {
  nursery("small")
  oldSpace("bounded")
}

/** The engine, with a heap that fits first its start and then its load. */
export const around = <A, E, R>(engine: Layer.Layer<A | TurnRuntime, E, R>): Layer.Layer<A | TurnRuntime, E, R> =>
  Layer.scopedContext(Effect.gen(function*() {
    const give = Effect.sync(() => {
      nursery("grows")
      oldSpace("free")
    })
    const long = yield* Effect.forkScoped(Effect.delay(give, longStart))
    const built = yield* Layer.build(engine)
    yield* Fiber.interrupt(long)
    oldSpace("bounded")
    const { running } = Context.get(built, TurnRuntime)
    const look = Effect.map(running, (turns) => {
      const isBusy = turns >= busyTurns
      nursery(isBusy || (turns > 0 && nurseryBytes() < loneNurseryBytes) ? "grows" : "small")
      oldSpace(isBusy ? "free" : "bounded")
    })
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(look, Effect.sleep(lookEvery))))
    return built
  }))

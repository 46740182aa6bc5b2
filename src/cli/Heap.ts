/**
 * How much memory a service takes beyond what it needs: its heap lives on some 20 MB, and V8 left to itself lets several
 * times as much garbage lie before it collects. Measured on a 24 MB answer with 40 stuck readers: 125 MB more, 40 MB with
 * this; idle 73 MB instead of 85.
 *
 * - The nursery (new objects) grows only while there is use for it: a restart with many turns to close, or `busyTurns`
 *   turns at once, whose objects live longer than a small nursery lets them. Kept small under such a load it costs two
 *   thirds more CPU; kept large it holds 40 MB.
 * - Old space is collected when it grew by a fifth, once the service is ready; that costs about a tenth more CPU.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { setFlagsFromString } from "node:v8"
import { TurnRuntime } from "../turn/TurnRuntime.ts"

const busyTurns = 8
/** A load that lasts less is over before a larger nursery pays. */
const lookEvery = Schedule.spaced("1 second")

const nursery = (size: "small" | "grows") =>
  setFlagsFromString(`--semi-space-growth-factor=${size === "small" ? 1 : 2}`)

/** While modules are loaded; what they leave lives on, and a nursery that grew with it would stay. */
export const loading = (): void => nursery("small")

/** While the engine starts: recovery may have thousands of turns in hand. */
export const starting = (): void => nursery("grows")

export const layer: Layer.Layer<never, never, TurnRuntime> = Layer.scopedDiscard(
  Effect.gen(function*() {
    const runtime = yield* TurnRuntime
    setFlagsFromString("--heap-growing-percent=20")
    const look = Effect.map(runtime.running, (turns) => nursery(turns >= busyTurns ? "grows" : "small"))
    yield* Effect.forkScoped(Effect.repeat(look, lookEvery))
  })
)

/** A load: what is asked of an engine, round by round, and what is measured of it. */
import type { Engine, Service } from "../engines/Engine.ts"
import type { Seen } from "../engines/TurnReader.ts"
import { deltaLength, type Upstream } from "../engines/Upstream.ts"
import type { Metered } from "../kit/ProcessUse.ts"
import * as Program from "../kit/Program.ts"
import type { Sizes } from "./Sizes.ts"

/** One round of one engine. */
export interface Sample {
  /** By the id of a figure (`report/Figures.ts`). */
  readonly values: Readonly<Record<string, number>>
  /** Share of the time in which the engine was ready to run but had no core; undefined where that says nothing. */
  readonly waiting?: number
}

export interface Context {
  readonly upstream: Upstream
  readonly sizes: Sizes
}

export interface Load {
  readonly name: string
  /** Makes an engine ready and warm: what runs one round of it. Whoever called this ends what was started. */
  readonly begin: (engine: Engine, context: Context) => Promise<() => Promise<Sample>>
  /** The same without an engine, where a figure is what an engine adds. */
  readonly direct?: (context: Context) => Promise<Sample>
}

/** One service for all rounds, after one round that warms it up. */
export const onService =
  (round: (service: Service, context: Context) => Promise<Sample>): Load["begin"] => async (engine, context) => {
    const service = await engine.start(context.upstream, Program.freshFolder())
    const once = () => round(service, context)
    await once()
    return once
  }

export const waitingOf = ({ waitedMs, wallMs }: Metered<unknown>): number => waitedMs / wallMs

/** A turn that showed less than it was told is no turn: nothing that follows from it counts. */
export const whole = (seen: Seen, deltas: number): Seen => {
  if (seen.characters === deltas * deltaLength) return seen
  throw new Error(`a turn showed ${seen.characters} of ${deltas * deltaLength} characters`)
}

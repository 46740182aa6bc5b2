/** What everything that clients do has in common: a fiber of its own, whose answer counts only while its process lives. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { JournalView } from "./JournalView.ts"
import type { Model } from "./Model.ts"
import type { SimRuntime } from "./SimRuntime.ts"
import type { Life } from "./World.ts"

/** `reason` of a broken-off stream, else the tag of a failure, else the defect. */
export const nameOf = (cause: Cause.Cause<unknown>): string => {
  const failure = Cause.failureOption(cause)
  if (failure._tag === "None") return `a defect: ${Cause.pretty(cause).split("\n", 2).join(" ")}`
  const error = failure.value as { readonly _tag?: string; readonly reason?: string } // tagged errors all
  return error._tag === "FollowEnded" ? error.reason ?? "" : error._tag ?? "untagged"
}

export const at = <A>(list: ReadonlyArray<A>, pick: number): A | undefined => list[pick % list.length]

export interface Stage {
  readonly sim: SimRuntime
  readonly view: JournalView
  readonly model: Model
  readonly note: (line: () => string) => void
}

/** Runs a command; what it answers is told unless the process that gave the answer is dead. */
export const command = <A, E>(
  { sim }: Stage,
  life: Life,
  effect: Effect.Effect<A, E>,
  told: (exit: Exit.Exit<A, E>) => void
): void => {
  sim.fork(
    Effect.map(Effect.exit(effect), (exit) => {
      if (!life.faults.dead()) told(exit)
    })
  )
}

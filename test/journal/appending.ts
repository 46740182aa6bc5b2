/** A journal whose appends go another way: what running turns gather goes that way too. */
import * as Effect from "effect/Effect"
import type { AppendSource, Journal } from "../../src/journal/Journal.ts"

type Append = Journal["Type"]["append"]

/** The two ways in of a turn's events, both by `append`. What a turn pushes in one go is one append. */
export const appendingBy = (append: Append): Pick<Journal["Type"], "append" | "enlist"> => ({
  append,
  enlist: (source: AppendSource) => {
    const { span } = source
    const write = Effect.suspend(() => {
      const taken = source.take()
      return taken === undefined
        ? Effect.void
        : Effect.flatMap(
          Effect.exit(span === undefined ? append(taken) : Effect.withParentSpan(append(taken), span)),
          (exit) => Effect.sync(() => source.settle(exit))
        )
    })
    Effect.runFork(Effect.zipRight(Effect.yieldNow(), write))
  }
})

/** What a handler of a route is, and what it may answer. */
import type * as Effect from "effect/Effect"
import type { Answer } from "./Answer.ts"
import type { Exchange } from "./Exchange.ts"
import type * as Problem from "./Problem.ts"
import type { Decoded, Route } from "./Routes.ts"

/** An answer that is known at once takes no fiber. */
export type Outcome = Answer | Effect.Effect<Answer, Problem.Refusal>

export type Handler<Path, Query> = (asked: Exchange<Path, Query>) => Outcome

/** One for each route of a group. */
export type Handlers<Group extends { readonly [name: string]: Route }> = {
  readonly [Name in keyof Group]: Handler<Decoded<Group[Name]["params"]>, Decoded<Group[Name]["query"]>>
}

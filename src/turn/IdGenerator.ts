/**
 * New ids that sort by creation: `<prefix>_<time><count><chance>` in Crockford base 32 (lower case, no i l o u).
 *
 * Time is `Clock` in milliseconds but never goes back, and `count` rises within one millisecond, so that ids of one
 * process sort in the order of their making even if the clock is set back. Eight characters of chance (40 bits) keep
 * the ids of two processes apart.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { MessageId, SessionId, TurnId } from "../domain/Ids.ts"

export class IdGenerator extends Context.Tag("turnstream/turn/IdGenerator")<IdGenerator, {
  readonly sessionId: Effect.Effect<SessionId>
  readonly turnId: Effect.Effect<TurnId>
  readonly messageId: Effect.Effect<MessageId>
}>() {}

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const base32 = (value: number, length: number): string => {
  let text = ""
  for (let rest = value, i = 0; i < length; i++) {
    text = alphabet.charAt(rest % 32) + text
    rest = Math.floor(rest / 32)
  }
  return text
}

/** 2^20 ids a millisecond before the count wraps into the next one. */
const countMax = 32 ** 4

/** Eight characters. */
const chanceMax = 32 ** 8

export const layer: Layer.Layer<IdGenerator> = Layer.effect(
  IdGenerator,
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const random = yield* Effect.randomWith((random) => Effect.succeed(random))
    let time = 0
    let count = 0
    const next = <Id extends string>(prefix: string, make: (id: string) => Id): Effect.Effect<Id> =>
      Effect.map(random.nextIntBetween(0, chanceMax), (chance) => {
        const now = clock.unsafeCurrentTimeMillis()
        if (now > time) {
          time = now
          count = 0
        } else if (++count === countMax) {
          time += 1
          count = 0
        }
        return make(`${prefix}_${base32(time, 10)}${base32(count, 4)}${base32(chance, 8)}`)
      })
    return {
      sessionId: next("s", SessionId.make),
      turnId: next("t", TurnId.make),
      messageId: next("m", MessageId.make)
    }
  })
)

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
import * as Random from "effect/Random"
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

export const layer: Layer.Layer<IdGenerator> = Layer.effect(
  IdGenerator,
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    let time = 0
    let count = 0
    const next = (prefix: string) =>
      Effect.map(Effect.zip(Random.nextIntBetween(0, 2 ** 20), Random.nextIntBetween(0, 2 ** 20)), ([high, low]) => {
        const now = clock.unsafeCurrentTimeMillis()
        if (now > time) {
          time = now
          count = 0
        } else if (++count === countMax) {
          time += 1
          count = 0
        }
        return `${prefix}_${base32(time, 10)}${base32(count, 4)}${base32(high, 4)}${base32(low, 4)}`
      })
    return {
      sessionId: Effect.map(next("s"), (id) => SessionId.make(id)),
      turnId: Effect.map(next("t"), (id) => TurnId.make(id)),
      messageId: Effect.map(next("m"), (id) => MessageId.make(id))
    }
  })
)

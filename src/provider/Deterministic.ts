/**
 * The deterministic provider: no network, all time on `Clock`, the same answer to the same request. It plays a script
 * (`options.script`) or one of its built-in models, and misbehaves exactly as a script asks; containing that is the
 * engine's work.
 *
 * Invariants: what was said is delivered before any wait, failure or hang; a chunk is bounded by `chunkEvents` (or one
 * burst) and `chunkChars`, except for a single delta that is larger; a run without waits gives the event loop a turn
 * every `pauseCost`, so that it can be interrupted from outside.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { deterministicModels } from "../config/Settings.ts"
import { type ProviderFailure, providerFailure } from "../domain/TurnError.ts"
import * as Program from "./Program.ts"
import type { Provider, ProviderEvent, ProviderRequest } from "./Provider.ts"
import type { Script, Step } from "./Script.ts"

/** Per-chunk overhead is noise from about 256 elements on (measured: 0.04 µs an element). */
const chunkEvents = 256

/** Characters after which a chunk is delivered: a socket's usual write buffer. */
const chunkChars = 65_536

/** Between two turns of the event loop: 4,096 small deltas (about a millisecond), or 256 Ki characters. */
const pauseCost = 262_144
const eventCost = 64

const storyText = `The keeper of the lighthouse at Skarn wrote every ship into a ledger before he lit the lamp for it. \
His daughter asked why he did not light the lamp first, since the ships were waiting. "A ship I have lit but not \
written," he said, "is a ship that nobody can ask about tomorrow." One autumn the sea took half the stairs and the \
keeper with them. The daughter climbed what was left, opened the ledger, and found his last line unfinished: a name, \
an hour, no port. She did not guess. She ruled a line beneath it, wrote down what had happened and when, and began a \
new entry that named the old one. Then she lit the lamp. In spring the ship came back, and its captain read both \
lines aloud on the quay. "Nothing is missing here," he said. "I can see exactly where it was dark."`

const paced = (words: ReadonlyArray<string>, ms: number): ReadonlyArray<Step> =>
  words.flatMap((say) => [{ wait: ms }, { say }])

const three: ReadonlyArray<Step> = [{ say: "One, " }, { say: "two, " }, { say: "three. " }]

/** The models that are scripts. `flaky` needs the engine's retries: its first two attempts fail before any delta. */
const scripts: Readonly<Record<string, Script>> = {
  story: { steps: paced(storyText.match(/\S+\s*/g) ?? [], 20) },
  slow: { steps: paced(Array.from({ length: 20 }, (_, index) => `${index + 1} of 20. `), 500) },
  fails: { steps: [...three, { fail: { kind: "server", status: 500 } }] },
  stalls: { steps: [...three, { hang: true }] },
  flaky: {
    steps: [
      { fail: { kind: "overloaded", attempts: 2, status: 503 } },
      { say: "Third time lucky: this answer needed two retries.", bytes: 8 }
    ]
  }
} satisfies Readonly<Record<Exclude<(typeof deterministicModels)[number], "echo">, Script>>

/** Pull chunks from a program: never past a wait, a failure or a hang with something undelivered in hand. */
const play = (
  program: Iterator<Program.Operation>,
  eventsMax: number
): Stream.Stream<ProviderEvent, ProviderFailure> => {
  type Held = Exclude<Program.Operation, ProviderEvent | { readonly _tag: "Flush" }>
  let held: Held | undefined
  let cost = 0

  const settle = (operation: Held) => {
    switch (operation._tag) {
      case "Wait":
        cost = 0
        return Effect.zipRight(Effect.sleep(operation.ms), pull)
      case "Fail":
        return Effect.fail(Option.some(operation.error))
      case "Hang":
        return Effect.never
    }
  }

  const pull: Effect.Effect<Chunk.Chunk<ProviderEvent>, Option.Option<ProviderFailure>> = Effect.suspend(() => {
    if (held !== undefined) {
      const operation = held
      held = undefined
      return settle(operation)
    }
    if (cost >= pauseCost) {
      cost = 0
      // A fiber's own yields are microtasks and starve timers and sockets; a sleep, even of nothing, lets them in.
      return Effect.zipRight(Effect.sleep(0), pull)
    }
    const events: Array<ProviderEvent> = []
    let chars = 0
    while (events.length < eventsMax && chars < chunkChars) {
      const next = program.next()
      if (next.done === true) {
        if (events.length === 0) return Effect.fail(Option.none())
        break
      }
      const operation = next.value
      if (operation._tag === "Flush") {
        if (events.length > 0) break
      } else if (operation._tag === "Wait" || operation._tag === "Fail" || operation._tag === "Hang") {
        if (events.length === 0) return settle(operation)
        held = operation
        break
      } else {
        events.push(operation)
        if (operation._tag === "Delta") chars += operation.text.length
      }
    }
    cost += events.length * eventCost + chars
    return Effect.succeed(Chunk.unsafeFromArray(events))
  })

  return Stream.repeatEffectChunkOption(pull)
}

const answer = (id: string, request: ProviderRequest): Stream.Stream<ProviderEvent, ProviderFailure> => {
  const script = request.script ?? (Object.hasOwn(scripts, request.model) ? scripts[request.model] : undefined)
  if (script !== undefined) {
    const burst = "steps" in script ? 1 : script.burst ?? 1
    return play(Program.fromScript(id, request, script), Math.max(chunkEvents, burst))
  }
  return request.model === "echo"
    ? play(Program.echo(id, request), chunkEvents)
    : Stream.fail(providerFailure(id, "not_found", {
      detail: `no built-in model of that name; there are ${deterministicModels.join(", ")}`
    }))
}

/** A deterministic provider under the id that the configuration gives it. */
export const make = (id: string): Provider => ({
  id,
  usageSource: "deterministic",
  stream: (request) => Stream.suspend(() => answer(id, request))
})

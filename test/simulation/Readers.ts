/** Clients that read: they join a turn or a session anywhere, read at once or chunk by chunk, leave, or ask for a page. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TurnId } from "../../src/domain/Ids.ts"
import type { JournaledEvent } from "../../src/journal/Journal.ts"
import type { Clients } from "./Clients.ts"
import { at, command, nameOf, type Stage } from "./Commands.ts"
import type { Follower } from "./Model.ts"
import type { Step } from "./Steps.ts"
import type { Life } from "./World.ts"

/** A reader that takes one chunk when it is let. */
interface Reader {
  readonly follower: Follower
  readonly fiber: Fiber.RuntimeFiber<void, unknown>
  readonly gate: Effect.Latch
}

export const make = (stage: Stage, targets: Clients["targets"]) => {
  const { model, note, sim, view } = stage
  const readers: Array<Reader> = []
  /** Slow readers are slow no longer. */
  let free = false

  const read = (
    life: Life,
    of: Follower["of"],
    events: Stream.Stream<JournaledEvent, unknown>,
    paged: boolean
  ): Follower => {
    const follower: Follower = { number: model.followers.length + 1, of, seen: [], slow: paged, state: "joined" }
    model.followers.push(follower)
    const gate = Effect.unsafeMakeLatch(!paged)
    const fiber = sim.fork(
      events.pipe(
        Stream.runForEachChunk((chunk) => {
          if (!life.faults.dead() && follower.state === "joined") {
            for (const event of chunk) model.delivered(follower, event)
          }
          if (paged && !free) gate.unsafeClose()
          return gate.await
        }),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (life.faults.dead() || follower.state !== "joined") return
            const why = exit._tag === "Success" ? undefined : nameOf(exit.cause)
            note(() => `  follower ${follower.number} ended: ${why ?? "with its turn"}`)
            model.followerEnded(follower, why, life.faults.failed())
          })
        ),
        Effect.ignore
      )
    )
    readers.push({ follower, fiber, gate })
    return follower
  }

  const join = (life: Life, { picks: [which, where, whole, paged] }: Step): string => {
    const slow = paged % 3 === 0
    const event = at(view.events, which * 7 + where)
    const id = at(
      whole % 3 === 0 ? targets.turnIds() : targets.runningTurns().concat(targets.turnIds().slice(-2)),
      which
    )
    if (id !== undefined && whole % 4 !== 1) {
      const after = where % (view.turn(id).length + 1)
      const { number } = read(life, { turnId: id, after }, life.journal.follow(id, after), slow)
      return `follower ${number} joins ${id} after ${after}${slow ? ", slowly" : ""}`
    }
    const sessionId = at(targets.liveSessions(), which)
    if (sessionId === undefined) return "nothing to follow"
    const after = event?.sessionId === sessionId
      ? { turnId: TurnId.make(event.turnId), seq: event.seq }
      : undefined
    const { number } = read(life, { sessionId, after }, life.journal.followSession(sessionId, after, true), slow)
    return `follower ${number} joins session ${sessionId} after ${
      after === undefined ? "nothing" : `${after.turnId}.${after.seq}`
    }${slow ? ", slowly" : ""}`
  }

  const joined = () => readers.filter(({ follower }) => follower.state === "joined")

  const leave = ({ picks: [which] }: Step): string => {
    const reader = at(joined(), which)
    if (reader === undefined) return "nobody to leave"
    reader.follower.state = "left"
    sim.fork(Fiber.interrupt(reader.fiber))
    return `follower ${reader.follower.number} leaves`
  }

  /** One chunk for a slow reader; else a page of a turn, read at once. */
  const page = (life: Life, { picks: [which, where, limit] }: Step): string => {
    const reader = at(joined(), which)
    if (reader !== undefined && where % 2 === 0) {
      reader.gate.unsafeOpen()
      return `follower ${reader.follower.number} may read on`
    }
    const id = at(targets.turnIds(), which)
    if (id === undefined || model.session(model.sessionOf(id)).deleteAsked) return "nothing to read"
    const known = view.turn(id)
    const after = where % (known.length + 1)
    const most = 1 + limit % 20
    command(stage, life, life.journal.readAfter(id, after, most), (exit) => {
      if (exit._tag !== "Success") {
        if (!model.session(model.sessionOf(id)).deleteAsked) {
          model.violate("P15", id, `a page answered ${nameOf(exit.cause)}`)
        }
        return
      }
      view.catchUp()
      const due = view.turn(id).slice(after, after + most)
      const same = exit.value.length <= due.length && exit.value.every(({ json }, index) => json === due[index]?.json)
      if (!same || exit.value.length < Math.min(most, known.length - after)) {
        model.violate("P15", id, `a page after ${after} is not what is committed`)
      }
    })
    return `a page of ${id} after ${after}`
  }

  return {
    join,
    leave,
    page,
    /** Lets every slow reader read to the end. */
    openAll: () => {
      free = true
      for (const { gate } of joined()) gate.unsafeOpen()
    }
  }
}

export type Readers = ReturnType<typeof make>

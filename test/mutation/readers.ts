/** Mutants whose readers are shown wrong things: too early, twice, not at all, in another order. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"
import type { TurnId } from "../../src/domain/Ids.ts"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import { tick } from "../../src/journal/EventLoop.ts"
import type { Journal, JournaledEvent } from "../../src/journal/Journal.ts"
import type { Between } from "../faults/engine.ts"
import type { probes } from "./battery.ts"
import { onJournal, onRuntime } from "./tools.ts"

/** An engine with one deliberate fault, and the promise that it breaks. */
export interface Mutant {
  readonly name: string
  readonly promise: string
  readonly probe: keyof typeof probes
  readonly between: Between
}

type Follow = Journal["Type"]["follow"]

const following = (change: (follow: Follow, journal: Journal["Type"]) => Follow): Between => ({
  journal: onJournal((journal) => ({ follow: change(journal.follow, journal) }))
})

const encoded = (event: TurnEvent.TurnEvent): JournaledEvent => ({
  turnId: event.turnId,
  seq: event.seq,
  type: event.type,
  json: TurnEvent.json(TurnEvent.head(event.turnId, event.sessionId), event.seq, TurnEvent.tail(event))
})

export const reading: ReadonlyArray<Mutant> = [
  {
    name: "an event is shown before its commit",
    promise: "P1",
    probe: "died",
    between: {
      journal: onJournal((journal) => {
        const open = new Map<TurnId, Set<Mailbox.Mailbox<JournaledEvent>>>()
        return {
          append: (append) =>
            Effect.zipRight(
              Effect.forEach(append.events, (event) =>
                Effect.forEach(open.get(append.turnId) ?? [], (box) =>
                  box.offer(encoded(event)), { discard: true }), {
                discard: true
              }),
              // its readers are quicker than the disk
              Effect.zipRight(Effect.zipRight(tick, tick), journal.append(append))
            ),
          follow: (id, seq) =>
            Stream.unwrapScoped(Effect.gen(function*() {
              const box = yield* Mailbox.make<JournaledEvent>(1_000)
              open.set(id, (open.get(id) ?? new Set()).add(box))
              const stored = yield* journal.readAfter(id, seq, 1_000)
              return Stream.concat(Stream.fromIterable(stored), Mailbox.toStream(box)).pipe(
                Stream.takeUntil(({ type }) => TurnEvent.isTerminalType(type))
              )
            }))
        }
      })
    }
  },
  {
    name: "a reader that comes back gets its last event again",
    promise: "P15",
    probe: "readers",
    between: following((follow) => (id, seq) => follow(id, Math.max(0, seq - 1)))
  },
  {
    name: "the tail of a page is lost",
    promise: "P15",
    probe: "readers",
    between: following((follow) => (id, seq) =>
      Stream.mapChunks(
        follow(id, seq),
        (page) => Chunk.size(page) > 2 ? Chunk.remove(page, Chunk.size(page) - 2) : page
      )
    )
  },
  {
    name: "a gap between what is replayed and what is live",
    promise: "P15",
    probe: "readers",
    between: following((follow, journal) => (id, seq) =>
      Stream.unwrap(Effect.map(journal.readAfter(id, seq, 1_000), (stored) => {
        const last = stored.at(-1)
        return last === undefined || TurnEvent.isTerminalType(last.type)
          ? follow(id, seq)
          : Stream.concat(Stream.fromIterable(stored), Stream.drop(follow(id, last.seq), 1))
      }))
    )
  },
  {
    name: "events are ordered by the clock",
    promise: "P15",
    probe: "readers",
    between: following((follow) => (id, seq) =>
      Stream.mapChunks(
        follow(id, seq),
        (page) =>
          Chunk.fromIterable([...page].sort((a, b) => TurnEvent.parse(a.json).at < TurnEvent.parse(b.json).at ? -1 : 1))
      )
    )
  },
  {
    name: "a replay is encoded anew",
    promise: "P15",
    probe: "readers",
    between: following((follow) => (id, seq) =>
      Stream.map(
        follow(id, seq),
        (event) => seq === 0 ? event : { ...event, json: JSON.stringify(JSON.parse(event.json), null, 1) }
      )
    )
  },
  {
    name: "a reader that leaves cancels the turn",
    promise: "P13",
    probe: "readers",
    between: (() => {
      let cancel: (id: TurnId) => Effect.Effect<unknown, unknown> = () => Effect.void
      return {
        journal: onJournal((journal) => ({
          follow: (id, seq) => Stream.ensuring(journal.follow(id, seq), Effect.forkDaemon(Effect.ignore(cancel(id))))
        })),
        runtime: onRuntime((runtime) => {
          cancel = runtime.cancel
          return {}
        })
      }
    })()
  }
]

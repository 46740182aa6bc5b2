/** Each race a few hundred times; `npm run races -- --rounds N` runs them longer. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { journals } from "./engine.ts"
import * as Races from "./races.ts"
import * as Readers from "./readers.ts"
import type { Figures } from "./rounds.ts"

const counted = <E>(race: Effect.Effect<Figures, E>, check: (counts: Readonly<Record<string, number>>) => void) =>
  Effect.map(race, ({ counts, wrong }) => {
    assert.deepStrictEqual(wrong.slice(0, 5), [])
    check(counts)
  })

for (const kind of journals) {
  describe(`races on ${kind}`, () => {
    it.effect("P12: cancel against completion: one end, the one that was answered; each wins at least one in ten", () =>
      counted(Races.cancelAgainstCompletion(kind, 200), ({ cancelled = 0, completed = 0 }) => {
        assert.isAtLeast(cancelled, 20)
        assert.isAtLeast(completed, 20)
      }))

    it.effect("P15, P1: a follower that joins anywhere, at any moment, gets exactly what follows, once", () =>
      counted(Readers.joins(kind, 300), ({ live = 0, replayed = 0 }) => {
        assert.isAtLeast(live, 30)
        assert.isAtLeast(replayed, 10)
      }))

    it.effect("P13: 250 readers that leave cancel nothing", () =>
      counted(Readers.leavers(kind, 250), ({ left }) => assert.strictEqual(left, 250)))

    it.effect("a deletion of a session whose turns run tells its readers and leaves no row", () =>
      counted(Readers.deletes(kind, 40), ({ told = 0 }) => assert.isAtLeast(told, 40)))

    it.effect("P22: a submit against a drain is refused, or its turn is ended by it", () =>
      counted(Races.submitsAgainstDrain(kind, 15), ({ accepted = 0, refused = 0 }) => {
        assert.isAtLeast(accepted, 10)
        assert.isAtLeast(refused, 10)
      }))

    it.effect("P10: twenty messages that supersede each other at once are never two at work, and the last is answered", () =>
      counted(Races.supersedes(kind, 10), ({ superseded = 0 }) => assert.isAtLeast(superseded, 50)))

    it.effect("P8: answers that are cut anywhere and resumed are the whole text; a retry says it anew", () =>
      counted(Races.continuations(kind, 100), ({ cuts = 0, retries = 0 }) => {
        assert.isAtLeast(cuts, 50)
        assert.isAtLeast(retries, 10)
      }))

    it.effect("P8, P9: twenty resumes and retries at once make at most one child of each kind", () =>
      counted(Races.children(kind, 20), ({ answered = 0 }) => assert.isAtLeast(answered, 20)))
  })
}

it.effect("P9: a hundred callers with one key make one turn and one call, also over a restart", () =>
  counted(Races.sameKey(10), ({ calls, restarts }) => {
    assert.strictEqual(calls, 10)
    assert.strictEqual(restarts, 2)
  }))

/** A follower: what it costs to be told of commits as they come, and to read a turn that is in rows alone. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { checkpoint, completed, place, turnId, used } from "../../test/journal/fixtures.ts"
import { ownCpuMicros } from "../kit/ProcessUse.ts"
import type { Micro } from "./Micro.ts"
import { appends, before, journal, runtime, type Speaking, speaking } from "./Turns.ts"

const followers = 20
const rowDeltas = 10_000
/** Deltas of a commit, commits of a round. */
const cases = [[1, 400], [16, 100]] as const

const end = ({ session, turn }: Speaking, seq: number) => ({
  turnId: turnId(turn),
  events: place(turn, session, seq, [used({ outputTokens: 1 }), checkpoint(1, seq), completed(turn)])
})

/** Says a whole answer, commit by commit, to so many followers that read as it comes. */
const say = async (size: number, commits: number, listeners: number): Promise<number> => {
  const { append, follow } = await journal
  const of = await speaking()
  const said = appends(of, commits, size)
  const last = end(of, before + 1 + size * commits)
  const program = Effect.gen(function*() {
    const read = Stream.runDrain(follow(turnId(of.turn), before))
    const reading = yield* Effect.forkAll(Array.from({ length: listeners }, () => read))
    // an append after the followers wait again, as from a socket
    for (const one of [...said, last]) yield* Effect.zipRight(append(one), Effect.yieldNow())
    yield* reading.await
  })
  return ownCpuMicros(() => runtime.runPromise(program))
}

const live = cases.map(([size, commits]): Micro => ({
  part: "follow",
  name: `live, commits of ${size} ${size === 1 ? "delta" : "deltas"}`,
  once: async () => {
    const alone = await say(size, commits, 0)
    const heard = await say(size, commits, followers)
    return (heard - alone) / (followers * size * commits)
  }
}))

const rows: Micro = {
  part: "follow",
  name: "from rows",
  once: async () => {
    const { append, follow } = await journal
    const of = await speaking()
    // as the writer groups them while a model speaks
    for (const one of appends(of, rowDeltas / 50, 50)) await runtime.runPromise(append(one))
    await runtime.runPromise(append(end(of, before + 1 + rowDeltas)))
    const micros = await ownCpuMicros(() => runtime.runPromise(Stream.runDrain(follow(turnId(of.turn), 0))))
    return micros / rowDeltas
  }
}

export const following: ReadonlyArray<Micro> = [...live, rows]

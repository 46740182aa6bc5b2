/** Turns of 20 deltas, one after another: in sessions of their own, and at the end of sessions of several lengths. */
import * as Direct from "../engines/Direct.ts"
import { history as historyOf } from "../engines/Engine.ts"
import type { Seen } from "../engines/TurnReader.ts"
import * as Database from "../kit/Database.ts"
import * as ProcessUse from "../kit/ProcessUse.ts"
import * as Program from "../kit/Program.ts"
import { median } from "../kit/Statistics.ts"
import { type Load, onService, waitingOf, whole } from "./Load.ts"

const deltas = 20

/** Messages before the turns. */
export const lengths = [10, 1_000, 5_000] as const

const times = async <A>(count: number, make: () => Promise<A>): Promise<ReadonlyArray<A>> => {
  const made: Array<A> = []
  while (made.length < count) made.push(await make())
  return made
}

const firstMs = (seen: ReadonlyArray<Seen>) => median(seen.map(({ firstMs }) => firstMs))

export const turns: Load = {
  name: "turns",
  begin: onService(async (service, { sizes }) => {
    const sessions = (await times(sizes.turns, service.session)).values()
    const ran = await ProcessUse.metered(
      service.program.pid,
      () =>
        times(
          sizes.turns,
          async () => whole(await service.turn({ session: sessions.next().value ?? "", deltas }), deltas)
        )
    )
    return {
      values: { "first-delta": firstMs(ran.result), "turn-cpu": (ran.cpuMs * 1_000) / sizes.turns },
      waiting: waitingOf(ran)
    }
  }),
  direct: async ({ sizes, upstream }) => ({
    values: {
      "first-delta": firstMs(
        await times(sizes.turns, async () => whole(await Direct.turn(upstream, { deltas }), deltas))
      )
    }
  })
}

export const history: Load = {
  name: "history",
  begin: async (engine, { sizes, upstream }) => {
    const folder = Program.freshFolder()
    const service = await engine.start(upstream, folder)
    const turnsOf = (session: string, count: number) =>
      times(count, async () => whole(await service.turn({ session, deltas }), deltas))
    const sessions = await Promise.all(lengths.map(async (length) => {
      const session = await service.seeded(historyOf(length))
      const tag = `${engine.name}${length}`
      whole(await service.turn({ session, deltas, tag }), deltas)
      const sent = (await upstream.callOf(tag))?.messages
      if (sent !== length + 1) throw new Error(`of ${length + 1} messages ${sent} were sent`)
      await turnsOf(session, 3)
      return { length, session, bytes: 0, turns: 0 }
    }))
    return async () => {
      const values: Record<string, number> = {}
      let waiting = 0
      for (const one of sessions) {
        const before = Database.bytes(folder)
        const ran = await ProcessUse.metered(
          service.program.pid,
          () => turnsOf(one.session, sizes.historyTurns)
        )
        // over all rounds: a file grows by whole pages, which a few turns do not fill
        one.bytes += Database.bytes(folder) - before
        one.turns += sizes.historyTurns
        values[`history-${one.length}`] = median(ran.result.map(({ wholeMs }) => wholeMs))
        values[`disk-${one.length}`] = one.bytes / one.turns
        waiting = Math.max(waiting, waitingOf(ran))
      }
      return { values, waiting }
    }
  }
}

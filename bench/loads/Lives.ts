/** Beginnings and ends: a start, a process killed in the middle of turns, a turn cancelled. */
import { setTimeout as sleep } from "node:timers/promises"
import { now } from "../engines/TurnReader.ts"
import * as ProcessUse from "../kit/ProcessUse.ts"
import * as Program from "../kit/Program.ts"
import { median } from "../kit/Statistics.ts"
import { type Load, onService } from "./Load.ts"

/** Starts on an empty folder; its memory a second after it was ready. */
export const idle: Load = {
  name: "idle",
  begin: async (engine, { upstream }) => async () => {
    const { program } = await engine.start(upstream, Program.freshFolder())
    await sleep(1_000)
    const rss = ProcessUse.residentMb(program.pid) ?? Number.NaN
    await program.stop()
    return { values: { "idle-rss": rss, "boot-ms": program.bootMs, "boot-cpu": program.bootCpuMs ?? Number.NaN } }
  }
}

/** Characters that both begin with. */
const common = (one: string, other: string): number => {
  let length = 0
  while (length < one.length && one[length] === other[length]) length++
  return length
}

/** A killed turn has shown so many deltas at least. */
const shownMin = 50

/** kill -9 in the middle of turns, a second life on the same folder, and what it has of what the client saw. */
export const kill: Load = {
  name: "kill",
  begin: async (engine, { sizes, upstream }) => async () => {
    const folder = Program.freshFolder()
    const first = await engine.start(upstream, folder)
    const turns: Array<{ readonly session: string; text: string; deltas: number }> = []
    while (turns.length < sizes.kills) turns.push({ session: await first.session(), text: "", deltas: 0 })
    let readers: ReadonlyArray<Promise<unknown>> = []
    await new Promise<void>((resolve, reject) => {
      readers = turns.map((turn) =>
        first.turn({
          session: turn.session,
          deltas: 1_000,
          everyMs: 10,
          onDelta: ({ text }) => {
            turn.text += text
            turn.deltas++
            if (turn.deltas === shownMin && turns.every(({ deltas }) => deltas >= shownMin)) resolve()
          }
        }).catch(reject)
      )
    })
    await first.program.kill()
    await Promise.all(readers)
    const second = await engine.start(upstream, folder)
    let shown = 0
    let kept = 0
    for (const { session, text } of turns) {
      shown += text.length
      kept += common(text, await second.lastText(session))
    }
    await second.program.stop()
    return { values: { kept: (100 * kept) / shown } }
  }
}

let cancels = 0

/** From the request that cancels to the close of the upstream's socket, in the middle of an answer. */
export const cancel: Load = {
  name: "cancel",
  begin: onService(async (service, { sizes, upstream }) => {
    const latencies: Array<number> = []
    while (latencies.length < sizes.cancels) {
      const tag = `cancel${++cancels}`
      const session = await service.session()
      let deltas = 0
      let asked = 0
      let answered: Promise<void> | undefined
      await service.turn({
        session,
        deltas: 300,
        everyMs: 10,
        tag,
        onDelta: () => {
          if (++deltas !== 20) return
          asked = now()
          answered = service.cancel(session)
        }
      })
      await answered
      let call = await upstream.callOf(tag)
      while (call?.closedAt === null) {
        await sleep(2)
        call = await upstream.callOf(tag)
      }
      if (call?.finished !== false) throw new Error("a cancelled turn heard its provider out")
      latencies.push((call.closedAt ?? Number.NaN) - asked)
    }
    return { values: { cancel: median(latencies) } }
  })
}

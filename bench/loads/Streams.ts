/** Answers that stream: one long one, and many at once, as fast as they are taken or at the pace of a model. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Service } from "../engines/Engine.ts"
import type { Delta } from "../engines/TurnReader.ts"
import { deltaLength, sentAt } from "../engines/Upstream.ts"
import * as ProcessUse from "../kit/ProcessUse.ts"
import { quantile } from "../kit/Statistics.ts"
import { type Load, onService, waitingOf, whole } from "./Load.ts"
import type { Streams } from "./Sizes.ts"

const run = async (
  service: Service,
  { deltas, everyMs, rampMs, streams }: Streams,
  onDelta?: () => (delta: Delta) => void
) => {
  const sessions: Array<string> = []
  while (sessions.length < streams) sessions.push(await service.session())
  const metered = await ProcessUse.metered(service.program.pid, () =>
    Promise.all(sessions.map(async (session, i) => {
      if (rampMs > 0) await sleep((i * rampMs) / streams)
      const seen = await service.turn({ session, deltas, everyMs, ...(onDelta && { onDelta: onDelta() }) })
      whole(seen, deltas)
    })))
  return { ...metered, cpuPerDelta: (metered.cpuMs * 1_000) / (streams * deltas) }
}

/** Collects how old each delta of a stream is when it is read; an engine may show several as one. */
const ageing = (ages: Array<number>) => () => {
  let rest = ""
  return ({ at, text }: Delta) => {
    rest += text
    for (; rest.length >= deltaLength; rest = rest.slice(deltaLength)) {
      ages.push(at - sentAt(rest.slice(0, deltaLength)))
    }
  }
}

export const burst: Load = {
  name: "burst",
  begin: onService(async (service, { sizes }) => {
    const ran = await run(service, sizes.burst)
    return { values: { "burst-cpu": ran.cpuPerDelta }, waiting: waitingOf(ran) }
  })
}

export const paced: Load = {
  name: "paced",
  begin: onService(async (service, { sizes }) => {
    const ages: Array<number> = []
    const ran = await run(service, sizes.paced, ageing(ages))
    return { values: { "paced-cpu": ran.cpuPerDelta, "paced-p99": quantile(ages, 0.99) }, waiting: waitingOf(ran) }
  })
}

export const crowd: Load = {
  name: "crowd",
  begin: onService(async (service, { sizes }) => {
    const ran = await run(service, sizes.crowd)
    const { deltas, everyMs, rampMs } = sizes.crowd
    const idealMs = rampMs + deltas * everyMs
    return { values: { "crowd-wall": ran.wallMs / idealMs }, waiting: waitingOf(ran) }
  })
}

export const single: Load = {
  name: "single",
  begin: onService(async (service, { sizes }) => {
    const ran = await run(service, sizes.single)
    return { values: { "single-cpu": ran.cpuPerDelta }, waiting: waitingOf(ran) }
  })
}

/** 200 histories in each run of the tests; `npm run simulate` runs 10,000 of each mode. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Path from "node:path"
import { SessionId } from "../../src/domain/Ids.ts"
import { Journal } from "../../src/journal/Journal.ts"
import * as JournalSql from "../../src/journal/JournalSql.ts"
import { runAll, stepsDefault, withTemplate } from "./Seeds.ts"
import * as SimRuntime from "./SimRuntime.ts"
import * as SimStorage from "./SimStorage.ts"
import { run } from "./Simulation.ts"
import { draw } from "./Steps.ts"

const plan = { first: 1, seeds: 100, steps: stepsDefault, twice: false }
const reports = ({ failed }: { readonly failed: ReadonlyArray<{ readonly report: string }> }) =>
  failed.map(({ report }) => report).join("\n\n")

/** What a hundred seeds must bring about, or they check less than they say. */
const reached = [
  "call with a prefix",
  "cancel answered Cancelled",
  "cancel answered turn.completed",
  "crash during recovery",
  "follower ended: deleted",
  "follower ended: storage",
  "follower ended: with its turn",
  "refused: IdempotencyConflict",
  "refused: JournalFailure",
  "refused: TurnConflict",
  "resume answered",
  "retry answered",
  "session deleted",
  "submit answered with a turn that was there",
  "turn completed",
  "turn failed: Cancelled{superseded}",
  "turn failed: Cancelled{user_stop}",
  "turn failed: Interrupted{crash}",
  "turn failed: Interrupted{shutdown}",
  "turn failed: ProviderFailure"
]

/** Ids by their first appearance, times and days left out: what is left does not know what time it was. */
const timeless = (dump: string): string => {
  const names = new Map<string, string>()
  return dump
    .replace(/\b[stm]_[0-9a-z]{22}\b/g, (id) => {
      const name = names.get(id) ?? `${id.slice(0, 1)}${names.size}`
      names.set(id, name)
      return name
    })
    .replace(/\d{4}-\d\d-\d\d(T[\d:.]+Z)?/g, "then")
}

describe("seeded histories of crashes, faults and clients", () => {
  it("P1-P6, P8-P10, P12-P15: 100 seeds that end in a crash break no promise", { timeout: 300_000 }, async () => {
    const figures = await runAll({ ...plan, mode: "safety" })
    assert.strictEqual(reports(figures), "")
    assert.isAbove(figures.crashes, 150)
    assert.isAbove(figures.events, 2_000)
    for (const what of reached) assert.isAbove(figures.counts.get(what) ?? 0, 0, `no seed reached: ${what}`)
  })

  it("P23: 100 seeds whose faults stop end every turn within 60 virtual seconds", { timeout: 300_000 }, async () => {
    const figures = await runAll({ ...plan, first: 101, mode: "liveness" })
    assert.strictEqual(reports(figures), "")
    assert.isAbove(figures.turns, 200)
  })

  it("P32: the same seed writes the same rows, ids and times included", { timeout: 300_000 }, async () => {
    const figures = await runAll({ ...plan, first: 1_001, seeds: 12, mode: "safety", twice: true })
    assert.deepStrictEqual([reports(figures), figures.unequal], ["", []])
  })

  it(
    "P21: a wall clock that is set back and forth changes nothing but times",
    { timeout: 300_000 },
    () =>
      withTemplate(async (template) => {
        for (let seed = 2_001; seed <= 2_012; seed++) {
          const steps = draw(seed, stepsDefault)
          const [jumping, steady] = [
            await run({ seed, mode: "liveness", steps, template }),
            await run({ seed, mode: "liveness", steps, template, clockJumps: false })
          ]
          assert.strictEqual(timeless(jumping.dump), timeless(steady.dump), `seed ${seed}`)
        }
      })
  )

  for (const hours of [-1, 1]) {
    it(`P21, P19: a lock is waited for 5 s, also when the wall clock is set by ${hours} h meanwhile`, () =>
      withTemplate(async (template) => {
        const sim = SimRuntime.make({ seed: 1, shuffle: false })
        const { faults, layer: layerStorage } = SimStorage.make(() => undefined)
        const dataDir = Path.join(Path.dirname(template), `locked${hours}`)
        const scope = Effect.runSync(Scope.make())
        const layer = Layer.provide(JournalSql.layer, layerStorage(dataDir))
        const opened = await sim.finish(Layer.buildWithScope(layer, scope), 1_000)
        if (opened?._tag !== "Success") return assert.fail("it does not open")
        faults.busy = Number.POSITIVE_INFINITY
        const { createSession } = Context.get(opened.value, Journal)
        const session = { title: undefined, provider: undefined, model: undefined, system: undefined, at: "" }
        const waiting = sim.fork(Effect.flip(createSession({ id: SessionId.make("s"), ...session })))
        await sim.advance(1_000)
        sim.setWall(hours * 3_600_000)
        await sim.advance(3_500)
        assert.isNull(waiting.unsafePoll())
        await sim.advance(1_000)
        const refused = waiting.unsafePoll()
        assert.strictEqual(refused?._tag === "Success" ? refused.value._tag : "", "JournalFailure")
        await sim.finish(Scope.close(scope, Exit.void), 10_000)
      }))
  }
})

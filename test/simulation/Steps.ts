/**
 * What may happen, drawn from a seed before anything runs: a step is a name and a few numbers, which pick among what is
 * there when its turn comes. So a step can be left out and the others still mean something.
 */
import { PCGRandom } from "effect/Utils"

/** Name and weight. */
const weights = {
  chunk: 30,
  finish: 9,
  fail: 5,
  misbehave: 5,
  join: 10,
  leave: 4,
  page: 6,
  submit: 16,
  duplicate: 5,
  cancel: 5,
  resume: 3,
  retry: 3,
  deleteSession: 1.5,
  time: 10,
  setClock: 3,
  busy: 2,
  full: 1,
  healed: 2,
  commitFault: 2,
  crash: 1.2,
  crashAt: 1.6,
  crashInRecovery: 0.6,
  shutdown: 0.6
} as const

export type StepName = keyof typeof weights
export interface Step {
  readonly name: StepName
  /** For whatever must be picked. */
  readonly picks: readonly [number, number, number, number]
  /** How far fibers run before the next step: all the way, or this many of their steps. */
  readonly settle: number | undefined
}

const names = Object.keys(weights) as ReadonlyArray<StepName>
const total = names.reduce((sum, name) => sum + weights[name], 0)

const nameAt = (at: number): StepName => {
  let left = at
  for (const name of names) {
    left -= weights[name]
    if (left < 0) return name
  }
  return "chunk"
}

export const draw = (seed: number, count: number): ReadonlyArray<Step> => {
  const random = new PCGRandom(seed)
  const pick = () => random.integer(0x40000000)
  return Array.from({ length: count }, () => ({
    name: nameAt(random.number() * total),
    picks: [pick(), pick(), pick(), pick()],
    settle: random.integer(10) < 6 ? undefined : random.integer(60)
  }))
}

/** How much each load is. `whole` is what the targets speak of; the others are for a look and for every change. */

export interface Streams {
  readonly streams: number
  /** Of each stream. */
  readonly deltas: number
  readonly everyMs: number
  /** They begin spread over this time. */
  readonly rampMs: number
}

export interface Sizes {
  readonly burst: Streams
  readonly paced: Streams
  readonly crowd: Streams
  readonly single: Streams
  /** Turns of a round, one after another. */
  readonly turns: number
  readonly historyTurns: number
  readonly kills: number
  readonly cancels: number
}

export const whole: Sizes = {
  burst: { streams: 100, deltas: 200, everyMs: 0, rampMs: 0 },
  paced: { streams: 100, deltas: 100, everyMs: 20, rampMs: 1_000 },
  crowd: { streams: 500, deltas: 100, everyMs: 20, rampMs: 1_000 },
  single: { streams: 1, deltas: 20_000, everyMs: 0, rampMs: 0 },
  turns: 200,
  historyTurns: 20,
  kills: 20,
  cancels: 8
}

export const quick: Sizes = { ...whole, turns: 100, historyTurns: 8, cancels: 3 }

export const gate: Sizes = { ...whole, paced: { ...whole.paced, deltas: 60, rampMs: 500 }, turns: 100 }

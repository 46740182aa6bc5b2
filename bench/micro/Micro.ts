/** A part of the engine in this process, on its own modules: what it costs a delta. */

export interface Micro {
  readonly part: string
  readonly name: string
  /** Microseconds a delta that it must not exceed. */
  readonly atMost?: number
  /** One round, with what it needs made before it is measured: microseconds of processor time a delta. */
  readonly once: () => Promise<number>
}

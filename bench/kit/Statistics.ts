/** Order statistics of measured values. */

/** The value that a share `at` (0 to 1) of the values lies below; NaN of none. */
export const quantile = (values: ReadonlyArray<number>, at: number): number => {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? Number.NaN
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

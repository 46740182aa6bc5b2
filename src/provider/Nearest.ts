/** The known name that a person probably meant. Pure; quadratic in the names' lengths, which configuration bounds. */

/** Longer inputs are nobody's typing slip, and need no table. */
const lengthMax = 256

/** Insertions, deletions and substitutions from `a` to `b`. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** The nearest of `known` within a third of its length (two slips at least), ignoring case; the first of equals. */
export const nearest = (name: string, known: ReadonlyArray<string>): string | undefined => {
  if (name.length > lengthMax) return undefined
  let best: { readonly candidate: string; readonly slips: number } | undefined
  for (const candidate of known) {
    const slips = distance(name.toLowerCase(), candidate.toLowerCase())
    const allowed = Math.min(Math.max(2, Math.floor(candidate.length / 3)), candidate.length - 1)
    if (slips <= allowed && (best === undefined || slips < best.slips)) best = { candidate, slips }
  }
  return best?.candidate
}

/** As the fact of an error, absent where nothing is near. */
export const suggest = (name: string, known: ReadonlyArray<string>): { readonly suggestion?: string } => {
  const suggestion = nearest(name, known)
  return suggestion === undefined ? {} : { suggestion }
}

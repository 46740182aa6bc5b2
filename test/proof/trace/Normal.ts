/**
 * What a run leaves behind without what differs from run to run: ids are numbered in the order in which they are met,
 * times, ports, folders and the version of the program are named. Equal behaviour gives equal bytes.
 */
export interface Normal {
  readonly text: (raw: string) => string
}

const id = /\b([stm])_[0-9a-z]{20,}\b/g
const time = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g
const httpDate = /\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\b/g
const address = /\b(127\.0\.0\.1|localhost):\d+\b/g

export const make = (folders: ReadonlyArray<string> = []): Normal => {
  const known = new Map<string, string>()
  const counts = new Map<string, number>()
  const named = (whole: string, kind: string) => {
    const before = known.get(whole)
    if (before !== undefined) return before
    const count = (counts.get(kind) ?? 0) + 1
    counts.set(kind, count)
    const name = `${kind}_${count}`
    known.set(whole, name)
    return name
  }
  return {
    text: (raw) =>
      folders.reduce((text, folder) => text.replaceAll(folder, "<data>"), raw)
        .replace(id, named)
        .replace(time, "<time>")
        .replace(httpDate, "<time>")
        .replace(address, "$1:<port>")
  }
}

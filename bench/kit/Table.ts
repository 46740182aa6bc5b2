/** A table as markdown that also reads well in a terminal: columns padded, numbers to the right. */

export interface Column {
  readonly title: string
  readonly align?: "left" | "right"
}

export const render = (columns: ReadonlyArray<Column>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = columns.map(({ title }, i) => Math.max(3, title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  const cellsOf = (row: ReadonlyArray<string>) =>
    columns.map(({ align }, i) => {
      const [cell = "", width = 0] = [row[i], widths[i]]
      return align === "right" ? cell.padStart(width) : cell.padEnd(width)
    })
  const rule = columns.map(({ align }, i) => {
    const dashes = "-".repeat((widths[i] ?? 0) - (align === "right" ? 1 : 0))
    return align === "right" ? `${dashes}:` : dashes
  })
  return [line(cellsOf(columns.map(({ title }) => title))), line(rule), ...rows.map((row) => line(cellsOf(row)))].join(
    "\n"
  )
}

/** Three digits that count: 1,234, 123, 12.3, 1.23. */
export const number = (value: number | undefined): string => {
  if (value === undefined || Number.isNaN(value)) return ""
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

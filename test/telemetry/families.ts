/** Prometheus' text format as another program reads it. */
import parse from "parse-prometheus-text-format"

export interface Family {
  readonly type: string
  readonly help: string
  readonly labels: ReadonlySet<string>
}

/** The parser joins the series of a histogram and forgets their labels: these are read from its lines. */
const labelsOf = (text: string, name: string): ReadonlySet<string> => {
  const lines = text.matchAll(new RegExp(`^${name}(?:_bucket|_sum|_count)?\\{(.*)\\} `, "gm"))
  const labels = [...lines].flatMap(([, list]) =>
    [...(list ?? "").matchAll(/([a-z_]+)="/g)].map(([, label]) => label ?? "")
  )
  return new Set(labels.filter((label) => label !== "le"))
}

/** Every family of a page by its name, with the labels that its series have. */
export const familiesOf = (text: string): ReadonlyMap<string, Family> =>
  new Map(parse(text).map(({ help, name, type }) => [name, { type, help, labels: labelsOf(text, name) }]))

/** The documents that stand before evidence: which are missing, which lack a heading, what their verdicts are. Pure. */
import { type Document, folderOf, type Phase } from "./Phase.ts"
import { textOf, type Tree } from "./Tree.ts"

const verdicts = ["pass-with-scoped-debt", "pass", "blocker", "not-ui-bearing"] as const
export type Verdict = typeof verdicts[number]

export const headingsIn = (text: string): ReadonlyArray<string> =>
  text.split("\n").flatMap((line) => /^#{1,6}\s+(.+?)\s*$/.exec(line)?.[1] ?? [])

/** The first word of the first line under the heading `Verdict`. */
export const verdictIn = (text: string): Verdict | undefined => {
  const lines = text.split("\n")
  const at = lines.findIndex((line) => /^#{1,6}\s+Verdict\b/.test(line))
  const [said = ""] = at < 0 ? [] : lines.slice(at + 1).filter((line) => line.trim() !== "")
  const word = /^[*_`]*([a-z-]+)/.exec(said.trim())?.[1]
  return verdicts.find((verdict) => verdict === word)
}

/** What is wrong with one, in words; undefined where nothing is. */
const faultOf = (tree: Tree, path: string, { hasVerdict, headings }: Document): string | undefined => {
  const text = textOf(tree, path)
  if (text === undefined) return `${path} is missing`
  const there = headingsIn(text).map((heading) => heading.toLowerCase())
  const lacking = headings.filter((heading) => !there.some((one) => one.startsWith(heading.toLowerCase())))
  if (lacking.length > 0) return `${path} lacks the headings: ${lacking.join(", ")}`
  if (!hasVerdict || verdictIn(text) !== undefined) return undefined
  return `${path} has no verdict (${verdicts.join(", ")}) as the first word under its heading`
}

export const faultsOf = (tree: Tree, phase: Phase): ReadonlyArray<string> =>
  phase.documents.flatMap((document) => faultOf(tree, `${folderOf(phase)}/${document.path}`, document) ?? [])

/** Paths of the documents that say `blocker`. */
export const blockersOf = (tree: Tree, phase: Phase): ReadonlyArray<string> =>
  phase.documents.filter(({ hasVerdict }) => hasVerdict).map(({ path }) => `${folderOf(phase)}/${path}`)
    .filter((path) => verdictIn(textOf(tree, path) ?? "") === "blocker")

/**
 * Whether a test of that title is in a file: each part of the title (`suite > test`) is a string, or a template with its
 * places open, that the file or a file of tests that it imports gives to a call.
 */
import { posix } from "node:path"
import ts from "typescript"
import { nodesOf, parse } from "../scan/Source.ts"
import type { Cited } from "./Row.ts"
import { textOf, type Tree } from "./Tree.ts"

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

const patternOf = (node: ts.Expression): RegExp | undefined => {
  if (ts.isStringLiteralLike(node)) return new RegExp(`^${escaped(node.text)}$`)
  if (!ts.isTemplateExpression(node)) return undefined
  const rest = node.templateSpans.map(({ literal }) => escaped(literal.text)).join(".+")
  return new RegExp(`^${escaped(node.head.text)}.+${rest}$`)
}

const readIn = (tree: Tree, path: string) => {
  const text = textOf(tree, path)
  if (text === undefined) return { patterns: [], imports: [] }
  const nodes = nodesOf(parse(path, text).tree)
  return {
    patterns: nodes.flatMap((node) =>
      ts.isCallExpression(node) ? node.arguments.flatMap((one) => patternOf(one) ?? []) : []
    ),
    imports: nodes.flatMap((node) =>
      ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier) &&
        node.moduleSpecifier.text.startsWith(".")
        ? [posix.join(posix.dirname(path), node.moduleSpecifier.text)]
        : []
    ).filter((imported) => imported.startsWith("test/"))
  }
}

export const makeTitles = (tree: Tree) => {
  const known = new Map<string, ReadonlyArray<RegExp>>()
  const patternsOf = (path: string, above: ReadonlySet<string>): ReadonlyArray<RegExp> => {
    const before = known.get(path)
    if (before !== undefined) return before
    if (above.has(path)) return []
    const { imports, patterns } = readIn(tree, path)
    const all = [...patterns, ...imports.flatMap((one) => patternsOf(one, new Set([...above, path])))]
    known.set(path, all)
    return all
  }
  return (cited: Cited): boolean => {
    const patterns = patternsOf(cited.file, new Set())
    return cited.title.split(" > ").every((part) => patterns.some((pattern) => pattern.test(part)))
  }
}

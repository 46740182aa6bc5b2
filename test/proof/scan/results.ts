/**
 * Results that were written down instead of computed: source that knows its tests (their files, that it is being tested), or
 * that answers by comparing what a person said with fixed words.
 * Limits: a fixed answer without either is found by the run with the core replaced and by the properties, not here.
 */
import ts from "typescript"
import { type Finding, finding, isIn, nodesOf, type Source } from "./Source.ts"

const testFiles =
  /(^|[/\\.])(fixtures?|golden|__snapshots__|__mocks__)([/\\.]|$)|\.(test|spec)\.[tj]sx?$|^\.\.\/.*\btest\//
const testMarks = /^(NODE_ENV|VITEST|VITEST_\w+|JEST_WORKER_ID|TURNSTREAM_TEST\w*)$/

/** Names of what a person says to a model. */
const asked = /^(message|prompt|question|userMessage|input|userText|content)$/

/** An error's message is said by a program. */
const isFault = /^(error|issue|cause|fault|failure|reason)$/i

const nameOf = (node: ts.Node): string =>
  ts.isIdentifier(node)
    ? node.text
    : ts.isPropertyAccessExpression(node) && !isFault.test(node.expression.getText())
    ? node.name.text
    : ""

/** Words, not a separator. */
const isWords = (node: ts.Node): boolean => ts.isStringLiteralLike(node) && /[a-z]{2}/i.test(node.text)

const isComparison = ({ kind }: ts.Node): boolean =>
  kind === ts.SyntaxKind.EqualsEqualsEqualsToken || kind === ts.SyntaxKind.EqualsEqualsToken ||
  kind === ts.SyntaxKind.ExclamationEqualsEqualsToken

const comparesWhatWasAsked = (node: ts.Node): boolean => {
  if (ts.isBinaryExpression(node) && isComparison(node.operatorToken)) {
    return [[node.left, node.right], [node.right, node.left]].some(([a, b]) =>
      a !== undefined && b !== undefined && asked.test(nameOf(a)) && isWords(b)
    )
  }
  if (ts.isSwitchStatement(node)) {
    return asked.test(nameOf(node.expression)) &&
      node.caseBlock.clauses.some((clause) => ts.isCaseClause(clause) && isWords(clause.expression))
  }
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false
  const { expression, name } = node.expression
  const [first] = node.arguments
  return /^(includes|startsWith|endsWith|match|localeCompare)$/.test(name.text) && asked.test(nameOf(expression)) &&
    first !== undefined && isWords(first)
}

const whyNot = (node: ts.Node): string | undefined => {
  if (ts.isStringLiteralLike(node) && testFiles.test(node.text)) {
    return `names what tests are made of: ${node.getText()}`
  }
  if ((ts.isIdentifier(node) || ts.isStringLiteralLike(node)) && testMarks.test(node.text)) {
    return `asks whether it is being tested: ${node.text}`
  }
  return comparesWhatWasAsked(node) ? `answers by fixed words: ${node.getText().slice(0, 80)}` : undefined
}

export const results = (sources: ReadonlyArray<Source>): ReadonlyArray<Finding> =>
  sources.filter(isIn("src")).flatMap((source) =>
    nodesOf(source.tree).flatMap((node) => {
      const why = whyNot(node)
      return why === undefined ? [] : [finding("hard-coded-result", source, node, why)]
    })
  )

/**
 * Tests that do not run: skipped, focused, marked to be written or expected to fail. One that needs something of its machine
 * may ask for it: `skipIf` and `runIf` of a condition that is not a constant, `context.skip` with the reason.
 * Limits: that the condition is the right one is for who reads it; the counts of a run name every test that it skipped.
 */
import ts from "typescript"
import { type Finding, finding, isIn, nodesOf, rootOf, type Source } from "./Source.ts"

const roots = new Set(["it", "test", "describe", "suite"])
const never = new Set(["skip", "only", "todo", "fails"])
const conditional = new Set(["skipIf", "runIf"])
const retired = new Set(["xit", "xtest", "xdescribe", "fit", "fdescribe"])

const isConstant = (node: ts.Expression | undefined): boolean =>
  node === undefined || node.kind === ts.SyntaxKind.TrueKeyword || node.kind === ts.SyntaxKind.FalseKeyword ||
  ts.isLiteralExpression(node) || (ts.isPrefixUnaryExpression(node) && isConstant(node.operand))

const whyNot = (node: ts.Node): string | undefined => {
  if (ts.isIdentifier(node) && retired.has(node.text) && ts.isCallExpression(node.parent)) return `${node.text}(...)`
  if (!ts.isPropertyAccessExpression(node)) return undefined
  const name = node.name.text
  const root = rootOf(node.expression) ?? ""
  const call = ts.isCallExpression(node.parent) && node.parent.expression === node ? node.parent : undefined
  if (roots.has(root) && never.has(name)) return `${root}.${name}: the test never counts`
  if (roots.has(root) && conditional.has(name) && isConstant(call?.arguments[0])) return `${name} of a constant`
  if (name === "skip" && call !== undefined && /^(context|ctx|t)$/.test(root)) {
    return call.arguments.length === 0 ? "skipped without a reason" : undefined
  }
  return undefined
}

export const skipped = (sources: ReadonlyArray<Source>): ReadonlyArray<Finding> =>
  sources.filter(isIn("test")).flatMap((source) =>
    nodesOf(source.tree).flatMap((node) => {
      const why = whyNot(node)
      return why === undefined ? [] : [finding("skipped-test", source, node, why)]
    })
  )

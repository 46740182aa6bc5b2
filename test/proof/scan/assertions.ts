/**
 * Tests that assert nothing, and assertions that hold whatever the code does. A test asserts where its body, or a helper
 * of the project that it uses (followed through imports by name), calls `assert` or `expect`, throws, dies, or waits for
 * something that fails when it does not come.
 * Limits: by names, without types: a method is followed by what its object is made from, not by its type, so a helper may
 * count that asserts on another path; whether an assertion is reached is for the run with the core replaced.
 */
import ts from "typescript"
import * as Names from "./Names.ts"
import { type Finding, finding, isFunction, isIn, nodesOf, rootOf, type Source } from "./Source.ts"

interface Test {
  readonly call: ts.CallExpression
  readonly body: ts.Expression
}

const roots = new Set(["it", "test"])

/** Calls of `it(...)`, `it.effect(...)`, `it.prop(...)`, `it.scoped.skipIf(...)(...)`, with the function that is the test. */
const plainTestsOf = ({ tree }: Source): ReadonlyArray<Test> =>
  nodesOf(tree).flatMap((node) => {
    if (!ts.isCallExpression(node) || !roots.has(rootOf(node.expression) ?? "")) return []
    const body = node.arguments.find(isFunction) ?? node.arguments[1]
    return node.arguments.length < 2 || body === undefined ? [] : [{ call: node, body }]
  })

/** `const check = (title, body) => it(title, () => body())`: the tests are where `check` is called, with that argument. */
const definers = (source: Source, asserts: (node: ts.Node) => boolean): ReadonlyMap<string, number | undefined> => {
  const found = new Map<string, number | undefined>()
  for (const { body, call } of plainTestsOf(source)) {
    for (let around: ts.Node = call.parent; !ts.isSourceFile(around); around = around.parent) {
      if (!ts.isVariableDeclaration(around) || !ts.isIdentifier(around.name)) continue
      const made = around.initializer
      if (made === undefined || !isFunction(made)) break
      const index = made.parameters.findIndex(({ name, type }) =>
        ts.isIdentifier(name) && type !== undefined && ts.isFunctionTypeNode(type) &&
        nodesOf(call).some((node) => ts.isIdentifier(node) && node.text === name.text)
      )
      // where the test that it makes asserts, what it is given need not
      if (index >= 0) found.set(around.name.text, asserts(body) ? undefined : index)
      break
    }
  }
  return found
}

const testsOf = (source: Source, asserts: (node: ts.Node) => boolean): ReadonlyArray<Test> => {
  const defined = definers(source, asserts)
  const isIn = (call: ts.Node): boolean => {
    for (let around = call.parent; !ts.isSourceFile(around); around = around.parent) {
      if (ts.isVariableDeclaration(around) && ts.isIdentifier(around.name) && defined.has(around.name.text)) return true
    }
    return false
  }
  return [
    ...plainTestsOf(source).filter(({ call }) => !isIn(call)),
    ...nodesOf(source.tree).flatMap((node) => {
      const index = ts.isCallExpression(node) && ts.isIdentifier(node.expression)
        ? defined.get(node.expression.text)
        : undefined
      const body = ts.isCallExpression(node) && index !== undefined ? node.arguments[index] : undefined
      return ts.isCallExpression(node) && body !== undefined ? [{ call: node, body }] : []
    })
  ]
}

/** A property is asserted by what it answers. */
const answersItself = ({ body, call }: Test): boolean =>
  ts.isPropertyAccessExpression(call.expression) && call.expression.name.text === "prop" && isFunction(body) &&
  nodesOf(body).some((node) => (ts.isArrowFunction(node) && !ts.isBlock(node.body)) || ts.isReturnStatement(node))

/** It says why it cannot run, and does nothing else. */
const skipsOnly = ({ body }: Test): boolean =>
  nodesOf(body).some((node) => ts.isCallExpression(node) && /\bskip$/.test(node.expression.getText()))

const asserting = /^(assert|expect|expectTypeOf|assertType)$/
/** Of Effect and of the browser's driver: they end the test when what is waited for does not come. */
const failing = /^(dieMessage|die|orDie|waitFor|waitForFunction|waitForURL|waitForEvent)$/

const assertsItself = (node: ts.Node): boolean => {
  if (ts.isThrowStatement(node)) return true
  if (!ts.isCallExpression(node)) return false
  const name = ts.isPropertyAccessExpression(node.expression) ? node.expression.name.text : ""
  return asserting.test(rootOf(node.expression) ?? "") || asserting.test(name) || failing.test(name)
}

const assertsIn = (names: Names.Names) => {
  const known = new Map<ts.Node, boolean>()
  const asserts = (source: Source, node: ts.Node): boolean => {
    const before = known.get(node)
    if (before !== undefined) return before
    known.set(node, false)
    const nodes = nodesOf(node)
    const found = nodes.some(assertsItself) || nodes.some((one) => {
      if (!ts.isIdentifier(one)) return false
      const access = ts.isPropertyAccessExpression(one.parent) && one.parent.expression === one ? one.parent : undefined
      return names.lookUp(source, one.text, access?.name.text).some((there) => asserts(there.source, there.node))
    })
    known.set(node, found)
    return found
  }
  return asserts
}

/** `assert(true)`, `assert.strictEqual(a, a)`, `expect(1).toBe(1)`. */
const isVacuous = (node: ts.Node): node is ts.CallExpression => {
  if (!ts.isCallExpression(node)) return false
  const { expression } = node
  const text = (one: ts.Node | undefined) => one?.getText() ?? ""
  const isFixed = (one: ts.Node | undefined) =>
    one !== undefined && /^(true|false|null|undefined|-?\d+|"[^"]*")$/.test(text(one))
  if (rootOf(expression) === "assert") {
    const method = ts.isPropertyAccessExpression(expression) ? expression.name.text : "ok"
    const [first, second] = node.arguments
    if (/^(ok|isTrue|isOk|exists|isDefined)$/.test(method)) return isFixed(first)
    return /equal/i.test(method) && second !== undefined && text(first) === text(second)
  }
  if (!ts.isPropertyAccessExpression(expression) || !ts.isCallExpression(expression.expression)) return false
  const inner = expression.expression
  return rootOf(inner.expression) === "expect" && /^to(Be|Equal|StrictEqual)$/.test(expression.name.text) &&
    text(inner.arguments[0]) === text(node.arguments[0])
}

const titleOf = (call: ts.CallExpression): string => (call.arguments[0]?.getText() ?? "").slice(0, 100)

export const assertions = (sources: ReadonlyArray<Source>): ReadonlyArray<Finding> => {
  const asserts = assertsIn(Names.make(sources))
  return sources.filter(isIn("test")).flatMap((source) => [
    ...testsOf(source, (node) => asserts(source, node)).filter((test) =>
      !asserts(source, test.body) && !answersItself(test) && !skipsOnly(test)
    )
      .map(({ call }) => finding("assertion-free-test", source, call, `${titleOf(call)} asserts nothing`)),
    ...nodesOf(source.tree).filter(isVacuous)
      .map((node) => finding("vacuous-assertion", source, node, `${node.getText().slice(0, 100)} always holds`))
  ])
}

/** How many places there are that make tests. */
export const countTests = (sources: ReadonlyArray<Source>): number =>
  sources.filter(isIn("test")).reduce((sum, source) => sum + testsOf(source, () => true).length, 0)

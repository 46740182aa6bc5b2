/**
 * Functions of `src` that have a name and do nothing: an empty body without a reason in it. A callback that is given away
 * (`() => {}`), one that only its own module knows and passes on, and the first value of a variable that gets another may do
 * nothing on purpose.
 * Limits: what does something useless is not seen here; see `ignored.ts` and the run with the core replaced.
 */
import ts from "typescript"
import { type Finding, finding, type Function, isFunction, isIn, nodesOf, type Source } from "./Source.ts"

/** The name under which others rely on it. */
const nameOf = (node: Function): string | undefined => {
  if (node.name !== undefined) return node.name.getText()
  const { parent } = node
  if (ts.isPropertyAssignment(parent)) return parent.name.getText()
  if (!ts.isVariableDeclaration(parent)) return undefined
  const list = parent.parent
  const isExported = ts.isVariableDeclarationList(list) && ts.isVariableStatement(list.parent) &&
    list.parent.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true
  return isExported ? parent.name.getText() : undefined
}

const isEmpty = ({ body }: Function, { tree }: Source): boolean =>
  body !== undefined && ts.isBlock(body) && body.statements.length === 0 && !/\/[/*]/.test(body.getText(tree))

export const stubs = (sources: ReadonlyArray<Source>): ReadonlyArray<Finding> =>
  sources.filter(isIn("src")).flatMap((source) =>
    nodesOf(source.tree).filter(isFunction).flatMap((node) => {
      const name = nameOf(node)
      return name === undefined || !isEmpty(node, source)
        ? []
        : [finding("stub", source, node, `${name} does nothing, and does not say why`)]
    })
  )

/**
 * Implementations that ignore what they are asked: a method of a contract of `src` that takes something and answers
 * something, implemented by a function whose body is a value that was written down. One that is right so says why in a
 * comment before it, and is listed as excused.
 * Limits: a method that uses an input and throws the use away is not seen; contracts are found by the type that an object
 * is given where it is written.
 */
import ts from "typescript"
import { type Finding, type Function, isFunction, nodesOf } from "./Source.ts"

const isOurs = (file: ts.SourceFile): boolean =>
  /(^|\/)src\//.test(file.fileName) && !file.fileName.includes("node_modules")

/** Whether a contract of ours says what this member is, and that it takes something and answers something. */
const isDemanded = (checker: ts.TypeChecker, node: Function): boolean => {
  const member = memberOf(node)
  if (member === undefined || !ts.isObjectLiteralExpression(member.parent)) return false
  const symbol = checker.getContextualType(member.parent)?.getProperty(member.name.getText())
  const declaration = symbol?.declarations?.[0]
  if (symbol === undefined || declaration === undefined || !isOurs(declaration.getSourceFile())) return false
  const [signature] = checker.getTypeOfSymbolAtLocation(symbol, node).getCallSignatures()
  if (signature === undefined || signature.parameters.length === 0) return false
  return !/^(void|undefined|Effect<void\b)/.test(checker.typeToString(signature.getReturnType()))
}

/** Names that bring nothing from elsewhere. */
const wrapping =
  /^(undefined|NaN|Infinity|Effect|Option|Either|Exit|Stream|Chunk|HashMap|succeed|some|none|right|left|empty|of|make)$/

const isKey = (node: ts.Identifier): boolean => ts.isPropertyAssignment(node.parent) && node.parent.name === node

/** Neither an input nor anything else is looked at, nothing is refused. */
const isWrittenDown = ({ body }: Function): boolean =>
  body !== undefined &&
  nodesOf(body).every((node) =>
    !ts.isThrowStatement(node) && (!ts.isIdentifier(node) || isKey(node) || wrapping.test(node.text))
  )

const memberOf = (node: Function): ts.MethodDeclaration | ts.PropertyAssignment | undefined =>
  ts.isMethodDeclaration(node) ? node : ts.isPropertyAssignment(node.parent) ? node.parent : undefined

const reasonOf = (file: ts.SourceFile, member: ts.Node): string | undefined => {
  const [range] = ts.getLeadingCommentRanges(file.text, member.getFullStart()) ?? []
  return range === undefined ? undefined : file.text.slice(range.pos, range.end).replace(/^\/[/*]+\s*|\s*\*\/$/g, "")
}

export interface Ignored {
  readonly findings: ReadonlyArray<Finding>
  readonly excused: ReadonlyArray<Finding>
}

export const ignored = (program: ts.Program, root: string): Ignored => {
  const checker = program.getTypeChecker()
  const found = program.getSourceFiles().filter(isOurs).flatMap((file) =>
    nodesOf(file).filter(isFunction).flatMap((node) => {
      const member = memberOf(node)
      if (member === undefined || !isDemanded(checker, node) || !isWrittenDown(node)) return []
      const reason = reasonOf(file, member)
      const what = `${member.name.getText()} answers the same whatever it is asked`
      return [{
        reason,
        kind: "ignored-input",
        path: file.fileName.replace(root, ""),
        line: file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1,
        what: reason === undefined ? what : `${what}: ${reason}`
      }]
    })
  )
  const plain = ({ reason: _, ...rest }: typeof found[number]): Finding => rest
  return {
    findings: found.filter(({ reason }) => reason === undefined).map(plain),
    excused: found.filter(({ reason }) => reason !== undefined).map(plain)
  }
}

export const programOf = (root: string): ts.Program => {
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, (path) => ts.sys.readFile(path))
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  return ts.createProgram(fileNames.filter((name) => name.startsWith(`${root}src/`)), {
    ...options,
    incremental: false
  })
}

/** The project's own text, parsed once: what the checks of the scan look at. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import ts from "typescript"

export interface Source {
  /** From the root of the project. */
  readonly path: string
  readonly tree: ts.SourceFile
}

export interface Finding {
  readonly kind: string
  readonly path: string
  readonly line: number
  readonly what: string
}

export const parse = (path: string, text: string): Source => ({
  path,
  tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true)
})

const folders = ["src", "test", "bench", "examples", ".ci"]
const isProgram = (name: string) => /\.(ts|tsx|mts|mjs|cjs)$/.test(name) && !name.endsWith(".d.ts")

const filesBelow = (root: string, folder: string): ReadonlyArray<string> =>
  readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`
      return entry.isDirectory() ? filesBelow(root, path) : isProgram(entry.name) ? [path] : []
    })
    .sort()

/** Everything that the project wrote. */
export const ofProject = (root: string): ReadonlyArray<Source> =>
  folders.flatMap((folder) => filesBelow(root, folder)).map((path) =>
    parse(path, readFileSync(join(root, path), "utf8"))
  )

export const isIn = (folder: string) => ({ path }: Source): boolean => path.startsWith(`${folder}/`)

export const finding = (kind: string, { path, tree }: Source, at: ts.Node | number, what: string): Finding => ({
  kind,
  path,
  line: tree.getLineAndCharacterOfPosition(typeof at === "number" ? at : at.getStart(tree)).line + 1,
  what
})

/** Every node below, the node itself first. */
export const nodesOf = (node: ts.Node): ReadonlyArray<ts.Node> => {
  const all: Array<ts.Node> = []
  const visit = (one: ts.Node): void => {
    all.push(one)
    ts.forEachChild(one, visit)
  }
  visit(node)
  return all
}

/** `a` of `a.b.c(...)`. */
export const rootOf = (expression: ts.Expression): string | undefined =>
  ts.isIdentifier(expression)
    ? expression.text
    : ts.isPropertyAccessExpression(expression) || ts.isCallExpression(expression) ||
        ts.isElementAccessExpression(expression)
    ? rootOf(expression.expression)
    : undefined

export type Function = ts.ArrowFunction | ts.FunctionExpression | ts.FunctionDeclaration | ts.MethodDeclaration

export const isFunction = (node: ts.Node): node is Function =>
  ts.isArrowFunction(node) || ts.isFunctionExpression(node) || ts.isFunctionDeclaration(node) ||
  ts.isMethodDeclaration(node)

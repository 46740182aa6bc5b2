/** Where a name of one file is declared, in it or in the file that it is imported from. By names alone, without types. */
import { posix } from "node:path"
import ts from "typescript"
import { nodesOf, type Source } from "./Source.ts"

export interface Declared {
  readonly source: Source
  readonly node: ts.Node
}

interface File {
  readonly source: Source
  readonly declared: ReadonlyMap<string, ReadonlyArray<ts.Node>>
  /** Local name to the file it is from and its name there; `*` for a namespace. */
  readonly imported: ReadonlyMap<string, { readonly from: string; readonly name: string }>
}

const fileOf = (source: Source): File => {
  const declared = new Map<string, Array<ts.Node>>()
  const imported = new Map<string, { readonly from: string; readonly name: string }>()
  const add = (name: string, node: ts.Node) => void declared.set(name, [...declared.get(name) ?? [], node])
  for (const node of nodesOf(source.tree)) {
    if (ts.isFunctionDeclaration(node) && node.name !== undefined) add(node.name.text, node)
    if (ts.isVariableDeclaration(node) && node.initializer !== undefined) {
      const { initializer, name } = node
      if (ts.isIdentifier(name)) add(name.text, initializer)
      else {
        for (const element of name.elements) {
          if (ts.isBindingElement(element) && ts.isIdentifier(element.name)) add(element.name.text, initializer)
        }
      }
    }
    if ((ts.isMethodDeclaration(node) || ts.isPropertyAssignment(node)) && ts.isIdentifier(node.name)) {
      add(`.${node.name.text}`, node)
    }
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const from = node.moduleSpecifier.text
      if (!from.startsWith(".")) continue
      const path = posix.join(posix.dirname(source.path), from)
      const named = node.importClause?.namedBindings
      if (named !== undefined && ts.isNamespaceImport(named)) imported.set(named.name.text, { from: path, name: "*" })
      if (named !== undefined && ts.isNamedImports(named)) {
        for (const { name, propertyName } of named.elements) {
          imported.set(name.text, { from: path, name: (propertyName ?? name).text })
        }
      }
    }
  }
  return { source, declared, imported }
}

export interface Names {
  /** What `name`, or `name.member`, may be in that file; empty for what comes from a package. */
  readonly lookUp: (source: Source, name: string, member?: string) => ReadonlyArray<Declared>
}

export const make = (sources: ReadonlyArray<Source>): Names => {
  const files = new Map(sources.map((source) => [source.path, fileOf(source)]))
  const lookUp: Names["lookUp"] = (source, name, member) => {
    const file = files.get(source.path)
    const way = file?.imported.get(name)
    if (file === undefined) return []
    if (way !== undefined) {
      const there = files.get(way.from)
      if (there === undefined) return []
      return way.name === "*"
        ? member === undefined ? [] : lookUp(there.source, member)
        : lookUp(there.source, way.name, member)
    }
    return (file.declared.get(name) ?? []).map((node) => ({ source: file.source, node }))
  }
  return { lookUp }
}

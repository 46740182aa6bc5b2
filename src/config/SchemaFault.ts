/**
 * What is wrong with data from outside, in words for people: a path, and what must stand there. Request bodies, the
 * configuration file and imported files share it. A value is never repeated, as it may be large or secret, and a type is
 * never shown as code. Pure.
 */
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as AST from "effect/SchemaAST"

type Path = ReadonlyArray<PropertyKey>

/** `unexpected`: a field that nothing knows. `value`: one that does not fit, with what must stand there. */
export type SchemaFault =
  | { readonly kind: "missing"; readonly path: string }
  | { readonly kind: "unexpected"; readonly path: string }
  | { readonly kind: "value"; readonly path: string; readonly reason: string }

/** Longest path and reason shown. */
const textMax = 200

/** `["providers", 1, "id"]` as `providers[1].id`. */
export const pathText = (path: Path): string => {
  let text = ""
  for (const step of path) {
    text += typeof step === "number" ? `[${step}]` : text === "" ? String(step) : `.${String(step)}`
  }
  return text.slice(0, textMax)
}

interface Complaint {
  readonly kind: SchemaFault["kind"]
  readonly path: Path
  /** The schema that refused; of a rule, the rule. */
  readonly ast: AST.AST | undefined
  /** True for a rule over a value that has the right type. */
  readonly isRule: boolean
}

const stepsOf = (path: ParseResult.Path): Path => Array.isArray(path) ? path : [path as PropertyKey]

const listOf = <A>(items: ParseResult.SingleOrNonEmpty<A>): ReadonlyArray<A> =>
  Array.isArray(items) ? items : [items as A]

const complaintsOf = (issue: ParseResult.ParseIssue, path: Path = []): ReadonlyArray<Complaint> => {
  switch (issue._tag) {
    case "Pointer":
      return complaintsOf(issue.issue, [...path, ...stepsOf(issue.path)])
    case "Composite":
      return listOf(issue.issues).flatMap((inner) => complaintsOf(inner, path))
    case "Refinement":
      return issue.kind === "From"
        ? complaintsOf(issue.issue, path)
        : [{ kind: "value", path, ast: issue.ast, isRule: true }]
    case "Transformation":
      return complaintsOf(issue.issue, path)
    case "Missing":
      return [{ kind: "missing", path, ast: undefined, isRule: false }]
    case "Unexpected":
      return [{ kind: "unexpected", path, ast: undefined, isRule: false }]
    default:
      // a field whose type has no value may not be there
      return [{ kind: AST.isNeverKeyword(issue.ast) ? "unexpected" : "value", path, ast: issue.ast, isRule: false }]
  }
}

/** What a value must be, one entry an alternative. */
const shapesOf = (ast: AST.AST): ReadonlyArray<string> => {
  switch (ast._tag) {
    case "Literal":
      return [typeof ast.literal === "string" ? JSON.stringify(ast.literal) : String(ast.literal)]
    case "StringKeyword":
      return ["a string"]
    case "NumberKeyword":
      return ["a number"]
    case "BooleanKeyword":
      return ["true", "false"]
    case "TypeLiteral":
      return ["an object"]
    case "TupleType":
      return ["an array"]
    case "Union":
      return ast.types.flatMap(shapesOf)
    case "Refinement":
    case "Transformation":
      return shapesOf(ast.from)
    case "Suspend":
      return shapesOf(ast.f())
    default:
      return []
  }
}

const alternatives = (shapes: ReadonlyArray<string>): string => {
  const distinct = [...new Set(shapes)]
  const last = distinct.at(-1)
  return distinct.length < 2 ? last ?? "another value" : `${distinct.slice(0, -1).join(", ")} or ${last}`
}

/** A rule's own message, else its description. */
const ruleText = (ast: AST.AST): string | undefined => {
  // an annotation of a rule of ours does not look at the issue: it may not repeat a value
  const message = Option.getOrUndefined(AST.getMessageAnnotation(ast)) as (() => unknown) | undefined
  const own = message?.()
  if (typeof own === "string") return own
  const description = Option.getOrUndefined(AST.getDescriptionAnnotation(ast))
  return description === undefined ? undefined : `must be ${description}`
}

/**
 * The most specific complaint. In a union each member complains; the one that the sender most likely meant is the one
 * that knew the fields: it faults a value, or a field that the others do not all fault.
 */
const mostSpecific = (complaints: ReadonlyArray<Complaint>): Complaint | undefined => {
  const depth = Math.max(...complaints.map(({ path }) => path.length))
  const deepest = complaints.filter(({ path }) => path.length === depth)
  const values = deepest.filter(({ kind }) => kind === "value")
  if (values.length > 0) return values.find(({ isRule }) => isRule) ?? values[0]
  const unexpected = deepest.filter(({ kind }) => kind === "unexpected")
  const count = ({ path }: Complaint) => deepest.filter((other) => pathText(other.path) === pathText(path)).length
  return (unexpected.length > 0 ? unexpected : deepest).toSorted((a, b) => count(a) - count(b))[0]
}

/** `within`: where the value stands in the whole. */
export const schemaFault = ({ issue }: ParseResult.ParseError, within: Path = []): SchemaFault => {
  const complaints = complaintsOf(issue, within)
  const chosen = mostSpecific(complaints)
  const path = pathText(chosen?.path ?? [])
  if (chosen !== undefined && chosen.kind !== "value") return { kind: chosen.kind, path }
  const rule = chosen?.isRule === true && chosen.ast !== undefined ? ruleText(chosen.ast) : undefined
  const shapes = complaints.flatMap(({ ast, kind, path: at }) =>
    kind === "value" && ast !== undefined && pathText(at) === path ? shapesOf(ast) : []
  )
  return { kind: "value", path, reason: (rule ?? `must be ${alternatives(shapes)}`).slice(0, textMax) }
}

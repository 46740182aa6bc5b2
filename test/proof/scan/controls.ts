/**
 * Controls of the page without behaviour: a button, field, choice or link that nothing listens to, and that is not disabled
 * with its reason; a listener that does nothing; a component that takes an optional listener and is given none.
 * Limits: by source; that a listener does what the label says is what the tests in the browser press.
 */
import ts from "typescript"
import { type Finding, finding, isFunction, isIn, nodesOf, type Source } from "./Source.ts"

type Element = ts.JsxOpeningElement | ts.JsxSelfClosingElement

const isElement = (node: ts.Node): node is Element => ts.isJsxOpeningElement(node) || ts.isJsxSelfClosingElement(node)

const tagOf = (node: Element): string => node.tagName.getText()

/** The expression of an attribute; `true` for one without a value. */
const attributeOf = (node: Element, names: ReadonlyArray<string>): ts.Node | undefined =>
  node.attributes.properties.find((one): one is ts.JsxAttribute =>
    ts.isJsxAttribute(one) && names.includes(one.name.getText())
  )

const valueOf = (attribute: ts.Node | undefined): ts.Expression | undefined =>
  attribute !== undefined && ts.isJsxAttribute(attribute) && attribute.initializer !== undefined &&
    ts.isJsxExpression(attribute.initializer)
    ? attribute.initializer.expression
    : undefined

const nothing = /^(\(\) => )?(\{\s*\}|undefined|null|void 0|\(\))$/

const listens = (node: Element, names: ReadonlyArray<string>): boolean => {
  const value = valueOf(attributeOf(node, names))
  return value !== undefined && !nothing.test(value.getText()) &&
    !(isFunction(value) && value.body !== undefined && nothing.test(value.body.getText()))
}

const formAround = (node: Element): Element | undefined => {
  for (let around: ts.Node = node.parent; !ts.isSourceFile(around); around = around.parent) {
    if (ts.isJsxElement(around) && tagOf(around.openingElement) === "form") return around.openingElement
  }
  return undefined
}

const isSubmitted = (node: Element): boolean => {
  const form = formAround(node)
  return form !== undefined && listens(form, ["onSubmit"])
}

const saysWhy = (node: Element): boolean =>
  attributeOf(node, ["disabled", "aria-disabled"]) !== undefined &&
  attributeOf(node, ["title", "aria-describedby"]) !== undefined

const isButtonType = (node: Element): boolean => /^type="?button"?$/.test(attributeOf(node, ["type"])?.getText() ?? "")

const acts: Readonly<Record<string, (node: Element) => boolean>> = {
  button: (node) =>
    listens(node, ["onClick"]) || attributeOf(node, ["popovertarget", "popoverTarget", "command"]) !== undefined ||
    (!isButtonType(node) && isSubmitted(node)) || saysWhy(node),
  select: (node) => listens(node, ["onChange", "onInput"]) || saysWhy(node),
  input: (node) =>
    listens(node, ["onInput", "onChange"]) || (attributeOf(node, ["ref", "name"]) !== undefined && isSubmitted(node)) ||
    saysWhy(node),
  textarea: (node) => listens(node, ["onInput", "onChange"]) || saysWhy(node),
  form: (node) => listens(node, ["onSubmit"]),
  a: (node) => attributeOf(node, ["href"]) !== undefined
}

/** Components that draw a control with a listener that they may be given: `Action`. */
const wrappersIn = (sources: ReadonlyArray<Source>): ReadonlySet<string> =>
  new Set(sources.flatMap(({ tree }) =>
    nodesOf(tree).flatMap((node) => {
      if (!ts.isVariableDeclaration(node) || !ts.isIdentifier(node.name) || !/^[A-Z]/.test(node.name.text)) return []
      const props = node.initializer !== undefined && isFunction(node.initializer)
        ? node.initializer.parameters[0]?.type
        : undefined
      const isOptional = props !== undefined && ts.isTypeLiteralNode(props) && props.members.some((member) =>
        ts.isPropertySignature(member) && member.name.getText() === "onClick" && member.questionToken !== undefined
      )
      return isOptional ? [node.name.text] : []
    })
  ))

const wrapperActs = (node: Element): boolean =>
  listens(node, ["onClick"]) || (attributeOf(node, ["submits"]) !== undefined && isSubmitted(node))

const isSpread = (node: Element): boolean => node.attributes.properties.some(ts.isJsxSpreadAttribute)

export const controls = (sources: ReadonlyArray<Source>): ReadonlyArray<Finding> => {
  const page = sources.filter(isIn("src/workbench"))
  const wrappers = wrappersIn(page)
  return page.flatMap((source) =>
    nodesOf(source.tree).filter(isElement).flatMap((node) => {
      const tag = tagOf(node)
      const isAlive = wrappers.has(tag) ? wrapperActs : acts[tag]
      return isAlive === undefined || isSpread(node) || isAlive(node)
        ? []
        : [finding("control-without-behaviour", source, node, node.getText().replace(/\s+/g, " ").slice(0, 100))]
    })
  )
}

/** How many controls there are to be looked at; none would mean that the page is drawn in another way now. */
export const countControls = (sources: ReadonlyArray<Source>): number => {
  const page = sources.filter(isIn("src/workbench"))
  const known = new Set([...Object.keys(acts), ...wrappersIn(page)])
  return page.flatMap(({ tree }) => nodesOf(tree).filter(isElement)).filter((node) => known.has(tagOf(node))).length
}

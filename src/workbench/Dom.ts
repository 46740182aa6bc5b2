/** The elements that `index.html` promises, found with their types. Text goes in as text; markup is never parsed. */

/** The element of this id. A page without it was built wrong: that is a defect and is thrown. */
export const byId = <E extends HTMLElement>(id: string, type: { new(): E }): E => {
  const found = document.getElementById(id)
  if (found instanceof type) return found
  throw new TypeError(`index.html has no ${type.name} with the id "${id}"`)
}

/** The part of a block by its `data-part`. */
export const part = <E extends HTMLElement>(block: ParentNode, name: string, type: { new(): E }): E => {
  const found = block.querySelector(`[data-part="${name}"]`)
  if (found instanceof type) return found
  throw new TypeError(`the template has no ${type.name} named "${name}"`)
}

/** A new block from the template of this id. */
export const fromTemplate = (id: string): HTMLElement => {
  const block = byId(id, HTMLTemplateElement).content.firstElementChild?.cloneNode(true)
  if (block instanceof HTMLElement) return block
  throw new TypeError(`the template "${id}" is empty`)
}

/** Shows text, or hides the element where there is none. Untouched where nothing changed. */
export const show = (element: HTMLElement, text: string): void => {
  if (element.textContent !== text) element.textContent = text
  element.hidden = text === ""
}

/** Makes the node hold this text; what it holds already is only added to, so that a selection stays. */
export const grow = (node: Text, text: string): void => {
  if (node.data === text) return
  if (node.data !== "" && text.startsWith(node.data)) node.appendData(text.slice(node.data.length))
  else node.data = text
}

export const option = (value: string, label: string): HTMLOptionElement => {
  const element = document.createElement("option")
  element.value = value
  element.textContent = label
  return element
}

/**
 * Keeps the focus in the page. A browser drops it where the element that has it is removed, as a button is that its turn
 * no longer has, and who works by keys is then nowhere. It goes to the nearest element around that can hold it
 * (`tabindex`), where no key does anything yet: one that is pressed twice must not press what came instead.
 */

const pathOf = (element: Element): ReadonlyArray<Element> => {
  const path: Array<Element> = []
  for (let next: Element | null = element; next !== null; next = next.parentElement) path.push(next)
  return path
}

/** Watches everything in `root`; `otherwise` is where the focus goes from what has nothing around it. Ends with the answer. */
export const keep = (root: HTMLElement, otherwise: () => HTMLElement | null): () => void => {
  /** What has the focus, and everything around it, from the inside. */
  let path: ReadonlyArray<Element> = []

  const enter = ({ target }: FocusEvent): void => {
    path = target instanceof Element ? pathOf(target) : []
  }
  // who leaves by a press beside everything wants no focus; one that is removed is not here any more
  const leave = (): void =>
    queueMicrotask(() => {
      if (path[0]?.isConnected === true && path[0] !== document.activeElement) path = []
    })
  const observer = new MutationObserver(() => {
    if (path[0] === undefined || path[0].isConnected) return
    const around = path.find((element) => element.isConnected && element.hasAttribute("tabindex"))
    path = []
    if (document.activeElement !== document.body) return
    const next = around instanceof HTMLElement && around.checkVisibility() ? around : otherwise()
    next?.focus({ preventScroll: true })
  })

  root.addEventListener("focusin", enter)
  root.addEventListener("focusout", leave)
  observer.observe(root, { childList: true, subtree: true })
  return () => {
    root.removeEventListener("focusin", enter)
    root.removeEventListener("focusout", leave)
    observer.disconnect()
  }
}

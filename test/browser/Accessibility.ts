/**
 * What can be measured of how a page serves everyone: axe-core's rules, nothing that sticks out sideways, targets that a
 * finger can hit. Each check answers with the findings as lines; none is good.
 *
 * axe-core runs in a world of its own beside the page's, so that the page's content security policy holds meanwhile and
 * its scripts see nothing of it.
 */
import axe from "axe-core"
import type { CDPSession, Page } from "playwright-core"

const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]

/** Side of the square that a finger needs, CSS px. */
export const targetMin = 40

const withSession = async <A>(page: Page, use: (session: CDPSession) => Promise<A>): Promise<A> => {
  const session = await page.context().newCDPSession(page)
  try {
    return await use(session)
  } finally {
    await session.detach()
  }
}

/** Violations of WCAG 2.0 to 2.2, A and AA, and of what axe calls best practice. */
export const violations = (page: Page): Promise<ReadonlyArray<string>> =>
  withSession(page, async (session) => {
    const { frameTree } = await session.send("Page.getFrameTree")
    const { executionContextId: contextId } = await session.send("Page.createIsolatedWorld", {
      frameId: frameTree.frame.id,
      worldName: "axe"
    })
    await session.send("Runtime.evaluate", { contextId, expression: axe.source })
    const options = JSON.stringify({ runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] })
    const { exceptionDetails, result } = await session.send("Runtime.evaluate", {
      contextId,
      awaitPromise: true,
      returnByValue: true,
      expression: `axe.run(document, ${options}).then((result) => result.violations)`
    })
    if (exceptionDetails !== undefined) throw new Error(`axe-core failed: ${JSON.stringify(exceptionDetails)}`)
    return (result.value as ReadonlyArray<axe.Result>).flatMap(({ help, id, impact, nodes }) =>
      nodes.map(({ failureSummary = "", target }) => {
        const why = failureSummary.split("\n").slice(1).map((line) => line.trim()).join("; ")
        return `${id} (${impact ?? "minor"}) ${target.join(" ")}: ${help}. ${why}`
      })
    )
  })

/** A session that ends takes what it emulates with it. */
const fingers = new WeakMap<Page, CDPSession>()

/** Makes the pointer of an open page a finger's, or a mouse's again. */
export const emulateTouch = async (page: Page, enabled: boolean): Promise<void> => {
  const session = fingers.get(page) ?? await page.context().newCDPSession(page)
  fingers.set(page, session)
  await session.send("Emulation.setTouchEmulationEnabled", enabled ? { enabled, maxTouchPoints: 1 } : { enabled })
}

/** Runs in the page. */
const findOverflow = (): ReadonlyArray<string> => {
  const width = document.documentElement.clientWidth
  const nameOf = (element: Element) => {
    const id = element.id === "" ? "" : `#${element.id}`
    const classes = [...element.classList].map((name) => `.${name}`).join("")
    return `${element.tagName.toLowerCase()}${id}${classes} "${(element.textContent ?? "").trim().slice(0, 24)}"`
  }
  const isShown = (element: Element) => {
    const { height, width } = element.getBoundingClientRect()
    return width > 2 && height > 2 && element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
  }
  const findings: Array<string> = []
  const scroll = document.scrollingElement ?? document.documentElement
  if (scroll.scrollWidth > width) findings.push(`the document is ${scroll.scrollWidth} px wide in ${width} px`)

  /** `inside`: within something that clips or scrolls, which only itself can stick out. */
  const look = (element: Element, inside: boolean) => {
    const { overflowX, textOverflow } = getComputedStyle(element)
    if (isShown(element)) {
      const { left, right } = element.getBoundingClientRect()
      if (!inside && right > width + 0.5) {
        findings.push(`${nameOf(element)} ends at ${Math.round(right)} of ${width} px`)
      }
      if (!inside && left < -0.5 && right > 0) findings.push(`${nameOf(element)} begins at ${Math.round(left)} px`)
      const hidden = element.scrollWidth - element.clientWidth
      const scrollsItself = ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName)
      const isCut = !scrollsItself && (overflowX === "hidden" || overflowX === "clip") && textOverflow !== "ellipsis" &&
        hidden > 1
      if (element.tagName === "BUTTON" && hidden > 1) findings.push(`${nameOf(element)} is ${hidden} px too narrow`)
      else if (isCut) findings.push(`${nameOf(element)} hides ${hidden} px of its content`)
    }
    const clips = overflowX !== "visible" && element !== document.body
    for (const child of element.children) look(child, inside || clips)
  }
  look(document.body, false)
  return findings
}

/**
 * What is wider than the window or sticks out of it, buttons too narrow for their words, and what is cut off without an
 * ellipsis. Content that scrolls is fine.
 */
export const overflow = (page: Page): Promise<ReadonlyArray<string>> => page.evaluate(findOverflow)

/** Runs in the page. */
const findSmallTargets = (min: number): ReadonlyArray<string> => {
  const selector = [
    ...["a[href]", "button", "input:not([type=hidden])", "select", "textarea", "summary"],
    ...["button", "tab", "switch", "checkbox", "radio", "menuitem", "option", "slider", "link"]
      .map((role) => `[role=${role}]`)
  ].join()
  const isInText = (element: Element) =>
    element.tagName === "A" && getComputedStyle(element).display === "inline" &&
    [...element.parentElement?.childNodes ?? []].some((node) =>
      node.nodeType === 3 && (node.textContent ?? "").trim() !== ""
    )
  const labelsOf = (element: Element): ReadonlyArray<Element> =>
    "labels" in element && element.labels instanceof NodeList ? [...element.labels as NodeListOf<Element>] : []

  /** How far a press still hits, going from a point in steps of half a pixel; beyond `min` nobody asks. */
  const reach = (parts: ReadonlyArray<Element>, x: number, y: number, dx: number, dy: number) => {
    let steps = 0
    while (steps < min * 2) {
      const hit = document.elementFromPoint(x + (steps + 1) * dx / 2, y + (steps + 1) * dy / 2)
      if (hit === null || !parts.some((part) => part.contains(hit))) break
      steps++
    }
    return steps / 2
  }

  const sizeOf = (element: Element): readonly [number, number] => {
    const { height, width } = element.getBoundingClientRect()
    if (width >= min && height >= min) return [width, height]
    element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" })
    const box = element.getBoundingClientRect()
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2]
    const parts = [element, ...labelsOf(element)]
    const across = reach(parts, x, y, -1, 0) + reach(parts, x, y, 1, 0)
    const along = reach(parts, x, y, 0, -1) + reach(parts, x, y, 0, 1)
    return [Math.max(box.width, across), Math.max(box.height, along)]
  }

  const findings: Array<string> = []
  for (const element of document.querySelectorAll(selector)) {
    const { bottom, height, right, width } = element.getBoundingClientRect()
    const isShown = width > 2 && height > 2 && right > 0 && bottom > 0 &&
      element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    if (!isShown || isInText(element)) continue
    const [across, along] = sizeOf(element)
    if (across >= min - 0.5 && along >= min - 0.5) continue
    const name = element.getAttribute("aria-label") ?? (element.textContent ?? "").trim().slice(0, 24)
    findings.push(`${element.tagName.toLowerCase()} "${name}" is ${Math.round(across)} x ${Math.round(along)} px`)
  }
  return findings
}

/**
 * Controls that are hit in less than `min` px across or along; links in running text are exempt. What counts is where a
 * press lands, labels and enlarged areas with it. Scrolls. Open the page with `touch` to see what a phone sees.
 */
export const smallTargets = (page: Page, min = targetMin): Promise<ReadonlyArray<string>> =>
  page.evaluate(findSmallTargets, min)

/**
 * A list of which only what is in view, and a little more, is in the page: items of unknown height that may grow, in
 * thousands. What a reader reads does not move when an item above it is measured or changes; who is at the end stays
 * there (`stickToEnd`), whatever grows or comes.
 *
 * - The item that holds the focus stays in the page wherever it is scrolled to. Items are in the page in their order.
 * - Each says its place and how many there are, as their number in the page says nothing. What `render` gives is put
 *   into an element with the role: it need not be an `article` or `li` itself. Space between items is theirs (padding).
 * - `lead` is drawn above the items, always in the page, and may change its height too.
 * - What `render` gave is kept until the item, its index or `render` itself is another one, so that a frame of scrolling
 *   draws only what comes into view.
 * - Positions and heights are set through CSSOM alone. Nothing scrolls smoothly.
 */
import {
  elementScroll,
  measureElement,
  observeElementOffset,
  observeElementRect,
  Virtualizer
} from "@tanstack/virtual-core"
import type { Range, VirtualizerOptions } from "@tanstack/virtual-core"
import { type ComponentChildren, options as preact, type VNode } from "preact"
import { useCallback, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks"
import "./virtual-list.css"

export interface Handle {
  readonly scrollToEnd: () => void
  readonly scrollToKey: (key: string) => void
  readonly isAtEnd: () => boolean
}

interface Props<A> {
  readonly items: ReadonlyArray<A>
  readonly keyOf: (item: A) => string
  /** Of an item not seen yet, in px. */
  readonly estimate: number
  readonly render: (item: A, index: number) => VNode
  readonly label: string
  readonly stickToEnd?: boolean
  readonly class?: string
  readonly listRole?: "feed" | "list"
  readonly handle?: (handle: Handle) => void
  readonly lead?: ComponentChildren
}

type List = Virtualizer<HTMLDivElement, HTMLDivElement>
type Options = VirtualizerOptions<HTMLDivElement, HTMLDivElement>

/** In px: a reader this near to the end is at it. */
const endThreshold = 24
/** Kept beyond each edge of the view, in px; what a turn of the wheel brings is there already. */
const overscan = 400
const leadKey = "\u0000lead"

/** Draws in this task: what was measured, and the scroll position that goes with it, are painted together. */
const drawNow = (change: () => void): void => {
  const later = preact.debounceRendering
  preact.debounceRendering = (draw) => draw()
  try {
    change()
  } finally {
    if (later === undefined) delete preact.debounceRendering
    else preact.debounceRendering = later
  }
}

const isNearEnd = (list: List): boolean =>
  list.getTotalSize() - (list.scrollRect?.height ?? 0) - (list.scrollOffset ?? 0) <= endThreshold

/** The parts of the virtualizer's options that do not change. */
const fixedOptions = (stuck: { current: boolean }, sticks: { readonly current: boolean }) => ({
  scrollToFn: elementScroll,
  observeElementOffset: (list: List, report: (offset: number, isScrolling: boolean) => void) =>
    observeElementOffset(list, (offset, isScrolling) => {
      report(offset, isScrolling)
      if ((list.scrollRect?.height ?? 0) > 0) stuck.current = isNearEnd(list)
    }),
  // the view itself may change its height, or be hidden for a while
  observeElementRect: (list: List, report: (rect: { readonly width: number; readonly height: number }) => void) =>
    observeElementRect(list, (rect) => {
      report(rect)
      if (rect.height > 0 && stuck.current && sticks.current) list.scrollToEnd()
    }),
  scrollEndThreshold: endThreshold
})

/** Everything that has been measured while hidden has no height, and would lose the one that it had. */
const measureShown: NonNullable<Options["measureElement"]> = (element, entry, list) => {
  const size = measureElement(element, entry, list)
  const index = list.indexFromElement(element)
  const key = list.options.getItemKey(index)
  return size > 0 || key === leadKey ? size : list.itemSizeCache.get(key) ?? list.options.estimateSize(index)
}

/** What `render` gave for the items that are in the page. */
function useRendered<A>(render: Props<A>["render"]) {
  const kept = useRef<
    { render: Props<A>["render"]; nodes: Map<string, { item: A; index: number; node: VNode }> } | undefined
  >(undefined)
  if (kept.current?.render !== render) kept.current = { render, nodes: new Map() }
  const before = kept.current.nodes
  const nodes: typeof before = new Map()
  kept.current.nodes = nodes
  return (key: string, item: A, index: number): VNode => {
    const known = before.get(key)
    const next = known?.item === item && known.index === index ? known : { item, index, node: render(item, index) }
    nodes.set(key, next)
    return next.node
  }
}

export function VirtualList<A>(props: Props<A>) {
  const { estimate, items, keyOf, label, lead, listRole = "list", stickToEnd = false } = props
  const scroller = useRef<HTMLDivElement>(null)
  const [, draw] = useReducer((count: number) => count + 1, 0)
  const first = lead === undefined || lead === null || lead === false ? 0 : 1
  const current = { items, keyOf, first }
  const now = useRef(current)
  now.current = current
  const sticks = useRef(stickToEnd)
  sticks.current = stickToEnd
  const stuck = useRef(true)
  const isDrawing = useRef(true)
  isDrawing.current = true

  // a new function where keys may be others: the layout is made anew
  const getItemKey = useCallback((index: number): string => {
    const item = items[index - first]
    return item === undefined ? leadKey : now.current.keyOf(item)
  }, [items, first])

  const indexOf = useCallback((key: string): number => {
    const index = now.current.items.findIndex((item) => now.current.keyOf(item) === key)
    return index < 0 ? -1 : index + now.current.first
  }, [])

  const rangeExtractor = useCallback((range: Range): Array<number> => {
    const more = Math.max(2, Math.ceil(overscan / estimate))
    const from = Math.max(0, range.startIndex - more)
    const to = Math.min(range.count - 1, range.endIndex + more)
    const indexes = Array.from({ length: to - from + 1 }, (_, index) => from + index)
    const focused = document.activeElement?.closest<HTMLElement>("[data-key]")
    const held = focused !== null && focused !== undefined && scroller.current?.contains(focused) === true
      ? indexOf(focused.dataset["key"] ?? "")
      : -1
    const extra = [now.current.first === 1 ? 0 : -1, held].filter((index) => index >= 0)
    return [...new Set([...extra, ...indexes])].sort((a, b) => a - b)
  }, [estimate])

  const [fixed] = useState(() => fixedOptions(stuck, sticks))
  const options: Options = {
    ...fixed,
    count: items.length + first,
    getScrollElement: () => scroller.current,
    estimateSize: () => estimate,
    getItemKey,
    measureElement: measureShown,
    rangeExtractor,
    anchorTo: stickToEnd ? "end" : "start",
    followOnAppend: stickToEnd,
    // later, in a microtask, what comes into the page would be observed too late in the frame: an error in the console
    onChange: () => {
      if (!isDrawing.current) drawNow(() => draw(undefined))
      else draw(undefined)
    }
  }
  const [list] = useState((): List => {
    const made: List = new Virtualizer(options)
    // also on the way up, which is when the items above are measured
    made.shouldAdjustScrollPositionOnItemSizeChange = (item) =>
      made.itemSizeCache.has(item.key) ? item.end <= (made.scrollOffset ?? 0) : item.start < (made.scrollOffset ?? 0)
    return made
  })
  list.setOptions(options)

  useLayoutEffect(() => list._didMount(), [])
  useLayoutEffect(() => {
    list._willUpdate()
    isDrawing.current = false
  })
  useLayoutEffect(() => {
    if (stickToEnd) list.scrollToEnd()
    props.handle?.({
      scrollToEnd: () => list.scrollToEnd(),
      scrollToKey: (key) => {
        const index = indexOf(key)
        if (index >= 0) list.scrollToIndex(index, { align: "start" })
      },
      isAtEnd: () => isNearEnd(list)
    })
  }, [])

  const rendered = useRendered(props.render)
  const shown = list.getVirtualItems()
  const place = (start: number) => ({ top: `${start}px` })
  return (
    <div
      ref={scroller}
      class={`virtual ${props.class ?? ""}`}
      tabIndex={0}
      role="region"
      aria-label={label}
    >
      <div class="virtual-all" style={{ height: `${list.getTotalSize()}px` }}>
        {first === 1 && <div ref={list.measureElement} data-index={0} style={place(0)}>{lead}</div>}
        <div
          class="virtual-items"
          role={items.length === 0 ? undefined : listRole}
          aria-label={items.length === 0 ? undefined : label}
        >
          {shown.map(({ index, start }) => {
            const item = items[index - first]
            if (item === undefined) return null
            const key = keyOf(item)
            return (
              <div
                key={key}
                ref={list.measureElement}
                data-index={index}
                data-key={key}
                role={listRole === "feed" ? "article" : "listitem"}
                aria-setsize={items.length}
                aria-posinset={index - first + 1}
                style={place(start)}
              >
                {rendered(key, item, index - first)}
              </div>
            )
          })}
        </div>
      </div>
    </div>
  )
}

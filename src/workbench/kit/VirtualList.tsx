/**
 * A list of which only what is in view, and a little more, is in the page: items of unknown height that may grow, in
 * thousands. What a reader reads does not move when an item above it is measured or changes; who is at the end stays
 * there (`stickToEnd`), whatever grows or comes, and also when the list was hidden for a while.
 *
 * - The item that holds the focus stays in the page wherever it is scrolled to. Items are in the page in their order.
 * - Each says its place and how many there are, as their number in the page says nothing. What `render` gives is put
 *   into an element with the role: it need not be an `article` or `li` itself. Space between items is theirs (padding).
 * - What `render` gave is kept until the item, its index or `render` itself is another one, so that a frame of scrolling
 *   draws only what comes into view.
 * - Positions and heights are set through CSSOM alone. Nothing scrolls smoothly. The scroller has no padding above.
 *
 * How: items are in normal flow, each with the height of those left out before it as its margin, so that the page is
 * right by itself when one grows. `Place` holds the first visible item and where the view begins within it. Whatever
 * happens (`sync`), the heights of what is drawn are read, the view is put back to that item, and what is then in view is
 * drawn, until nothing changes: a known height is not forgotten, so this ends. All of it is before the browser paints.
 *
 * Ours, since the library that did this (@tanstack/virtual-core) was 10.5 kB of a page that may have 45.
 */
import { createRef, type VNode } from "preact"
import { useLayoutEffect, useReducer, useRef, useState } from "preact/hooks"
import { Heights } from "./Heights.ts"
import "./virtual-list.css"

export interface Handle {
  readonly scrollToEnd: () => void
  readonly scrollToKey: (key: string) => void
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
  /** The id of the element that names an item, in what `render` gives: items are the articles of a feed then. */
  readonly nameIdOf?: (item: A) => string
  readonly handle?: (handle: Handle) => void
}

/** In px: a reader this near to the end is at it. */
const endThreshold = 24
/** Kept beyond each edge of the view, in px; what a turn of the wheel brings is there already. */
const overscan = 400

/** What is held in place, and what is drawn. Positions are px below the top of the first item. */
class Place<A> {
  readonly scroller = createRef<HTMLDivElement>()
  readonly list = createRef<HTMLDivElement>()
  readonly heights: Heights<A>
  sticks: boolean
  readonly #draw: () => void
  #observer: ResizeObserver | undefined
  /** The indexes of what is in the page, and from where to where it is without gaps. */
  #drawn: ReadonlyArray<number> = []
  #from = 0
  #to = -1
  /** The first item in view, and how far below its top the view begins. */
  #key: string | undefined
  #offset = 0
  #isAtEnd: boolean
  /** On the way there by command. */
  #isEnding = false
  /** Of the view: its place and its height; none while it is hidden. */
  #y = 0
  #height = 0
  #isHidden = true
  /** The scroll position, and the greatest one, as they were left: any other is the reader's doing. */
  #top = 0
  #max = 0

  constructor({ estimate, keyOf, stickToEnd = false }: Props<A>, draw: () => void) {
    this.heights = new Heights(keyOf, estimate)
    this.sticks = this.#isAtEnd = stickToEnd
    this.#draw = draw
  }

  /** A ref. What comes while sizes are reported is observed in the next frame: else the browser reports a loop. */
  readonly watch = (element: Element | null) => {
    if (element === null) return
    const observer = this.#observer ??= new ResizeObserver(this.sync)
    const id = requestAnimationFrame(() => observer.observe(element))
    return () => {
      cancelAnimationFrame(id)
      observer.unobserve(element)
    }
  }

  /** To the item with this key; without one, to the end. */
  readonly jump = (key?: string): void => {
    if (key !== undefined && this.heights.indexOf(key) < 0) return
    this.#key = key
    this.#offset = 0
    this.#isAtEnd = this.#isEnding = key === undefined
    this.#top = this.scroller.current?.scrollTop ?? 0
    this.sync()
  }

  /** The indexes of the items to be in the page. */
  draw(items: ReadonlyArray<A>): ReadonlyArray<number> {
    const { heights, list } = this
    if (heights.take(items)) {
      this.#y = this.#follows()
        ? heights.startOf(items.length) - this.#height
        : this.#aim(this.#y)
    }
    const [from, to] = this.#range(overscan)
    this.#from = from
    this.#to = to
    const focused = list.current === null ? undefined : document.activeElement?.closest<HTMLElement>("[data-key]")
    const held = list.current?.contains(focused ?? null) === true ? heights.indexOf(focused?.dataset["key"]) : -1
    const drawn = items.slice(from, to + 1).map((_, index) => from + index)
    if (held >= 0 && held < from) drawn.unshift(held)
    if (held > to) drawn.push(held)
    return this.#drawn = drawn
  }

  readonly sync = (): void => {
    const { heights, list: { current: list }, scroller: { current: scroller } } = this
    const height = scroller?.clientHeight ?? 0
    const wasHidden = this.#isHidden
    this.#isHidden = height === 0
    if (scroller === null || list === null || height === 0) return
    this.#height = height
    this.#drawn.forEach((index, at) => heights.measured(index, list.children[at]?.getBoundingClientRect().height ?? 0))

    const max = scroller.scrollHeight - height
    const top = scroller.scrollTop
    // the browser moves what was hidden, and what is at the end of a list that became shorter
    const moved = wasHidden || (max < this.#max && top > max - 1) ? 0 : top - this.#top
    this.#offset += moved
    if (moved !== 0) this.#isEnding = false
    const follows = moved === 0 && this.#follows()
    const aim = follows ? max : this.#aim(top)
    if (Math.abs(aim - top) > 0.5) scroller.scrollTop = aim
    this.#top = this.#y = scroller.scrollTop

    const [from, to] = this.#range(overscan / 2)
    const isDrawn = from >= this.#from && to <= this.#to
    if (moved !== 0) this.#hold(Math.min(max, this.#max) - top <= (moved < 0 ? 1 : endThreshold))
    else if (isDrawn && (follows || heights.indexOf(this.#key) < 0 || Math.abs(aim - this.#y) >= 1)) {
      this.#hold(max - this.#top <= endThreshold)
    }
    this.#max = max
    if (isDrawn) this.#isEnding = false
    else this.#draw()
  }

  #hold(isAtEnd: boolean): void {
    const index = this.heights.indexAt(this.#y)
    this.#key = this.heights.keyAt(index)
    this.#offset = this.#y - this.heights.startOf(index)
    this.#isAtEnd = isAtEnd
  }

  #follows(): boolean {
    return this.#isEnding || (this.#isAtEnd && this.sticks)
  }

  /** Where the view should begin; `y` where nothing is held. */
  #aim(y: number): number {
    const index = this.heights.indexOf(this.#key)
    return index < 0 ? y : this.heights.startOf(index) + this.#offset
  }

  #range(beyond: number): readonly [number, number] {
    return [this.heights.indexAt(this.#y - beyond), this.heights.indexAt(this.#y + this.#height + beyond)]
  }
}

/** What `render` gave for the items that are in the page. */
function useRendered<A>(render: Props<A>["render"]) {
  const kept = useRef({ render, nodes: new Map<string, { item: A; index: number; node: VNode }>() })
  const before = kept.current.render === render ? kept.current.nodes : undefined
  const nodes: typeof kept.current.nodes = new Map()
  kept.current = { render, nodes }
  return (key: string, item: A, index: number): VNode => {
    const known = before?.get(key)
    const next = known?.item === item && known.index === index ? known : { item, index, node: render(item, index) }
    nodes.set(key, next)
    return next.node
  }
}

export function VirtualList<A>(props: Props<A>) {
  const { items, keyOf, label, nameIdOf, stickToEnd = false } = props
  const isFeed = nameIdOf !== undefined
  const [, draw] = useReducer((count: number) => count + 1, 0)
  const [place] = useState(() => new Place(props, () => draw(undefined)))
  const { heights } = place
  const rendered = useRendered(props.render)
  place.sticks = stickToEnd
  const drawn = place.draw(items)
  let end = 0

  useLayoutEffect(() => {
    props.handle?.({ scrollToEnd: () => place.jump(), scrollToKey: place.jump })
    return place.watch(place.scroller.current)
  }, [])
  useLayoutEffect(place.sync)

  return (
    <div
      ref={place.scroller}
      class={`virtual ${props.class ?? ""}`}
      tabIndex={0}
      role="region"
      aria-label={label}
      onScroll={place.sync}
    >
      <div
        ref={place.list}
        {...(items.length > 0 && { role: isFeed ? "feed" : "list", "aria-label": label })}
        class="virtual-items"
        style={{ paddingBottom: `${heights.startOf(items.length) - heights.startOf((drawn.at(-1) ?? -1) + 1)}px` }}
      >
        {drawn.map((index) => {
          const item = items[index] as A
          const key = keyOf(item)
          const marginTop = `${heights.startOf(index) - end}px`
          end = heights.startOf(index + 1)
          return (
            <div
              key={key}
              ref={place.watch}
              data-key={key}
              role={isFeed ? "article" : "listitem"}
              aria-labelledby={nameIdOf?.(item)}
              tabIndex={isFeed ? -1 : undefined}
              aria-setsize={items.length}
              aria-posinset={index + 1}
              style={{ marginTop }}
            >
              {rendered(key, item, index)}
            </div>
          )
        })}
      </div>
    </div>
  )
}

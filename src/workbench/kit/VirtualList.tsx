import type { ComponentChildren, VNode } from "preact"
import { useEffect, useRef } from "preact/hooks"
export interface VirtualListHandle {
  scrollToEnd(): void
  scrollToKey(key: string): void
  isAtEnd(): boolean
}
interface Props<A> {
  items: ReadonlyArray<A>
  keyOf: (item: A) => string
  estimate: number
  render: (item: A, index: number) => VNode
  label: string
  stickToEnd?: boolean
  class?: string
  listRole?: "feed" | "list"
  handle?: (h: VirtualListHandle) => void
  lead?: ComponentChildren
}
export function VirtualList<A>(props: Props<A>) {
  const ref = useRef<HTMLDivElement>(null)
  useEffect(() => {
    props.handle?.({
      scrollToEnd: () => {
        if (ref.current) ref.current.scrollTop = 1e9
      },
      scrollToKey: () => {},
      isAtEnd: () => true
    })
  }, [])
  useEffect(() => {
    if (ref.current && props.stickToEnd) ref.current.scrollTop = 1e9
  })
  return (
    <div
      ref={ref}
      class={props.class}
      role="region"
      aria-label={props.label}
      tabIndex={0}
      style={{ overflow: "auto" }}
    >
      {props.lead}
      {props.items.map((item, i) => <div key={props.keyOf(item)}>{props.render(item, i)}</div>)}
    </div>
  )
}

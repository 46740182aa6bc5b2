/**
 * How the page is laid out: the conversation beside the inspector, or one of them on a phone. Holds the keys that work
 * everywhere, and the one node that tells listeners what happens.
 */
import { useEffect, useLayoutEffect, useRef } from "preact/hooks"
import "./app.css"
import { Composer } from "./composer/Composer.tsx"
import { Conversation } from "./Conversation.tsx"
import { Header } from "./header/Header.tsx"
import { Inspector } from "./inspector/Inspector.tsx"
import * as Focus from "./kit/Focus.ts"
import { TokenDialog } from "./TokenDialog.tsx"
import type { Workbench } from "./Workbench.ts"

interface Props {
  readonly workbench: Workbench
}

/** Escape belongs to what is open above the page, and to other fields than the message. */
const isForPage = (event: KeyboardEvent): boolean => {
  const target = event.target
  const isOtherField = target instanceof HTMLElement && target.id !== "message" &&
    target.matches("input, select, textarea")
  return event.key === "Escape" && !event.repeat && !event.defaultPrevented && !event.isComposing && !isOtherField &&
    document.querySelector("dialog[open], [popover]:popover-open") === null
}

const useEscape = (workbench: Workbench): void => {
  useEffect(() => {
    const cancel = (event: KeyboardEvent): void => {
      const session = workbench.session.peek()
      const running = session?.running.peek()
      if (session === undefined || running === undefined || !isForPage(event)) return
      if (session.asked(running).pending === undefined) void session.command(running, "cancel")
    }
    document.addEventListener("keydown", cancel)
    return () => document.removeEventListener("keydown", cancel)
  }, [workbench])
}

/** The focus stays in what is seen, whatever is removed or hidden. */
const useFocus = (workbench: Workbench) => {
  const root = useRef<HTMLDivElement>(null)
  const pane = workbench.looking.pane.value
  useEffect(
    () => root.current === null ? undefined : Focus.keep(root.current, () => document.getElementById("message")),
    []
  )
  useLayoutEffect(() => {
    const isSeen = document.activeElement?.checkVisibility() !== false
    const entrance = pane === "chat" ? "#message" : ".inspector [role=tab][aria-selected=true]"
    if (!isSeen) root.current?.querySelector<HTMLElement>(entrance)?.focus()
  }, [pane])
  return root
}

const Notice = ({ workbench }: Props) =>
  workbench.notice.value === "" ? null : (
    <div class="notice row">
      <p>{workbench.notice.value}</p>
      <button type="button" onClick={workbench.dismissNotice}>Dismiss</button>
    </div>
  )

const panes = [["chat", "Chat"], ["inspector", "Inspector"]] as const

const BottomBar = ({ workbench }: Props) => (
  <nav class="bar" aria-label="Panes">
    {panes.map(([pane, label]) => (
      <button
        key={pane}
        type="button"
        aria-current={workbench.looking.pane.value === pane ? "page" : undefined}
        onClick={() => workbench.looking.showPane(pane)}
      >
        {label}
      </button>
    ))}
  </nav>
)

export const App = ({ workbench }: Props) => {
  useEscape(workbench)
  const root = useFocus(workbench)
  return (
    <div
      ref={root}
      class={`app see-${workbench.looking.pane.value}`}
    >
      <a class="skip" href="#message">Skip to the message field</a>
      <Header workbench={workbench} />
      <main>
        <section class="chat" aria-label="Conversation">
          <h2 class="unseen">Conversation</h2>
          <Conversation workbench={workbench} />
          <div>
            <Notice workbench={workbench} />
            <TokenDialog workbench={workbench} />
          </div>
          <Composer workbench={workbench} />
        </section>
        <Inspector looking={workbench.looking} server={workbench.server} />
      </main>
      <BottomBar workbench={workbench} />
      <p class="unseen" role="status">{workbench.said.value}</p>
    </div>
  )
}

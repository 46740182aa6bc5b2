/** The turns of the open session, oldest first, windowed; and what is there instead of them. */
import { useCallback, useEffect, useMemo, useRef } from "preact/hooks"
import type { Message } from "../client/Resources.ts"
import { offlineProvider } from "./composer/ComposerView.ts"
import "./conversation.css"
import { Skeleton } from "./kit/Skeleton.tsx"
import { type Handle, VirtualList } from "./kit/VirtualList.tsx"
import type { OpenSession } from "./session/OpenSession.ts"
import { messageText } from "./session/SessionMessages.ts"
import type { TurnEntry } from "./session/TurnEntry.ts"
import { Markdown } from "./turn/Markdown.tsx"
import { nameId, TurnCard } from "./turn/TurnCard.tsx"
import type { Workbench } from "./Workbench.ts"

interface Props {
  readonly workbench: Workbench
}

/** Pixels of a card of a few lines; each is measured once it is there. */
const cardEstimate = 260

type Item = Message | TurnEntry

const isTurn = (item: Item): item is TurnEntry => "facts" in item

/** Messages that each show one thing that a turn can do, all of them offline. */
const suggestions = [
  { label: "Echo a message", model: "echo", text: "Explain how a turn works" },
  { label: "Stream a long answer", model: "story", text: "Tell me a story" },
  { label: "Fail, then recover", model: "flaky", text: "Try until it works" },
  { label: "Stall, so that I can cancel", model: "stalls", text: "Stop in the middle" }
]

const Empty = ({ workbench }: Props) => {
  const known = workbench.bootstrap.value?.providers.find(({ id }) => id === offlineProvider)
  const offered = suggestions.filter(({ model }) => known?.models.some(({ id }) => id === model))
  return (
    <div class="empty">
      <h2>Send a message to run a turn</h2>
      <p>
        {known === undefined ? "" : "The deterministic provider works offline and needs no key. "}
        Every event is stored before you see it: reload, cancel, resume or retry at any point, and nothing is lost.
      </p>
      <p class="row">
        {offered.map(({ label, model, text }) => (
          <button
            key={model}
            type="button"
            onClick={() => {
              workbench.setDraft({ text, provider: offlineProvider, model })
              workbench.focusComposer()
            }}
          >
            {label}
          </button>
        ))}
      </p>
    </div>
  )
}

const Loading = () => (
  <div class="empty">
    <p class="quiet">Loading …</p>
    <Skeleton />
  </div>
)

const Imported = ({ message }: { readonly message: Message }) => (
  <div class="turn">
    <p class="facts" id={nameId(message)}>{message.role === "user" ? "You" : "Assistant"}, imported</p>
    {message.role === "user"
      ? <p class="asked">{messageText(message)}</p>
      : <Markdown text={messageText(message)} streaming={false} />}
  </div>
)

const Turns = ({ session, workbench }: Props & { readonly session: OpenSession }) => {
  const list = useRef<Handle | undefined>(undefined)
  const { value: imported } = session.imported
  const { value: turns } = session.turns
  const items = useMemo<ReadonlyArray<Item>>(() => [...imported, ...turns], [imported, turns])
  const render = useCallback(
    (item: Item) =>
      isTurn(item)
        ? <TurnCard entry={item} session={session} workbench={workbench} />
        : <Imported message={item} />,
    [session, workbench]
  )
  const { value: sent } = workbench.sent
  useEffect(() => list.current?.scrollToEnd(), [sent])
  return (
    <VirtualList
      items={items}
      keyOf={(item) => item.id}
      nameIdOf={nameId}
      estimate={cardEstimate}
      label="Transcript"
      stickToEnd
      class="transcript"
      handle={(handle) => {
        list.current = handle
      }}
      render={render}
    />
  )
}

export const Conversation = ({ workbench }: Props) => {
  const session = workbench.session.value
  const isEmpty = session !== undefined && session.isLoaded.value && session.turns.value.length === 0 &&
    session.imported.value.length === 0
  if (session === undefined ? workbench.connection.value.state === "ready" : isEmpty) {
    return <Empty workbench={workbench} />
  }
  if (session === undefined || !session.isLoaded.value) return <Loading />
  return <Turns key={session.id} session={session} workbench={workbench} />
}

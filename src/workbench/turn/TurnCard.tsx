/**
 * One turn of the conversation: what was asked, how it stands, what was answered, what can be done now. It shows what
 * the journal says and nothing that was only clicked.
 */
import { useEffect } from "preact/hooks"
import type { Command } from "../../client/Api.ts"
import { offlineWhy } from "../composer/ComposerView.ts"
import { UseDeterministic } from "../composer/UseDeterministic.tsx"
import { Action } from "../kit/Action.tsx"
import { CopyButton } from "../kit/CopyButton.tsx"
import { Skeleton } from "../kit/Skeleton.tsx"
import * as Words from "../kit/Words.ts"
import type { OpenSession } from "../session/OpenSession.ts"
import type { TurnEntry } from "../session/TurnEntry.ts"
import type { TurnFacts } from "../session/TurnFacts.ts"
import type { Workbench } from "../Workbench.ts"
import { Markdown } from "./Markdown.tsx"
import { LogNotes, Note } from "./Notes.tsx"
import "./turn.css"
import * as TurnView from "./TurnView.ts"

interface Props {
  readonly entry: TurnEntry
  readonly session: OpenSession
  readonly workbench: Workbench
}

const verbLabel: Readonly<Record<Command, string>> = { cancel: "Cancel", resume: "Resume", retry: "Retry" }

const surroundingsOf = ({ entry, session, workbench }: Props, facts: TurnFacts): TurnView.Surroundings => {
  const isRunning = facts.status === "running"
  const last = isRunning ? entry.log.value.events[facts.lastSeq - 1] : undefined
  const lastEventMs = last === undefined ? undefined : Date.parse(last.at)
  return {
    before: isRunning ? session.before(entry) : 0,
    // a turn that ended does not look at the time, and one as it was has its own
    nowMs: isRunning && facts === entry.facts.value ? workbench.serverNowMs() : lastEventMs ?? 0,
    lastEventMs,
    limits: workbench.bootstrap.value?.limits
  }
}

const Asked = ({ text }: { readonly text: string | undefined }) =>
  text === undefined
    ? <p class="asked quiet">Reading the message …</p>
    : <p class="asked">{text}</p>

const Facts = ({ facts, relations, status }: {
  readonly facts: TurnFacts
  readonly status: TurnView.Status
  readonly relations: ReadonlyArray<string>
}) => {
  const { firstTokenMs, totalMs } = TurnView.timesOf(facts)
  return (
    <p class="facts number">
      <span class={`status tone-${status.tone}`}>
        <i aria-hidden="true">{status.icon}</i> {status.word}
      </span>
      {status.detail !== "" && <span>{status.detail}</span>}
      <span>{facts.provider} / {facts.model}</span>
      {facts.attempts > 1 && <span>attempt {facts.attempts}</span>}
      {firstTokenMs !== undefined && <span>first token {Words.milliseconds(firstTokenMs)}</span>}
      {totalMs !== undefined && <span>total {Words.milliseconds(totalMs)}</span>}
      {relations.map((text) => <span key={text}>{text}</span>)}
    </p>
  )
}

const Answer = ({ calls, facts }: { readonly facts: TurnFacts; readonly calls: TurnFacts["toolCalls"] }) => {
  const isRunning = facts.status === "running"
  const hasCome = facts.text !== "" || facts.reasoning !== "" || calls.length > 0
  return (
    <>
      {facts.reasoning !== "" && (
        <details class="reasoning" open={isRunning && facts.text === ""}>
          <summary>Reasoning</summary>
          <Markdown text={facts.reasoning} streaming={isRunning} />
        </details>
      )}
      {facts.text !== "" && <Markdown text={facts.text} streaming={isRunning} />}
      {calls.map((call) => (
        <pre key={call.toolCallId} class="json" tabIndex={0} role="region" aria-label={`Call of tool ${call.toolName}`}>
          {`${call.toolName} ${JSON.stringify(call.arguments, null, 2)}`}
        </pre>
      ))}
      {isRunning && !hasCome && <Skeleton />}
    </>
  )
}

const Notes = ({ entry, facts, session, workbench }: Props & { readonly facts: TurnFacts }) => (
  <>
    {TurnView.notesOf(facts).map((note) => (
      <Note key={note.title} note={note}>
        {note.names !== undefined && (
          <UseDeterministic class="main" text={session.textOf(facts.userMessageId)} workbench={workbench} />
        )}
      </Note>
    ))}
    <LogNotes all={false} entry={entry} session={session} />
  </>
)

const Verbs = ({ earlier, entry, facts, session, verbs, workbench }: Props & {
  readonly facts: TurnFacts
  readonly verbs: ReadonlyArray<Command>
  readonly earlier: boolean
}) => {
  const { note, pending } = session.asked(entry)
  const busy = session.running.value
  const asked = Words.waitingFor(pending)
  const whyNot = (verb: Command): string | undefined =>
    asked !== undefined
      ? asked
      : earlier
      ? "This is as it was; go back to now first."
      : verb !== "cancel" && workbench.connection.value.state === "offline"
      ? offlineWhy
      : verb !== "cancel" && busy !== undefined
      ? `Turn ${busy.number} is running: wait for it or cancel it.`
      : undefined
  const events = facts.lastSeq === 1 ? "Event 1" : `Events 1–${facts.lastSeq}`
  return (
    <>
      <p class="row">
        {verbs.map((verb) => (
          <Action
            key={verb}
            class={verb === "cancel" ? "danger" : verb === "resume" ? "main" : undefined}
            why={whyNot(verb)}
            onClick={() => {
              void session.command(entry, verb)
              // the others make a turn, which is then looked at
              if (verb !== "cancel") workbench.looking.chooseTurn(undefined)
            }}
          >
            {verbLabel[verb]}
          </Action>
        ))}
        {facts.text !== "" && facts.status !== "running" && <CopyButton text={() => facts.text} />}
        <button
          type="button"
          class="number"
          onClick={() => {
            workbench.looking.chooseTurn(entry)
            workbench.looking.showPanel("events")
            workbench.looking.showPane("inspector")
          }}
        >
          {events}
        </button>
        <span class="quiet number">{TurnView.usageText(facts.usage)}</span>
      </p>
      <p class="quiet">{asked ?? note}</p>
    </>
  )
}

/** Of the element that names the card. */
export const nameId = ({ id }: { readonly id: string }): string => `name-${id}`

export const TurnCard = (props: Props) => {
  const { entry, session, workbench } = props
  const { looking } = workbench
  const facts = looking.factsOf(entry)
  const isInspected = looking.isChosen.value && looking.turn.value === entry
  const earlier = isInspected && looking.at.value !== undefined
  const status = TurnView.statusOf(facts, surroundingsOf(props, facts))
  const children = TurnView.childrenOf(entry)
  const relations = TurnView.relationsOf(facts, children, (id) => session.turn(id)?.number)
  const isChild = facts.retryOf !== undefined || facts.resumedFrom !== undefined

  // who sees a card wants what only its events tell: the first token's time, the attempts
  useEffect(() => session.readEvents(entry), [session, entry])

  return (
    <div class={isInspected ? "turn inspected" : "turn"}>
      <span id={nameId(entry)} hidden>{`Turn ${entry.number}, ${status.word}`}</span>
      {!isChild && <Asked text={session.textOf(facts.userMessageId)} />}
      <Facts facts={facts} status={status} relations={relations} />
      {earlier && (
        <div class="note row">
          <span class="grow number">Shown as it was at seq {facts.lastSeq} of {entry.facts.value.lastSeq}</span>
          <button type="button" onClick={() => looking.rewind(undefined)}>Back to now</button>
        </div>
      )}
      <Answer facts={facts} calls={facts.foldedAt === undefined ? facts.toolCalls : session.callsOf(entry.id)} />
      <Notes {...props} facts={facts} />
      <Verbs {...props} facts={facts} verbs={TurnView.verbsOf(facts, children)} earlier={earlier} />
    </div>
  )
}

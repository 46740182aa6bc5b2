/** The named states of a turn: the newest, those before it, whether it can go on from them, and each as the server has it. */
import { useSignal } from "@preact/signals"
import type { CheckpointMark } from "../../domain/TurnState.ts"
import { useAsked } from "../kit/Asked.ts"
import { CopyButton } from "../kit/CopyButton.tsx"
import * as Words from "../kit/Words.ts"
import type { Server } from "../server/Server.ts"
import type { Looking } from "../session/Looking.ts"
import type { OpenSession } from "../session/OpenSession.ts"
import type { TurnEntry } from "../session/TurnEntry.ts"
import type { TurnFacts } from "../session/TurnFacts.ts"
import * as TurnView from "../turn/TurnView.ts"
import * as CheckpointText from "./CheckpointText.ts"
import * as EventText from "./EventText.ts"

const Saved = ({ mark, server, turnId }: {
  readonly server: Server
  readonly turnId: string
  readonly mark: CheckpointMark
}) => {
  const answer = useAsked(() => server.checkpoint(turnId, mark.checkpoint), [server, turnId, mark.checkpoint])
  if (answer === undefined) return <p class="quiet">Reading checkpoint {mark.checkpoint} …</p>
  if ("refused" in answer) return <p class="note bad">Checkpoint {mark.checkpoint}: {answer.refused}</p>
  const checkpoint = answer.value
  return (
    <>
      <div class="row">
        <p class="quiet grow">{Words.characters(checkpoint.text.length)} of text at that seq.</p>
        <CopyButton what={`checkpoint ${mark.checkpoint}`} text={() => EventText.json(checkpoint)} />
      </div>
      <pre class="json" tabIndex={0} role="group" aria-label={`Checkpoint ${mark.checkpoint} as JSON`}>
        {EventText.shownJson(checkpoint)}
      </pre>
    </>
  )
}

export interface Props {
  readonly looking: Looking
  readonly server: Server
  readonly session: OpenSession
  readonly entry: TurnEntry
  /** As of the seq that is shown. */
  readonly facts: TurnFacts
  readonly isRead: boolean
}

export const CheckpointPanel = ({ entry, facts, isRead, looking, server, session }: Props) => {
  const chosen = useSignal<number | undefined>(undefined)
  const marks = looking.folded.value?.checkpoints ?? []
  const newest = marks.at(-1)
  const shown = marks.find(({ checkpoint }) => checkpoint === chosen.value) ?? newest
  // what can be done is of now, also where the reader has gone back
  const resume = CheckpointText.resumeText(entry.facts.value, TurnView.childrenOf(entry))
  // without the time: what waits or stalls is the card's to say
  const status = TurnView.statusOf(facts, {
    before: session.before(entry),
    nowMs: 0,
    lastEventMs: undefined,
    limits: undefined
  })
  return (
    <>
      <dl class="pairs">
        <dt>Status</dt>
        <dd class={`tone-${status.tone}`}>
          <span aria-hidden="true">{status.icon}</span> {status.word}
        </dd>
        <dt>Phase</dt>
        <dd>{facts.phase}</dd>
        <dt>Seq</dt>
        <dd class="number">{Words.number(facts.lastSeq)}</dd>
        <dt>Text</dt>
        <dd>{Words.characters(facts.textChars)}</dd>
        <dt>Resume</dt>
        <dd>{resume}</dd>
      </dl>
      <h3>Checkpoints</h3>
      {newest === undefined || shown === undefined
        ? isRead && <p class="none">No checkpoint is saved.</p>
        : (
          <>
            <ol class="marks" tabIndex={0} role="list" aria-label="History of checkpoints">
              {marks.map((mark) => (
                <li key={mark.checkpoint}>
                  <button
                    type="button"
                    class="plain"
                    aria-pressed={mark === shown}
                    onClick={() => chosen.value = mark === newest ? undefined : mark.checkpoint}
                  >
                    <span class="number">{mark.checkpoint}</span>
                    <span>{mark.phase}</span>
                    <span class="quiet number">seq {Words.number(mark.seq)}</span>
                  </button>
                </li>
              ))}
            </ol>
            <Saved key={shown.checkpoint} server={server} turnId={entry.id} mark={shown} />
          </>
        )}
    </>
  )
}

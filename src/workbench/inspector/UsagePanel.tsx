/** What a turn used: how full the window is, each attempt by who counted it, and the sums of the turn and its session. */
import type { Usage } from "../../domain/Protocol.ts"
import type { AttemptUsage } from "../../domain/TurnState.ts"
import * as UsageSum from "../../domain/UsageSum.ts"
import { useAsked } from "../kit/Asked.ts"
import * as Words from "../kit/Words.ts"
import type { Server } from "../server/Server.ts"
import type { Looking } from "../session/Looking.ts"
import type { OpenSession } from "../session/OpenSession.ts"
import type { TurnFacts } from "../session/TurnFacts.ts"
import { Gauge } from "./Gauge.tsx"
import * as UsageText from "./UsageText.ts"

const Counts = ({ cost, usage }: { readonly usage: Usage; readonly cost: number | undefined }) => (
  <dl class="counts">
    {UsageText.countsOf(usage).map(([name, count]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd class={count === "unknown" ? "quiet" : "number"}>{count}</dd>
      </div>
    ))}
    <div>
      <dt>Cost</dt>
      <dd class={cost === undefined ? "quiet" : "number"}>{UsageText.costText(cost)}</dd>
    </div>
  </dl>
)

const Attempt = ({ isAll, used }: { readonly used: AttemptUsage; readonly isAll: boolean }) => (
  <section class="used">
    <h3>
      Attempt {used.attempt}{" "}
      <span class="quiet">
        {isAll && "the whole turn, "}
        {UsageText.sourceText(used.source)}
      </span>
    </h3>
    <Counts usage={used.usage} cost={used.cost} />
  </section>
)

const Window = ({ percent, window }: { readonly percent: number | null; readonly window: number | undefined }) => {
  const text = UsageText.windowText(percent, window)
  return (
    <section class="used">
      <h3>Context window</h3>
      <Gauge label={text} parts={percent === null ? [] : [{ key: "used", percent: Math.min(100, percent) }]} />
      <p class="quiet" aria-hidden="true">{text}</p>
    </section>
  )
}

/** Read when it is opened, and again when a turn begins or ends. */
const SessionTotals = ({ server, session }: { readonly server: Server; readonly session: OpenSession }) => {
  const answer = useAsked(() => server.sessionUsage(session.id), [server, session, session.running.value])
  if (answer === undefined) return <p class="quiet">Reading what the session used …</p>
  if ("refused" in answer) return <p class="note bad">What the session used: {answer.refused}</p>
  const row = answer.value
  if (row === null) return <p class="quiet">No turn of this session used anything yet.</p>
  return (
    <section class="used">
      <h3>
        Session <span class="quiet">{Words.number(row.turns)} {row.turns === 1 ? "turn" : "turns"} with usage</span>
      </h3>
      <Counts usage={row.usage} cost={row.cost} />
    </section>
  )
}

export interface Props {
  readonly looking: Looking
  readonly server: Server
  readonly session: OpenSession
  /** As of the seq that is shown. */
  readonly facts: TurnFacts
  readonly isRead: boolean
}

export const UsagePanel = ({ facts, isRead, looking, server, session }: Props) => {
  const folded = looking.folded.value
  const usages = folded?.usages ?? []
  const total = facts.usage
  // what one attempt used is what the turn used, but for an estimate
  const isOne = usages.length === 1 && facts.attempts === 1 && usages[0]?.source !== "estimated"
  return (
    <>
      {usages.length > 0 && <Window percent={UsageText.percentOf(usages)} window={folded?.context?.window} />}
      {usages.length === 0 && total === null
        ? isRead && <p class="none">{UsageText.noUsage(facts)}</p>
        : (
          <>
            {usages.map((used, index) => <Attempt key={index} used={used} isAll={isOne} />)}
            {!isOne && (
              <section class="used">
                <h3>
                  Turn <span class="quiet">all attempts, without estimates</span>
                </h3>
                <Counts usage={total ?? UsageSum.unknown} cost={UsageText.costOf(usages)} />
              </section>
            )}
          </>
        )}
      <dl class="pairs">
        <dt>Finish reason</dt>
        <dd>{UsageText.finishText(facts)}</dd>
      </dl>
      <SessionTotals server={server} session={session} />
      <p class="quiet">Input includes the cache, output includes reasoning.</p>
    </>
  )
}

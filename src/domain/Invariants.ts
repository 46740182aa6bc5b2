/**
 * What must hold of every journal, whoever wrote it and however its process ended: one set of checks for unit tests,
 * simulation, kill loop and `turnstream inspect --verify`. Pure. A check answers with everything it finds; nothing found
 * is an empty list.
 *
 * `checkJournal`: the events. `checkProjection`: a turn's rows against its events. `checkFolded`: what retention left of
 * one. `checkSession`: turns of a session side by side. `checkFollower`: what a reader saw against what is committed.
 * `...Checker`: the same check for events that come in pages.
 */
import { type Checker, journalChecker, type JournalOptions, type Violation } from "./JournalInvariants.ts"
import { heldCharsMax, type Message, type Part } from "./Message.ts"
import type { Checkpoint, Turn } from "./Resources.ts"
import { type EventOf, type EventType, isTerminalType, type TurnEvent } from "./TurnEvent.ts"
import * as TurnState from "./TurnState.ts"
import * as UsageSum from "./UsageSum.ts"

export { journalChecker, type JournalOptions, type Violation }

/** A turn's rows, as the journal's readers give them. What is absent is not checked. */
export interface TurnRows {
  readonly turn: Turn
  /** The answer or the partial. */
  readonly message: Message | undefined
  readonly checkpoints?: ReadonlyArray<Checkpoint>
}

/** Equal as JSON, whatever the order of the keys; a field that is undefined is absent. */
const same = (a: unknown, b: unknown): boolean => {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [left, right] = [new Map(Object.entries(a)), new Map(Object.entries(b))]
  return [...new Set([...left.keys(), ...right.keys()])].every((key) => same(left.get(key), right.get(key)))
}

/** What an answer is made of: reasoning, text where there is any, complete calls. */
const partsOf = ({ reasoning, text, toolCalls }: TurnState.TurnState): ReadonlyArray<Part> => [
  ...(reasoning === "" ? [] : [{ type: "reasoning" as const, text: reasoning }]),
  ...(text === "" ? [] : [{ type: "text" as const, text }]),
  ...toolCalls
]

/** A turn as its events say it is, and the promise that each field is part of. The place in a queue is no event's doing. */
const turnFields = (state: TurnState.TurnState): ReadonlyArray<readonly [keyof Turn, unknown, string]> => [
  ["id", state.turnId, "projection"],
  ["sessionId", state.sessionId, "projection"],
  ["status", state.status, "P3"],
  ["phase", state.phase, "P3"],
  ["text", state.text, "P5"],
  ["reasoning", state.reasoning, "P5"],
  ["whole", state.whole ? undefined : false, "P5"],
  ["finishReason", state.finishReason, "P3"],
  ["error", state.error, "P3"],
  ["usage", UsageSum.reported(state.usages), "P14"],
  ["lastSeq", state.lastSeq, "P2"],
  ["provider", state.provider, "projection"],
  ["model", state.model, "projection"],
  ["attempts", state.attempts, "projection"],
  ["userMessageId", state.userMessageId, "projection"],
  ["messageId", state.messageId, "P5"],
  ["retryOf", state.retryOf, "projection"],
  ["resumedFrom", state.resumedFrom, "projection"],
  ["startedAt", state.startedAt, "projection"],
  ["endedAt", state.endedAt, "projection"],
  ["checkpoint", state.checkpoints.at(-1)?.checkpoint, "P6"]
]

const messageFault = (state: TurnState.TurnState, message: Message | undefined): string | undefined => {
  if (state.messageId === undefined) {
    return message === undefined
      ? undefined
      : `a message ${message.id} that no event names`
  }
  if (message === undefined) return `its message ${state.messageId} is missing`
  const expected = {
    id: state.messageId,
    turnId: state.turnId,
    role: "assistant",
    whole: state.whole ? undefined : false,
    state: state.status === "completed" ? "complete" : "partial",
    createdAt: state.endedAt
  }
  const { parts, ...fields } = message
  if (!same(fields, expected)) return `its message is ${JSON.stringify(fields)}, not ${JSON.stringify(expected)}`
  return same(parts, partsOf(state)) ? undefined : "its message has other parts than its events say"
}

type Mark = readonly [event: EventOf<"checkpoint.saved">, expected: unknown]

const checkpointFault = (marks: ReadonlyArray<Mark>, rows: ReadonlyArray<Checkpoint>): string | undefined => {
  if (marks.length !== rows.length) return `${rows.length} checkpoints in the rows, ${marks.length} in the events`
  const wrong = marks.find(([, expected], index) => !same(rows[index], expected))
  return wrong === undefined ? undefined : `checkpoint ${wrong[0].data.checkpoint} is not what its events say`
}

/** All events of one turn, from its first, against its rows: a projection is the fold of its events. */
export const projectionChecker = ({ checkpoints, message, turn }: TurnRows): Checker<TurnEvent> => {
  const folding = TurnState.makeFold(undefined, heldCharsMax)
  let lost: string | undefined
  /** Where a checkpoint of the rows says that it stands. */
  const covered = new Map<number, TurnState.TurnState | undefined>(checkpoints?.map(({ seq }) => [seq, undefined]))
  const marks: Array<Mark> = []
  return {
    add: (event) => {
      if (lost !== undefined) return
      lost = folding.add(event)
      const state = folding.state()
      if (lost !== undefined || state === undefined) return
      if (covered.has(event.seq)) covered.set(event.seq, { ...state })
      if (event.type !== "checkpoint.saved") return
      const at = covered.get(event.data.seq)
      marks.push([event, {
        ...event.data,
        turnId: event.turnId,
        text: at?.text ?? "",
        reasoning: at?.reasoning ?? "",
        whole: at?.whole === false ? false : undefined,
        usage: UsageSum.reported(state.usages),
        contextHash: state.context?.hash ?? null
      }])
    },
    end: () => {
      const state = folding.state()
      const found: Array<Violation> = []
      const report = (promise: string, what: string) => found.push({ promise, turnId: turn.id, seq: undefined, what })
      if (lost !== undefined) {
        // `checkJournal` says which rule it breaks; without a fold there is nothing to compare with
        report("projection", `its events cannot be folded: ${lost}`)
        return found
      }
      if (state === undefined) {
        report("P4", "a turn without events")
        return found
      }
      for (const [field, expected, promise] of turnFields(state)) {
        // texts stay out of what is reported: they may be long, and private
        if (!same(turn[field], expected)) report(promise, `its row has another ${field} than its events`)
      }
      const wrong = messageFault(state, message)
      if (wrong !== undefined) report("P5", wrong)
      const mark = checkpoints === undefined ? undefined : checkpointFault(marks, checkpoints)
      if (mark !== undefined) report("P6", mark)
      return found
    }
  }
}

/** What retention left of a turn: lifecycle events under their seqs, its last checkpoint, its message. */
export const checkFolded = (
  events: ReadonlyArray<TurnEvent>,
  { checkpoints = [], message, turn }: TurnRows
): ReadonlyArray<Violation> => {
  const [first, last] = [events[0], events.at(-1)]
  const saved = events.filter((event) => event.type === "checkpoint.saved").at(-1)?.data.checkpoint
  const broken: ReadonlyArray<readonly [promise: string, what: string, is: boolean]> = [
    ["P2", "its seqs do not rise", events.some(({ seq }, index) => seq <= (events[index - 1]?.seq ?? 0))],
    ["P2", "its last seq is not that of its row", last?.seq !== turn.lastSeq],
    ["P3", "it does not begin with turn.started", first?.type !== "turn.started" || first.seq !== 1],
    ["P3", "it does not end", last === undefined || !isTerminalType(last.type) || turn.status === "running"],
    ["P5", "what the model said is left among its events", events.some(({ type }) => type.startsWith("model."))],
    ["P5", "its message is missing", turn.messageId !== message?.id],
    ["P6", "its last checkpoint is missing", saved !== checkpoints.at(-1)?.checkpoint]
  ]
  return broken.flatMap(([promise, what, is]) => is ? [{ promise, turnId: turn.id, seq: undefined, what }] : [])
}

const checkAll = <E>(checker: Checker<E>, events: Iterable<E>): ReadonlyArray<Violation> => {
  for (const event of events) checker.add(event)
  return checker.end()
}

/**
 * Events of any number of turns, in commit order: P2, P3, legal transitions, P14 (once per attempt, on every ending), a
 * checkpoint before the end, the partial's length, the sum of `turn.completed`, the envelope; with `ended` also P23.
 */
export const checkJournal = (events: Iterable<TurnEvent>, options: JournalOptions = {}): ReadonlyArray<Violation> =>
  checkAll(journalChecker(options), events)

export const checkProjection = (events: Iterable<TurnEvent>, rows: TurnRows): ReadonlyArray<Violation> =>
  checkAll(projectionChecker(rows), events)

/** What only the turn that holds its session's slot says. A waiting turn may begin, and end. */
const working: ReadonlySet<EventType> = new Set([
  "context.built",
  "attempt.started",
  "attempt.failed",
  "model.delta",
  "model.tool-call",
  "model.reset",
  "telemetry.usage"
])

export type Placed = Pick<TurnEvent, "seq" | "sessionId" | "turnId" | "type">

/** P10: turns of one session never interleave. Events of any number of sessions, in commit order. */
export const sessionChecker = (): Checker<Placed> => {
  const found: Array<Violation> = []
  const holders = new Map<string, string>()
  return {
    add: ({ seq, sessionId, turnId, type }) => {
      const holder = holders.get(sessionId)
      if (working.has(type)) {
        if (holder === undefined) holders.set(sessionId, turnId)
        else if (holder !== turnId) found.push({ promise: "P10", turnId, seq, what: `${type} while ${holder} runs` })
      } else if (holder === turnId && isTerminalType(type)) holders.delete(sessionId)
    },
    end: () => found
  }
}

export const checkSession = (events: Iterable<Placed>): ReadonlyArray<Violation> => checkAll(sessionChecker(), events)

/** An event as a reader gets it. */
export interface SeenEvent {
  readonly seq: number
  readonly json: string
}

/**
 * What a follower of one turn that joined after `after` saw, in order, against the turn's journal: exactly the events
 * after `after`, once, in the same bytes (P15); nothing that is not committed (P1). `complete: false` allows it to have
 * left early.
 */
export const checkFollower = (
  seen: ReadonlyArray<SeenEvent>,
  journal: ReadonlyArray<SeenEvent>,
  options: { readonly after: number; readonly complete: boolean }
): ReadonlyArray<Violation> => {
  const found: Array<Violation> = []
  const committed = new Map(journal.map((event) => [event.seq, event.json]))
  const known = journal[0] ?? seen[0]
  const turnId = known === undefined ? "" : String((JSON.parse(known.json) as { readonly turnId?: unknown }).turnId)
  const report = (promise: string, seq: number, what: string) => found.push({ promise, turnId, seq, what })
  let last = options.after
  for (const { json, seq } of seen) {
    const stored = committed.get(seq)
    if (stored === undefined) report("P1", seq, `a reader saw seq ${seq}, which is not committed`)
    else if (stored !== json) {
      // another event stands there: what was seen was never committed
      if (same(JSON.parse(stored), JSON.parse(json))) report("P15", seq, `a reader saw other bytes at seq ${seq}`)
      else report("P1", seq, `a reader saw another event at seq ${seq} than the committed one`)
    }
    if (seq <= last) report("P15", seq, `a reader after ${options.after} saw seq ${seq} after ${last}`)
    else if (seq > last + 1) report("P15", seq, `a reader after ${options.after} missed seq ${last + 1} to ${seq - 1}`)
    last = Math.max(last, seq)
  }
  const end = journal.at(-1)?.seq ?? 0
  if (options.complete && last < end) {
    report("P15", end, `a reader after ${options.after} saw no more than seq ${last} of ${end}`)
  }
  return found
}

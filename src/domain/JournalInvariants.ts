/**
 * What must hold of the events of turns, in the order of their commit (`Invariants.ts` has the other checks and is what
 * users import). It keeps books of its own and does not trust the code that wrote the events; only the table of legal
 * transitions is shared (`TurnState.violation`).
 *
 * One fault is reported once, where it is first seen. After an illegal transition the rules that count go on for that turn.
 *
 * Limits: a turn that is still running is no fault, unless `ended` says that all should have. Text is counted and not
 * kept, so memory is some hundred bytes a turn.
 */
import * as TurnError from "./TurnError.ts"
import { type EventOf, isTerminalType, type TurnEvent } from "./TurnEvent.ts"
import * as TurnState from "./TurnState.ts"
import type * as Usage from "./Usage.ts"
import * as UsageSum from "./UsageSum.ts"

export interface Violation {
  /** `P2`; `protocol` where the rule stands in the protocol alone, `projection` where a row says other things than its events. */
  readonly promise: string
  readonly turnId: string
  readonly seq: number | undefined
  readonly what: string
}

/** Takes events one by one, for a journal that is read in pages. */
export interface Checker<E> {
  readonly add: (event: E) => void
  /** Everything found. Call it once, after the last event. */
  readonly end: () => ReadonlyArray<Violation>
}

/** Books of one turn. */
interface Track {
  readonly sessionId: string
  lastSeq: number
  ended: boolean
  /** The fold without its texts. Undefined before the first event, and once an event could not be folded. */
  state: TurnState.TurnState | undefined
  lost: boolean
  attempts: number
  /** Said in this attempt, and not taken back. */
  visible: boolean
  usages: Array<Pick<TurnState.AttemptUsage, "attempt" | "usage" | "source">>
  /** UTF-16 units of text that count. */
  chars: number
  /** The last seq that said something that counts. */
  said: number
  checkpoint: number | undefined
  /** The last seq that the newest checkpoint covers. */
  covered: number
}

type Report = (promise: string, what: string) => void

const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** Without what only takes memory: no transition depends on it. */
const lean = (event: TurnEvent, seq: number): TurnEvent =>
  event.type === "model.delta"
    ? { ...event, seq, data: { kind: event.data.kind, text: "" } }
    : event.type === "model.tool-call"
    ? { ...event, seq, data: { toolCallId: "", toolName: "", arguments: null } }
    : { ...event, seq }

/** P2, P3: its place in the turn. */
const checkPlace = (track: Track, event: TurnEvent, report: Report): void => {
  if (event.seq !== track.lastSeq + 1) {
    report("P2", event.seq <= track.lastSeq ? `seq ${event.seq} again` : `seq ${event.seq} after ${track.lastSeq}`)
  }
  if (track.lastSeq === 0 && event.type !== "turn.started") report("P3", `it begins with ${event.type}`)
  if (track.lastSeq > 0 && event.type === "turn.started") report("P3", "turn.started a second time")
  if (track.ended) report("P3", `${event.type} after the terminal event`)
}

const checkEnvelope = (track: Track, event: TurnEvent, report: Report): void => {
  // what a process of another kind wrote may be anything, also where the type allows one value
  if ((event.v as number) !== 1) report("protocol", `version ${event.v}`)
  if (!timePattern.test(event.at)) report("protocol", "at is not a UTC time with milliseconds")
  if (event.sessionId !== track.sessionId) report("protocol", `it is of session ${event.sessionId} here`)
  const attempt = event.type === "attempt.started" ? event.data.attempt : track.attempts
  if (event.attempt !== undefined && event.attempt !== attempt) {
    report("protocol", `${event.type} names attempt ${event.attempt} in attempt ${attempt}`)
  }
}

/** Which promise asks for the checkpoint of this ending. */
const checkpointPromise = (event: EventOf<"turn.completed" | "turn.failed">): string =>
  event.type === "turn.completed" || event.data.error._tag !== "Interrupted"
    ? "protocol"
    : event.data.error.cause === "crash"
    ? "P6"
    : "P22"

const checkEnding = (track: Track, event: EventOf<"turn.completed" | "turn.failed">, report: Report): void => {
  for (let attempt = 1; attempt <= track.attempts; attempt++) {
    if (!track.usages.some((one) => one.attempt === attempt)) report("P14", `no usage of attempt ${attempt}`)
  }
  const refused = event.type === "turn.failed" && TurnError.refusalTags.has(event.data.error._tag)
  if (track.checkpoint === undefined && !refused) report(checkpointPromise(event), "no checkpoint before the end")
  if (track.checkpoint !== undefined && track.covered < track.said) {
    report(checkpointPromise(event), `the checkpoint covers ${track.covered} of ${track.said}`)
  }
  if (event.type === "turn.completed") {
    if (!sameUsage(event.data.usage, UsageSum.reported(track.usages))) {
      report("P14", "its usage is not the sum of its attempts")
    }
    return
  }
  if (event.data.checkpoint !== track.checkpoint) {
    report("protocol", `it names checkpoint ${event.data.checkpoint}, the last is ${track.checkpoint}`)
  }
  const chars = event.data.partial?.chars ?? 0
  if (chars !== track.chars) report("P5", `its partial has ${chars} characters, its deltas ${track.chars}`)
  else if (event.data.partial !== undefined && chars === 0) report("P5", "a partial without text")
}

export const sameUsage = (a: Usage.Usage | null, b: Usage.Usage | null): boolean =>
  a === null || b === null
    ? a === b
    : (Object.keys(UsageSum.unknown) as Array<keyof Usage.Usage>).every((field) => a[field] === b[field])

/** What the event says, against the books; then into the books. */
const checkContent = (track: Track, event: TurnEvent, report: Report): void => {
  switch (event.type) {
    case "attempt.started":
      if (track.visible) report("P8", "a new attempt while what was said still counts")
      track.attempts += 1
      break
    case "model.delta":
    case "model.tool-call":
      track.visible = true
      track.said = event.seq
      if (event.type === "model.delta" && event.data.kind === "text") track.chars += event.data.text.length
      break
    case "model.reset":
      if (event.data.fromSeq > event.data.toSeq || event.data.toSeq >= event.seq || event.data.toSeq < track.said) {
        report("P8", `it takes back ${event.data.fromSeq} to ${event.data.toSeq}, said was up to ${track.said}`)
      }
      track.visible = false
      track.said = 0
      track.chars = 0
      break
    case "telemetry.usage":
      if (track.usages.some((one) => one.attempt === track.attempts)) {
        report("P14", `usage of attempt ${track.attempts} a second time`)
      } else {
        track.usages.push({ attempt: track.attempts, usage: event.data.usage, source: event.data.source })
      }
      break
    case "checkpoint.saved":
      if (event.data.seq >= event.seq) report("protocol", `checkpoint of seq ${event.data.seq}, which is not before it`)
      track.checkpoint = event.data.checkpoint
      track.covered = event.data.seq
      break
    case "turn.completed":
    case "turn.failed":
      if (!track.ended) checkEnding(track, event, report)
      break
    default:
      break
  }
}

/** Legal by the one table; an event that is not ends this part of the check for its turn. */
const checkTransition = (track: Track, event: TurnEvent, faulty: boolean, report: Report): void => {
  if (track.lost) return
  // a wrong seq is reported already: the fold goes on with the one that should stand there
  const placed = lean(event, (track.state?.lastSeq ?? 0) + 1)
  const wrong = TurnState.violation(track.state, placed)
  if (wrong === undefined) track.state = TurnState.apply(track.state, placed)
  else {
    track.lost = true
    if (!faulty) report("protocol", wrong)
  }
}

export interface JournalOptions {
  /** True where faults are over: a turn without an end is then stuck (P23). */
  readonly ended?: boolean
}

const newTrack = (event: TurnEvent): Track => ({
  sessionId: event.sessionId,
  lastSeq: 0,
  ended: false,
  state: undefined,
  lost: false,
  attempts: 0,
  visible: false,
  usages: [],
  chars: 0,
  said: 0,
  checkpoint: undefined,
  covered: 0
})

export const journalChecker = (options: JournalOptions = {}): Checker<TurnEvent> => {
  const found: Array<Violation> = []
  const tracks = new Map<string, Track>()
  return {
    add: (event) => {
      const track = tracks.get(event.turnId) ?? newTrack(event)
      tracks.set(event.turnId, track)
      const before = found.length
      const report: Report = (promise, what) => found.push({ promise, turnId: event.turnId, seq: event.seq, what })
      checkPlace(track, event, report)
      checkEnvelope(track, event, report)
      checkContent(track, event, report)
      checkTransition(track, event, found.length > before, report)
      track.lastSeq = Math.max(track.lastSeq, event.seq)
      if (isTerminalType(event.type)) track.ended = true
    },
    end: () => {
      if (options.ended === true) {
        for (const [turnId, { ended, lastSeq }] of tracks) {
          if (!ended) found.push({ promise: "P23", turnId, seq: lastSeq, what: "it has no end" })
        }
      }
      return found
    }
  }
}

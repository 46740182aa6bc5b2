/** `inspect`: one turn as a time line, or all that is known of it as JSON. `sessions`: what there is to inspect. */
import * as Effect from "effect/Effect"
import type { TurnId } from "../domain/Ids.ts"
import type { Session, Turn } from "../domain/Resources.ts"
import { parse } from "../domain/TurnEvent.ts"
import { type CommitInfo, Journal, type TurnRecord } from "../journal/Journal.ts"
import * as Amounts from "./Amounts.ts"
import { Output, printable, type Style } from "./Output.ts"
import * as Timeline from "./Timeline.ts"

/** Events, commits, or sessions, read at a time. */
const pageSize = 1_000

const readTimeline = Effect.fnUntraced(function*(id: TurnId) {
  const journal = yield* Journal
  const timeline = Timeline.make()
  let seq = 0
  while (true) {
    const page = yield* journal.readAfter(id, seq, pageSize)
    for (const { json } of page) timeline.add(parse(json))
    const last = page.at(-1)
    if (last === undefined) return timeline.done()
    seq = last.seq
  }
})

const readCommits = Effect.fnUntraced(function*(id: TurnId) {
  const journal = yield* Journal
  const commits: Array<CommitInfo> = []
  let seq = 0
  while (true) {
    const page = yield* journal.commits(id, seq, pageSize)
    commits.push(...page)
    const last = page.at(-1)
    if (last === undefined) return commits
    seq = last.lastSeq
  }
})

const headLines = ({ trace, turn }: TurnRecord, style: Style): ReadonlyArray<string> => [
  `${style.bold(`turn ${turn.id}`)} of session ${turn.sessionId}`,
  `${turn.status}${
    turn.status === "running" ? `, ${turn.phase}` : ""
  }, ${turn.provider}/${turn.model}, ${turn.attempts} attempts, ${turn.lastSeq} events`,
  ...(turn.resumedFrom === undefined ? [] : [`continues ${turn.resumedFrom}`]),
  ...(turn.retryOf === undefined ? [] : [`another answer instead of ${turn.retryOf}`]),
  ...(trace === undefined ? [] : [`trace ${trace.traceId}`]),
  ...(turn.foldedAt === undefined
    ? []
    : [
      `folded ${turn.foldedAt}: what the model said is kept as its message alone, and how it was committed is not kept`
    ])
]

const paceLine = ({ firstTokenMs, longestPauseMs, pauses }: Timeline.Timeline): string =>
  `first token ${firstTokenMs === undefined ? "never" : `after ${firstTokenMs} ms`}, ${
    pauses === 0
      ? `no pause of ${Timeline.pauseMs} ms or more`
      : `${pauses} pauses, the longest ${longestPauseMs} ms`
  }`

const counted = (count: number, thing: string): string => `${Amounts.whole(count)} ${thing}${count === 1 ? "" : "s"}`

/** The largest by what went to disk with it. */
const commitsLine = (commits: ReadonlyArray<CommitInfo>): string => {
  const [first, ...rest] = commits
  if (first === undefined) return "no commits"
  const largest = rest.reduce((most, commit) => commit.chars > most.chars ? commit : most, first)
  const { chars, firstSeq, lastSeq } = largest
  const seqs = firstSeq === lastSeq ? `#${firstSeq}` : `#${firstSeq} to #${lastSeq}`
  return `${counted(commits.length, "commit")}, the largest ${counted(lastSeq - firstSeq + 1, "event")} (${seqs}) of ${
    counted(chars, "character")
  }`
}

/** The pace of a folded turn went with its deltas, and its commits with them. */
const tailLines = (
  turn: Turn,
  timeline: Timeline.Timeline,
  commits: ReadonlyArray<CommitInfo>,
  style: Style
): ReadonlyArray<string> => [
  ...(turn.foldedAt === undefined ? [paceLine(timeline), commitsLine(commits)] : []),
  `usage ${turn.usage === null ? "not reported" : Amounts.usage(turn.usage)}`,
  ...(turn.error === undefined ? [] : [style.red(`${turn.error._tag}: ${printable(turn.error.message)}`)])
]

const whenWidth = 10
const whatWidth = 18

const entryLine = ({ atMs, detail, seq, what }: Timeline.Entry, style: Style): string =>
  `${`+${(atMs / 1000).toFixed(3)}`.padStart(whenWidth)}  ${what.padEnd(whatWidth)} ${printable(detail)} ${
    style.dim(`#${seq}`)
  }`

export const inspect = Effect.fn("Cli.inspect")(function*(id: TurnId, json: boolean) {
  const out = yield* Output
  const journal = yield* Journal
  const record = yield* journal.turn(id)
  const { trace, turn } = record
  const timeline = yield* readTimeline(id)
  const commits = yield* readCommits(id)
  if (json) {
    const checkpoints = yield* journal.checkpoints(id)
    return yield* out.line(JSON.stringify({ turn, trace, timeline, checkpoints, commits }))
  }
  const { style } = out
  const lines = [
    ...headLines(record, style),
    "",
    ...timeline.entries.map((entry) => entryLine(entry, style)),
    "",
    ...tailLines(turn, timeline, commits, style)
  ]
  return yield* out.line(lines.join("\n"))
})

const idWidth = 24
const turnsWidth = 6

const sessionLine = (session: Session, style: Style): string => {
  const state = session.running === null ? "" : style.green(" running")
  const title = session.title === undefined ? "" : ` ${printable(session.title)}`
  return `${session.id.padEnd(idWidth)} ${session.updatedAt} ${String(session.turnCount).padStart(turnsWidth)} ${
    session.turnCount === 1 ? "turn " : "turns"
  }${state}${title}`
}

/** Oldest first, a line each; as JSON lines with `json`. */
export const sessions = Effect.fn("Cli.sessions")(function*(json: boolean) {
  const out = yield* Output
  const journal = yield* Journal
  let cursor: string | undefined
  let none = true
  do {
    const page = yield* journal.sessions({ cursor, limit: pageSize })
    const lines = page.items.map((session) => json ? JSON.stringify(session) : sessionLine(session, out.style))
    if (lines.length > 0) yield* out.line(lines.join("\n"))
    none = none && lines.length === 0
    cursor = page.nextCursor
  } while (cursor !== undefined)
  if (none && !json) yield* out.note('No sessions yet. Start one with: turnstream turn "hello"')
})

/** What `sessions` and `usage` say of a folder in which nothing was started yet: there is none, and that is no error. */
export const noDatabase = Effect.fn("Cli.noDatabase")(function*(path: string, json: boolean) {
  const out = yield* Output
  if (!json) yield* out.note(`No database yet at ${path}. Start one with: turnstream turn "hello"`)
})

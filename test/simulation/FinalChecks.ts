/** The whole file at the end of a history, held against the rules of the protocol and against everything that was told. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { SessionId, TurnId } from "../../src/domain/Ids.ts"
import { checkFollower, checkJournal, checkProjection, checkSession } from "../../src/domain/Invariants.ts"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import type { TurnState } from "../../src/domain/TurnState.ts"
import type { ProviderEvent } from "../../src/provider/Provider.ts"
import type { JournalView, SeenEvent } from "./JournalView.ts"
import type { Follower, Model } from "./Model.ts"
import type { SimRuntime } from "./SimRuntime.ts"
import type { Call } from "./SteeredProvider.ts"
import type { Life } from "./World.ts"

const keyOf = ({ seq, turnId }: SeenEvent) => `${turnId}.${seq}`

/** What was committed once stands, byte for byte, unless its session was to be deleted; then it is whole or gone. */
const checkStable = (view: JournalView, model: Model, stands: ReadonlyArray<SeenEvent>): void => {
  const now = new Map(stands.map((event) => [keyOf(event), event.json]))
  const gone = new Map<string, { left: number; lost: number }>()
  for (const event of view.events) {
    const kept = now.get(keyOf(event)) === event.json
    const { deleteAsked, deleted } = model.session(event.sessionId)
    if (!deleteAsked && !kept) model.violate("P2", event.turnId, "a committed event is gone or changed", event.seq)
    if (deleted && kept) model.violate("P23", event.turnId, "an event of a deleted session is there", event.seq)
    const count = gone.get(event.sessionId) ?? { left: 0, lost: 0 }
    gone.set(event.sessionId, count)
    if (kept) count.left++
    else count.lost++
  }
  for (const [id, { left, lost }] of gone) {
    if (left > 0 && lost > 0) {
      model.violate("P2", "", `session ${id} is deleted in part: ${lost} of ${left + lost} events`)
    }
  }
  if (stands.length > view.events.length) model.violate("P1", "", "events that were never committed before")
}

const said = (event: ProviderEvent): string =>
  event._tag === "Delta" ? event.kind + event.text : event._tag === "ToolCall" ? `call ${event.toolCallId}` : ""

/** The journal holds what the provider said, from the beginning, without a gap; all of it where the turn completed. */
const checkSpeech = (
  model: Model,
  turnId: string,
  attempt: number,
  heard: ReadonlyArray<string>,
  whole: boolean
): void => {
  const call = model.calls.get(`${turnId}:${attempt}`)
  if (call === undefined) {
    if (heard.length > 0) model.violate("P5", turnId, `attempt ${attempt} heard what no provider said`)
    return
  }
  const spoken = call.said.map(said).filter((text) => text !== "")
  if (whole && heard.length !== spoken.length) {
    model.violate("P5", turnId, `attempt ${attempt} completed with ${heard.length} of ${spoken.length} pieces`)
  }
  const wrong = heard.findIndex((text, index) => text !== spoken[index])
  if (wrong >= 0) {
    model.violate(
      "P5",
      turnId,
      `attempt ${attempt} heard ${JSON.stringify(heard[wrong])} where ${JSON.stringify(spoken[wrong])} was said`
    )
  }
}

/** Reported usage is one that the provider reported; of a completed turn the last one. */
const checkReported = (
  call: Call | undefined,
  model: Model,
  event: TurnEvent.EventOf<"telemetry.usage">,
  completed: boolean
): void => {
  if (event.data.source !== "reported") return
  const reports = call?.said.flatMap((one) => one._tag === "Usage" ? [JSON.stringify(one.usage)] : []) ?? []
  const given = JSON.stringify(event.data.usage)
  if (completed ? reports.at(-1) !== given : !reports.includes(given)) {
    model.violate("P14", event.turnId, "its usage is not what the provider reported", event.seq)
  }
}

const checkTurn = (model: Model, state: TurnState, events: ReadonlyArray<TurnEvent.TurnEvent>): void => {
  const heard = new Map<number, Array<string>>()
  for (const event of events) {
    if (event.type === "attempt.started") heard.set(event.data.attempt, [])
    else if (event.type === "model.delta") heard.get(event.attempt ?? 0)?.push(event.data.kind + event.data.text)
    else if (event.type === "model.tool-call") heard.get(event.attempt ?? 0)?.push(`call ${event.data.toolCallId}`)
    else if (event.type === "telemetry.usage") {
      checkReported(
        model.calls.get(`${state.turnId}:${event.attempt ?? 0}`),
        model,
        event,
        state.status === "completed"
      )
    }
  }
  for (const [attempt, pieces] of heard) {
    checkSpeech(model, state.turnId, attempt, pieces, state.status === "completed" && attempt === state.attempts)
  }
}

/** Nobody but a cancel, a deletion, a newer message, a deadline, a crash or a shutdown ends a turn before its time (P13). */
const checkCause = (view: JournalView, model: Model, state: TurnState, failedStorage: boolean): void => {
  const { error, sessionId, turnId } = state
  const cause = error !== undefined && "cause" in error ? `{${error.cause}}` : ""
  model.count(`turn ${state.status}${error === undefined ? "" : `: ${error._tag}${cause}`}`)
  if (error === undefined) return
  const { deleteAsked, superseded } = model.session(sessionId)
  const deadline = () =>
    view.rows("SELECT 1 FROM turns WHERE id = ? AND options LIKE '%deadlineMs%'", [turnId]).length > 0
  const fair = error._tag === "ProviderFailure" || error._tag === "UnknownProvider" ||
    (error._tag === "Cancelled" && error.cause === "user_stop" && (model.cancelled.has(turnId) || deleteAsked)) ||
    (error._tag === "Cancelled" && error.cause === "superseded" && superseded) ||
    (error._tag === "Cancelled" && error.cause === "deadline" && deadline()) ||
    (error._tag === "Interrupted" && (error.cause === "crash" ? model.had.crash : model.had.shutdown)) ||
    (error._tag === "JournalFailure" && failedStorage)
  if (!fair) model.violate("P13", turnId, `ended by ${JSON.stringify(error)}, for which nobody asked`)
}

/** The ledger's rows are the usage events (P14). */
const checkLedger = (view: JournalView, model: Model, events: ReadonlyArray<TurnEvent.TurnEvent>): void => {
  const rows = view.rows<
    { turn_id: string; attempt: number; input_tokens: number | null; output_tokens: number | null }
  >(
    "SELECT turn_id, attempt, input_tokens, output_tokens FROM usage"
  )
  const ledger = new Set(
    rows.map((row) => JSON.stringify([row.turn_id, row.attempt, row.input_tokens, row.output_tokens]))
  )
  const journal = events.filter((event) => event.type === "telemetry.usage").map((event) =>
    JSON.stringify([event.turnId, event.attempt, event.data.usage.inputTokens, event.data.usage.outputTokens])
  )
  const missing = journal.find((entry) => !ledger.has(entry))
  if (missing !== undefined || rows.length !== journal.length) {
    model.violate(
      "P14",
      "",
      `the ledger has ${rows.length} rows, the journal ${journal.length} usages; missing: ${missing}`
    )
  }
}

const checkReader = (view: JournalView, model: Model, { number, of, seen, state }: Follower): void => {
  const complete = state === "ended"
  if ("turnId" in of) {
    const found = checkFollower(seen, view.turn(of.turnId), { after: of.after, complete })
    for (const { promise, seq, what } of found) model.violate(promise, of.turnId, `follower ${number}: ${what}`, seq)
    return
  }
  const all = view.events.filter((event) => event.sessionId === of.sessionId).map(keyOf)
  const due = of.after === undefined ? all : all.slice(all.indexOf(`${of.after.turnId}.${of.after.seq}`) + 1)
  const wrong = seen.findIndex((event, index) => keyOf(event) !== due[index])
  if (wrong >= 0) {
    model.violate("P15", "", `follower ${number} of a session saw ${seen.map(keyOf)[wrong]}, not ${due[wrong]}`)
  }
  if (complete && seen.length < due.length) {
    model.violate("P15", "", `follower ${number} of a session missed ${due[seen.length]}`)
  }
}

const checkAsks = (view: JournalView, model: Model): void => {
  for (const { number, sessionId, state, turnId } of model.asks) {
    if (state !== "answered" || turnId === undefined || model.session(sessionId).deleteAsked) continue
    if (view.rows("SELECT 1 FROM turns WHERE id = ?", [turnId]).length === 0) {
      model.violate("P4", turnId, `ask ${number} was acknowledged and its turn is gone`)
    }
  }
  for (const [turnId, told] of model.endedAs) {
    const last = view.turn(turnId).at(-1)
    const event = last === undefined ? undefined : TurnEvent.parse(last.json)
    const stands = event?.type === "turn.failed" ? event.data.error._tag : event?.type
    if (stands !== told) model.violate("P12", turnId, `cancel answered ${told}; in the end it was ${stands}`)
  }
}

/** Checks everything that rows can tell. `failedStorage`: whether storage ever refused. */
export const check = (
  view: JournalView,
  model: Model,
  options: { readonly ended: boolean; readonly failedStorage: boolean }
): void => {
  view.catchUp()
  const stands = view.reread()
  checkStable(view, model, stands)
  const events = stands.map(({ json }) => TurnEvent.parse(json))
  for (const found of checkJournal(events, { ended: options.ended })) model.violations.push(found)
  for (const found of checkSession(events)) model.violations.push(found)
  for (const follower of model.followers) checkReader(view, model, follower)
  for (const [id, turn] of view.turns()) {
    const state = model.stateOf(turn)
    if (state === undefined) continue
    checkTurn(model, state, turn.map(({ json }) => TurnEvent.parse(json)))
    if (!model.session(state.sessionId).deleteAsked) checkCause(view, model, state, options.failedStorage)
    if (model.session(state.sessionId).deleted && state.status === "running") {
      model.violate("P23", id, "its session was deleted before it ended")
    }
  }
  checkLedger(view, model, events)
  checkAsks(view, model)
}

/** Each turn as the engine shows it, against its events. */
export const checkRows = async (sim: SimRuntime, view: JournalView, model: Model, { journal }: Life): Promise<void> => {
  view.catchUp()
  for (const [id, events] of view.turns()) {
    const sessionId = events[0]?.sessionId
    if (sessionId === undefined || model.session(sessionId).deleteAsked) continue
    const rows = Effect.gen(function*() {
      const { turn } = yield* journal.turn(TurnId.make(id))
      const message = turn.messageId === undefined
        ? undefined
        : yield* Effect.option(journal.message(SessionId.make(sessionId), turn.messageId))
      const checkpoints = yield* journal.checkpoints(TurnId.make(id))
      return { turn, message: message === undefined ? undefined : Option.getOrUndefined(message), checkpoints }
    })
    const exit = await sim.finish(rows, 1_000)
    if (exit?._tag !== "Success") model.violate("P19", id, "its rows cannot be read")
    else {
      const parsed = events.map(({ json }) => TurnEvent.parse(json))
      for (const found of checkProjection(parsed, exit.value)) model.violations.push(found)
    }
  }
}

/**
 * The turn engine: puts admission, supervisor, recovery and journal together behind `TurnRuntime`. Building the layer
 * ends what a dead process left behind; closing it interrupts what still runs, as a shutdown.
 */
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ContextBuilder } from "../context/ContextBuilder.ts"
import { MessageId, type SessionId, type TurnId } from "../domain/Ids.ts"
import { TurnConflict } from "../domain/RequestError.ts"
import { fromInfo, JournalFailure } from "../domain/TurnError.ts"
import * as TurnEvent from "../domain/TurnEvent.ts"
import { type ImportedMessage, Journal, type TurnRecord } from "../journal/Journal.ts"
import * as Alarms from "../provider/Alarms.ts"
import { ProviderRegistry } from "../provider/ProviderRegistry.ts"
import * as Admit from "./Admit.ts"
import * as Ask from "./Ask.ts"
import * as Budgets from "./Budgets.ts"
import { preview, rebuildContext } from "./ContextInspection.ts"
import * as GenAi from "./GenAi.ts"
import { IdGenerator } from "./IdGenerator.ts"
import { closeOrphans, resumeOrphans } from "./Recovery.ts"
import * as Supervisor from "./Supervisor.ts"
import * as TurnLog from "./TurnLog.ts"
import * as TurnMetrics from "./TurnMetrics.ts"
import { type StreamRequest, SubmitOptions, type SubmitRequest, TurnRuntime } from "./TurnRuntime.ts"
import { TurnSettings } from "./TurnSettings.ts"
import * as TurnTelemetry from "./TurnTelemetry.ts"

const decodeOptions = Schema.decodeUnknown(SubmitOptions)

/** Options come back from the journal: our own JSON, checked all the same. */
const optionsOf = (record: TurnRecord) =>
  Effect.mapError(
    decodeOptions(record.options),
    (error) => new JournalFailure({ operation: "read options", retryable: false, reason: error.message })
  )

/** With ids that sort in their order and begin with that of the import: one each would be an effect for each. */
const identified = function*(
  messages: Iterable<Pick<ImportedMessage, "role" | "parts">>,
  first: MessageId
): Generator<ImportedMessage> {
  let index = 0
  for (const { parts, role } of messages) {
    yield { id: MessageId.make(`${first}_${String(index).padStart(8, "0")}`), role, parts }
    index++
  }
}

const make = Effect.gen(function*() {
  const journal = yield* Journal
  const registry = yield* ProviderRegistry
  const builder = yield* ContextBuilder
  const settings = yield* TurnSettings
  const ids = yield* IdGenerator
  const clock = yield* Effect.clock
  // turns live in a scope of their own: it closes after `close` has told them why
  const scope = yield* Scope.make()

  let draining = false
  const closing = Effect.unsafeMakeLatch(false)
  const budgets = Budgets.make(journal, clock, settings.limits)
  const { telemetry } = settings
  const alarms = yield* Alarms.make(clock)
  const engine = { journal, builder, clock, alarms, limits: settings.limits, budgets, telemetry, closing }
  const runtime = yield* Effect.runtime<never>()
  const supervisor = Supervisor.make(engine, settings.limits.runningTurns, runtime)
  const { admit, contextOf, inSession } = Admit.make({
    engine,
    registry,
    ids,
    settings,
    supervisor,
    scope,
    runtime,
    draining: () => draining
  })
  const defaults: Ask.Defaults = { ...registry.defaults, system: settings.defaults.system }
  const now = () => TurnLog.isoTime(clock.unsafeCurrentTimeMillis())

  const turnOf = (id: TurnId) => Effect.map(journal.turn(id), (record) => record.turn)

  /** A turn that was just committed is there; if storage says otherwise, that is storage's failure. */
  const committedTurn = (id: TurnId) =>
    Effect.catchTag(
      turnOf(id),
      "TurnNotFound",
      () =>
        Effect.fail(new JournalFailure({ operation: "read turn", retryable: true, reason: `turn ${id} is missing` }))
    )

  const answer = ({ existing, settled, turnId }: Admit.Submission) =>
    Effect.zipRight(settled, Effect.map(committedTurn(turnId), (turn) => ({ turn, existing })))

  const askOf = (request: SubmitRequest) =>
    Effect.map(
      journal.session(request.sessionId),
      (session) => Ask.fromBody(session, request, defaults, request.idempotencyKey)
    )

  /** A message of its own has no parent that could be missing. */
  const admitNew = (ask: Ask.Ask) => Effect.catchTag(admit(ask), "TurnNotFound", (error) => Effect.die(error))

  const submit: TurnRuntime["Type"]["submit"] = Effect.fnUntraced(function*(request) {
    return yield* Effect.flatMap(Effect.flatMap(askOf(request), admitNew), answer)
  })

  const begin: TurnRuntime["Type"]["begin"] = (request) =>
    Effect.flatMap(
      Effect.flatMap(askOf(request), admitNew),
      ({ settled, turnId }) =>
        Effect.flatMap(settled, () =>
          supervisor.isRunning(turnId)
            ? Effect.succeed({ id: turnId, ended: undefined })
            : Effect.map(committedTurn(turnId), (turn) => ({
              id: turnId,
              ended: turn.status === "running" ? undefined : turn
            })))
    )

  const child = (id: TurnId, kind: "resumedFrom" | "retryOf", onBusy: Ask.Ask["onBusy"]) =>
    Effect.gen(function*() {
      const parent = yield* journal.turn(id)
      if (parent.turn.status === "running") return yield* new TurnConflict({ reason: "parent-running", turnId: id })
      if (kind === "resumedFrom" && parent.turn.status === "completed") {
        return yield* new TurnConflict({ reason: "parent-completed", turnId: id })
      }
      const known = kind === "resumedFrom" ? parent.resumedBy : parent.retriedBy
      if (known !== undefined) return { turn: yield* committedTurn(known), existing: true }
      const ask = Ask.fromParent(parent, yield* optionsOf(parent), { [kind]: id }, onBusy)
      return yield* Effect.flatMap(admit(ask), answer)
    })

  const createSession: TurnRuntime["Type"]["createSession"] = Effect.fnUntraced(
    function*(input, messages) {
      const { model, provider, system, title } = input
      const id = yield* ids.sessionId
      const imported = messages === undefined ? undefined : identified(messages, yield* ids.messageId)
      return yield* journal.createSession({ id, title, provider, model, system, at: now() }, imported)
    }
  )

  /** Followers of its turns are told that it goes, before its turns end. */
  const emptyLine = (id: SessionId) =>
    Effect.suspend(() => {
      // from the back of the line: none of them starts because the one before it ended
      const turns = supervisor.line(id).toReversed()
      return Effect.zipRight(
        Effect.forEach(turns, (turnId) => journal.endFollowers("deleted", turnId), { discard: true }),
        Effect.forEach(turns, (turnId) => supervisor.stop(turnId, "user_stop"), { discard: true })
      )
    })

  const deleteSession = Effect.fnUntraced(function*(id: SessionId) {
    yield* inSession(id, Effect.zipRight(emptyLine(id), journal.deleteSession(id)))
  })

  const cancel: TurnRuntime["Type"]["cancel"] = Effect.fnUntraced(function*(id) {
    yield* supervisor.stop(id, "user_stop")
    const turn = yield* turnOf(id)
    if (turn.status !== "running") return turn
    // committed but not yet handed to the supervisor: its admission holds the session
    yield* inSession(turn.sessionId, Effect.void)
    yield* supervisor.stop(id, "user_stop")
    return yield* turnOf(id)
  })

  const broken = (error: { readonly message: string }) =>
    Stream.fail(new JournalFailure({ operation: "follow", retryable: true, reason: error.message }))

  /** The consumer's own turn: whatever closes the stream before the terminal event cancels it. */
  const stream: TurnRuntime["Type"]["stream"] = (request: StreamRequest) =>
    Stream.unwrapScoped(Effect.gen(function*() {
      const sessionId = request.sessionId ?? (yield* createSession({})).id
      const forget = request.sessionId === undefined ? Effect.ignore(journal.deleteSession(sessionId)) : Effect.void
      const { turnId } = yield* Effect.acquireRelease(
        Effect.flatMap(askOf({ ...request, sessionId }), admitNew).pipe(Effect.onError(() => forget)),
        ({ turnId }) => Effect.ignoreLogged(supervisor.stop(turnId, "user_stop"))
      )
      return journal.follow(turnId, 0).pipe(
        Stream.mapChunks(Chunk.map((event) => TurnEvent.parse(event.json))),
        Stream.catchTags({
          FollowEnded: (error) =>
            error.reason === "fenced" ? Stream.unwrap(Effect.map(journal.fenced, Stream.fail)) : broken(error),
          TurnNotFound: (error) => broken(error),
          Gone: (error) => broken(error)
        }),
        Stream.concat(Stream.unwrap(Effect.map(committedTurn(turnId), ({ error }) =>
          error === undefined ? Stream.empty : Stream.fail(fromInfo(error)))))
      )
    }))

  const close = Effect.suspend(() => {
    draining = true
    closing.unsafeOpen()
    return Effect.zipRight(supervisor.stopAll, journal.endFollowers("shutdown"))
  })

  const drain = Effect.suspend(() => {
    if (draining) return close
    draining = true
    // another process has the database: no turn here can end well any more
    const settled = Effect.raceFirst(supervisor.idle, journal.fenced)
    const say = (message: string) =>
      TurnTelemetry.log(telemetry, LogLevel.Info, message, () => ({ turns: supervisor.size() }))
    return say("Draining").pipe(
      Effect.zipRight(Effect.timeoutOption(settled, Duration.millis(settings.drainMs))),
      Effect.zipRight(Effect.suspend(() => say(supervisor.size() === 0 ? "Drained" : "Interrupting what still runs"))),
      Effect.zipRight(close)
    )
  })

  yield* Effect.addFinalizer((exit) => Effect.zipRight(close, Scope.close(scope, exit)))
  for (const { id, models } of yield* registry.diagnostics) {
    for (const model of models) TurnMetrics.reserve(GenAi.providerName(id), model.id)
  }
  const orphans = yield* closeOrphans({ journal, clock, telemetry, ids, pricesOf: registry.prices })
  if (settings.recovery.onRestart === "resume") {
    const resume = (id: TurnId) => child(id, "resumedFrom", "queue")
    yield* resumeOrphans({ journal, orphans, resume, resumesMax: settings.recovery.maxResumes, scope })
  }

  return TurnRuntime.of({
    createSession,
    updateSession: (id, patch) => Effect.suspend(() => journal.updateSession(id, patch, now())),
    deleteSession,
    submit,
    begin,
    resume: (id) => child(id, "resumedFrom", "reject"),
    retry: (id) => child(id, "retryOf", "reject"),
    cancel,
    stream,
    preview: (request) =>
      Effect.flatMap(askOf(request), (ask) => preview({ ask, builder, contextOf, ids, journal, registry })),
    rebuildContext: (id) => rebuildContext(journal, builder, id),
    running: Effect.sync(() => supervisor.size()),
    budgets: budgets.levels,
    measure: budgets.measure,
    draining: Effect.sync(() => draining),
    drain
  })
})

/** Needs storage that answers: an orphan that cannot be closed stops the start. */
export const layer = Layer.scoped(TurnRuntime, make)

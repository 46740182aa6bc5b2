/**
 * From an ask to a turn that exists: resolve, admit in one transaction, hand to the supervisor. A session's admissions
 * go one after the other, so that its line stands in the order in which the journal admitted them.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { charsPerToken, type ContextRequest } from "../context/ContextBuilder.ts"
import type { MessageId, SessionId, TurnId } from "../domain/Ids.ts"
import { Draining, IdempotencyConflict, InvalidRequest, Overloaded } from "../domain/RequestError.ts"
import type { Turn } from "../domain/Resources.ts"
import { type JournalFailure, toInfo, type TurnError } from "../domain/TurnError.ts"
import type { EventBody } from "../domain/TurnEvent.ts"
import * as TurnState from "../domain/TurnState.ts"
import type { Admission, Admitted, Journal, TurnRecord } from "../journal/Journal.ts"
import type { ProviderRegistry, Resolved } from "../provider/ProviderRegistry.ts"
import * as Ask from "./Ask.ts"
import * as Doubt from "./Doubt.ts"
import type { IdGenerator } from "./IdGenerator.ts"
import * as Opening from "./Opening.ts"
import type { Supervisor } from "./Supervisor.ts"
import * as TurnLog from "./TurnLog.ts"
import * as TurnMetrics from "./TurnMetrics.ts"
import type { TurnControl, TurnEngine, TurnJob } from "./TurnRun.ts"
import type { ChildError } from "./TurnRuntime.ts"
import type { TurnSettings } from "./TurnSettings.ts"
import * as TurnTelemetry from "./TurnTelemetry.ts"

/** A client turned away is asked to come back after about one short turn. */
const retryAfterMs = 1_000

/** What a submit came to. */
export interface Submission {
  readonly turnId: TurnId
  readonly existing: boolean
  /** Completes when the turn is past its context build or ended; at once for one that waits in line or is not ours. */
  readonly settled: Effect.Effect<void>
}

export interface Parts {
  readonly engine: TurnEngine
  readonly registry: ProviderRegistry["Type"]
  readonly ids: IdGenerator["Type"]
  readonly settings: TurnSettings["Type"]
  readonly supervisor: Supervisor
  readonly scope: Scope.Scope
  readonly runtime: Runtime.Runtime<never>
  readonly draining: () => boolean
}

/** One at a time for each session, in the order in which they came. */
const makeLocks = () => {
  /** Who waits, of every session that is held. */
  const lines = new Map<SessionId, Array<() => void>>()
  const handOn = (sessionId: SessionId): void => {
    const next = lines.get(sessionId)?.shift()
    if (next === undefined) lines.delete(sessionId)
    else next()
  }
  const take = (sessionId: SessionId): Effect.Effect<void> =>
    Effect.suspend(() => {
      const line = lines.get(sessionId)
      if (line !== undefined) return wait(sessionId, line)
      lines.set(sessionId, [])
      return Effect.void
    })
  const wait = (sessionId: SessionId, line: Array<() => void>): Effect.Effect<void> =>
    Effect.async((resume) => {
      const go = () => resume(Effect.void)
      line.push(go)
      return Effect.sync(() => {
        const place = line.indexOf(go)
        // interrupted in the moment in which it was called
        if (place === -1) handOn(sessionId)
        else line.splice(place, 1)
      })
    })
  return <A, E, R>(sessionId: SessionId, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.zipRight(
        restore(take(sessionId)),
        Effect.ensuring(restore(effect), Effect.sync(() => handOn(sessionId)))
      )
    )
}

/** The text of a turn, of a long one no more than `charsMax` and a piece. */
const textOf = (journal: Journal["Type"], turn: Turn, charsMax: number) => {
  if (turn.whole !== false) return Effect.succeed(turn.text)
  return journal.answer(turn.id, "text").pipe(
    Stream.runFoldWhile(
      "",
      (text) => text.length <= charsMax,
      (text, part) => text + (part.type === "text" ? part.text : "")
    )
  )
}

/**
 * Everything a chain of resumed turns said before, oldest first. What is longer than the window can hold is cut behind
 * that: it fits into no context either way, and the build says so.
 */
export const prefixOf = (
  journal: Journal["Type"],
  parent: TurnId,
  window: number
): Effect.Effect<string, JournalFailure> =>
  Effect.gen(function*() {
    const charsMax = window * charsPerToken
    let prefix = ""
    let next: TurnId | undefined = parent
    while (next !== undefined && prefix.length <= charsMax) {
      const { turn }: TurnRecord = yield* journal.turn(next).pipe(
        // a parent lives as long as its children: both go with their session
        Effect.catchTag("TurnNotFound", (error) => Effect.die(error))
      )
      prefix = (yield* Effect.catchTag(textOf(journal, turn, charsMax), "TurnNotFound", (error) => Effect.die(error))) +
        prefix
      next = turn.resumedFrom
    }
    return prefix
  })

export const make = (parts: Parts) => {
  const { engine, ids, registry, settings, supervisor } = parts
  const { clock, journal } = engine
  const inSession = makeLocks()
  const commit = Doubt.commit(engine, supervisor)

  /** What the turn will be sent: read when it runs, so that a turn in line sees the answers before it. */
  const contextOf = (
    ask: Ask.Ask,
    message: ContextRequest<JournalFailure>["message"],
    userMessageId: MessageId,
    resolved: Resolved,
    prefix: string | undefined
  ): ContextRequest<JournalFailure> => ({
    sessionId: ask.sessionId,
    system: ask.options.system,
    window: resolved.model.contextWindow,
    reserve: Ask.reserveOf(Ask.generationOf(ask.options, resolved), resolved),
    history: journal.history({ sessionId: ask.sessionId, before: userMessageId, asOfTurn: undefined }),
    message,
    prefix: prefix === "" ? undefined : prefix
  })

  const checkScript = (ask: Ask.Ask, resolved: Resolved) =>
    ask.options.script !== undefined && resolved.provider.usageSource !== "deterministic"
      ? new InvalidRequest({
        path: "options.script",
        reason: `only the deterministic provider takes a script; this turn uses "${ask.provider}"`
      })
      : Effect.void

  const existing = (ask: Ask.Ask, turnId: TurnId): Submission => {
    const control = supervisor.control(turnId)
    const waits = control === undefined || supervisor.line(ask.sessionId)[0] !== turnId
    return { turnId, existing: true, settled: waits ? Effect.void : Deferred.await(control.settled) }
  }

  /** Where no turn gets in, a known idempotency key still finds its own. */
  const unlessKnown = <E>(
    ask: Ask.Ask,
    refusal: E
  ): Effect.Effect<Submission, E | IdempotencyConflict | JournalFailure> =>
    Effect.gen(function*() {
      const known = ask.idempotency === undefined
        ? undefined
        : yield* journal.byKey(ask.sessionId, ask.idempotency.key)
      if (known === undefined) return yield* Effect.fail(refusal)
      if (known.bodyHash !== ask.idempotency?.bodyHash) return yield* new IdempotencyConflict({ turnId: known.turnId })
      return existing(ask, known.turnId)
    })

  const makeRoom = (ask: Ask.Ask, ahead: ReadonlyArray<TurnId>) =>
    ask.onBusy === "supersede"
      ? Effect.forEach(
        ahead,
        (turnId) => Effect.forkIn(supervisor.stop(turnId, "superseded").pipe(Effect.ignoreLogged), parts.scope),
        { discard: true }
      )
      : Effect.void

  const windowOf = (resolution: Either.Either<Resolved, TurnError>) =>
    Either.isRight(resolution) ? resolution.right.model.contextWindow : 0

  const settle = (control: TurnControl, admitted: Admitted & { readonly _tag: "Started" }, ask: Ask.Ask) =>
    admitted.ahead.length === 0 || ask.onBusy === "supersede" ? Deferred.await(control.settled) : Effect.void

  /** All that is read and chosen before anything is written; after the commit nothing can fail any more. */
  const prepare = (ask: Ask.Ask, resolution: Either.Either<Resolved, TurnError>) =>
    Effect.gen(function*() {
      const turnId = yield* ids.turnId
      const messageId = yield* ids.messageId
      const userMessageId = ask.message._tag === "New" ? yield* ids.messageId : ask.message.id
      const message = ask.message._tag === "New"
        ? { role: "user" as const, parts: ask.message.parts }
        : yield* journal.message(ask.sessionId, ask.message.id)
      const prefix = ask.link.resumedFrom === undefined
        ? undefined
        : yield* prefixOf(journal, ask.link.resumedFrom, windowOf(resolution))
      const started: EventBody = {
        type: "turn.started",
        data: { provider: ask.provider, model: ask.model, userMessageId, ...ask.link }
      }
      const events = TurnLog.firstEvents(
        { turnId, sessionId: ask.sessionId },
        TurnLog.isoTime(clock.unsafeCurrentTimeMillis()),
        Either.isRight(resolution)
          ? [started]
          : [started, { type: "turn.failed", data: { error: toInfo(resolution.left) } }]
      )
      const state = TurnState.fold(events) as TurnState.TurnState
      const span = yield* TurnTelemetry.begin({
        turnId,
        sessionId: ask.sessionId,
        provider: ask.provider,
        model: ask.model,
        link: ask.link,
        parentTrace: ask.parentTrace
      })
      const job = (resolved: Resolved): TurnJob => ({
        begun: undefined,
        turnId,
        sessionId: ask.sessionId,
        admitted: state,
        messageId,
        resolved,
        context: contextOf(ask, message, userMessageId, resolved, prefix),
        generation: Ask.generationOf(ask.options, resolved),
        script: ask.options.script,
        deadlineMs: ask.options.deadlineMs,
        span
      })
      return { turnId, userMessageId, events, state, span, job }
    })

  /** Undefined where the turn may have to wait, or repeats a question that is there. */
  const openingOf = (ask: Ask.Ask, admission: Admission, job: TurnJob) => {
    if (ask.message._tag !== "New" || supervisor.line(ask.sessionId).length > 0) return undefined
    const history = journal.history({ sessionId: ask.sessionId, before: undefined, asOfTurn: undefined })
    return Opening.make(engine, parts.runtime, admission, job, { ...job.context, history })
  }

  const admit = (ask: Ask.Ask): Effect.Effect<Submission, ChildError> =>
    Effect.gen(function*() {
      if (parts.draining()) return yield* unlessKnown(ask, new Draining({ retryAfterMs: settings.drainMs }))
      const resolution = yield* Effect.either(registry.resolve(ask.provider, ask.model))
      if (Either.isRight(resolution)) yield* checkScript(ask, resolution.right)
      const prepared = yield* prepare(ask, resolution)
      const job = Either.isRight(resolution) ? prepared.job(resolution.right) : undefined
      const admission: Admission = {
        turnId: prepared.turnId,
        sessionId: ask.sessionId,
        events: prepared.events,
        message: ask.message._tag === "New" ? { id: prepared.userMessageId, parts: ask.message.parts } : undefined,
        options: Ask.toRecord(ask.options),
        onBusy: ask.onBusy,
        queueMax: settings.limits.queuedTurns,
        idempotency: ask.idempotency,
        trace: TurnTelemetry.traceOf(prepared.span)
      }
      // a refused turn ends where it begins and takes no place
      if (Either.isRight(resolution) && !supervisor.takePlace(ask.sessionId)) {
        const limit = settings.limits.runningTurns
        return yield* unlessKnown(ask, new Overloaded({ what: "runningTurns", limit, retryAfterMs }))
      }
      // a place that was taken is given back whatever happens before the commit, which looks after it from then on
      const opening = job === undefined
        ? undefined
        : yield* Effect.onError(
          Effect.sync(() => openingOf(ask, admission, job)),
          () => Effect.sync(supervisor.giveBack)
        )
      const first = opening === undefined ? undefined : yield* commit(opening.admission, opening.job)
      const isOpen = first !== undefined && first._tag !== "Occupied"
      const result = isOpen ? first : yield* commit(admission, job)
      if (result._tag === "Occupied") return yield* Effect.dieMessage("it did not ask to be alone")
      if (result._tag === "Existing") return existing(ask, result.turnId)
      if (job === undefined) {
        TurnMetrics.started(prepared.state)
        yield* TurnTelemetry.ended(prepared.state, { clock, span: prepared.span, settings: settings.telemetry })
        return { turnId: prepared.turnId, existing: false, settled: Effect.void }
      }
      const control = supervisor.register(isOpen && opening !== undefined ? opening.job : job)
      yield* makeRoom(ask, result.ahead)
      return { turnId: prepared.turnId, existing: false, settled: settle(control, result, ask) }
    }).pipe((effect) => Effect.uninterruptible(inSession(ask.sessionId, effect)))

  return { admit, contextOf, inSession }
}

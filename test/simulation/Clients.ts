/** What clients do: each command runs in a fiber of its own, and what it answers is told to the model. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { type SessionId, TurnId } from "../../src/domain/Ids.ts"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import type { JournaledEvent } from "../../src/journal/Journal.ts"
import type { SubmitRequest } from "../../src/turn/TurnRuntime.ts"
import type { JournalView } from "./JournalView.ts"
import type { Ask, Follower, Model } from "./Model.ts"
import type { SimRuntime } from "./SimRuntime.ts"
import type { Step } from "./Steps.ts"
import type { Life } from "./World.ts"

/** `reason` of a broken-off stream, else the tag of a failure, else the defect. */
const nameOf = (cause: Cause.Cause<unknown>): string => {
  const failure = Cause.failureOption(cause)
  if (failure._tag === "None") return `a defect: ${Cause.pretty(cause).split("\n", 2).join(" ")}`
  const error = failure.value as { readonly _tag?: string; readonly reason?: string } // tagged errors all
  return error._tag === "FollowEnded" ? error.reason ?? "" : error._tag ?? "untagged"
}

const at = <A>(list: ReadonlyArray<A>, pick: number): A | undefined => list[pick % list.length]

export interface ClientOptions {
  readonly sim: SimRuntime
  readonly view: JournalView
  readonly model: Model
  readonly note: (line: () => string) => void
}

/** A reader that takes one chunk when it is let. */
interface Reader {
  readonly follower: Follower
  readonly fiber: Fiber.RuntimeFiber<void, unknown>
  readonly gate: Effect.Latch
}

export const make = ({ model, note, sim, view }: ClientOptions) => {
  const sessions: Array<SessionId> = []
  const readers: Array<Reader> = []
  let messages = 0
  /** Slow readers are slow no longer. */
  let free = false

  /** Runs a command; its answer counts only while the process that gave it lives. */
  const command = <A, E>(life: Life, effect: Effect.Effect<A, E>, told: (exit: Exit.Exit<A, E>) => void) => {
    sim.fork(
      Effect.exit(effect).pipe(Effect.map((exit) => {
        if (!life.faults.dead) told(exit)
      }))
    )
  }

  const liveSessions = () => sessions.filter((id) => !model.session(id).deleteAsked)
  const turnIds = () => [...view.turns().keys()].map((id) => TurnId.make(id))
  const runningTurns = () =>
    view.rows<{ id: TurnId }>("SELECT id FROM turns WHERE status = 'running' ORDER BY ord").map(({ id }) => id)

  const createSession = async (life: Life): Promise<void> => {
    const exit = await sim.finish(life.runtime.createSession({}), 10_000)
    if (life.faults.dead) return
    if (exit?._tag === "Success") {
      sessions.push(exit.value.id)
      model.session(exit.value.id)
    } else if (life.faults.failed === 0) model.violate("P19", "", "a session cannot be created without a fault")
  }

  const ask = (
    life: Life,
    made: Pick<Ask, "sessionId" | "request" | "parent">,
    effect: ReturnType<Life["runtime"]["submit"]> | ReturnType<Life["runtime"]["resume"]>
  ) => {
    const entry: Ask = { number: model.asks.length + 1, state: "waiting", turnId: undefined, ...made }
    model.asks.push(entry)
    command(life, effect, (exit) => {
      if (exit._tag === "Success") {
        model.answered(entry, exit.value)
        note(() =>
          `  ask ${entry.number}: ${exit.value.turn.id} ${exit.value.turn.status}${
            exit.value.existing ? ", existing" : ""
          }`
        )
      } else {
        model.refused(entry, nameOf(exit.cause))
        note(() => `  ask ${entry.number} refused: ${nameOf(exit.cause)}`)
      }
    })
    return entry
  }

  const submitRequest = (life: Life, request: SubmitRequest) =>
    ask(life, { sessionId: request.sessionId, request, parent: undefined }, life.runtime.submit(request))

  const submit = async (life: Life, { picks: [where, how, key, more] }: Step): Promise<string> => {
    if (liveSessions().length < 1 + where % 3) await createSession(life)
    const sessionId = at(liveSessions(), where)
    if (sessionId === undefined || life.faults.dead) return "no session to submit to"
    const onBusy = at(["reject", "queue", "queue", "supersede"] as const, how)
    const entry = submitRequest(life, {
      sessionId,
      message: `question ${++messages}`,
      ...(onBusy === undefined ? {} : { onBusy }),
      ...(key % 3 === 0 ? { idempotencyKey: `k${messages}` } : {}),
      ...(more % 12 === 0 ? { options: { deadlineMs: 1 + more % 20_000 } } : {}),
      ...(more % 31 === 0 ? { provider: "nobody" } : {})
    })
    if (onBusy === "supersede") model.session(sessionId).superseded = true
    return `ask ${entry.number}: submit to ${sessionId}, onBusy ${onBusy}`
  }

  const duplicate = (life: Life, { picks: [which, body] }: Step): string => {
    const keyed = model.asks.flatMap(({ request }) => request?.idempotencyKey === undefined ? [] : [request])
    const request = at(keyed, which)
    if (request === undefined) return "no key to repeat"
    const other = body % 4 === 0
    const entry = submitRequest(life, other ? { ...request, message: `other ${++messages}` } : { ...request })
    return `ask ${entry.number}: key ${request.idempotencyKey} again, ${other ? "with another body" : "as it was"}`
  }

  const child = (life: Life, kind: "resume" | "retry", { picks: [which] }: Step): string => {
    const id = at(turnIds(), which)
    if (id === undefined) return `nothing to ${kind}`
    const entry = ask(
      life,
      { sessionId: model.sessionOf(id), request: undefined, parent: { id, kind } },
      life.runtime[kind](id)
    )
    return `ask ${entry.number}: ${kind} ${id}`
  }

  const cancel = (life: Life, { picks: [which, any] }: Step): string => {
    const running = runningTurns()
    const id = at(any % 5 === 0 || running.length === 0 ? turnIds() : running, which)
    if (id === undefined) return "nothing to cancel"
    model.cancelled.add(id)
    command(life, life.runtime.cancel(id), (exit) => {
      note(() =>
        `  cancel ${id}: ${exit._tag === "Success" ? exit.value.error?._tag ?? exit.value.status : nameOf(exit.cause)}`
      )
      if (exit._tag === "Success") model.cancelAnswered(exit.value)
      else if (!["JournalFailure", "TurnNotFound"].includes(nameOf(exit.cause))) {
        model.violate("P12", id, `cancel answered ${nameOf(exit.cause)}`)
      }
    })
    return `cancel ${id}`
  }

  const deleteSession = (life: Life, { picks: [which] }: Step): string => {
    const id = at(sessions, which)
    if (id === undefined) return "no session to delete"
    model.session(id).deleteAsked = true
    command(life, life.runtime.deleteSession(id), (exit) => {
      note(() => `  delete ${id}: ${exit._tag === "Success" ? "done" : nameOf(exit.cause)}`)
      if (exit._tag === "Success") model.sessionDeleted(id)
      else if (!["JournalFailure", "SessionNotFound"].includes(nameOf(exit.cause))) {
        model.violate("P23", "", `delete answered ${nameOf(exit.cause)}`)
      }
    })
    return `delete ${id}`
  }

  const read = (
    life: Life,
    of: Follower["of"],
    events: Stream.Stream<JournaledEvent, unknown>,
    paged: boolean
  ): Follower => {
    const follower: Follower = { number: model.followers.length + 1, of, seen: [], slow: paged, state: "joined" }
    model.followers.push(follower)
    const gate = Effect.unsafeMakeLatch(!paged)
    const fiber = sim.fork(
      events.pipe(
        Stream.runForEachChunk((chunk) => {
          if (!life.faults.dead && follower.state === "joined") {
            for (const event of chunk) model.delivered(follower, event)
          }
          if (paged && !free) gate.unsafeClose()
          return gate.await
        }),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (life.faults.dead || follower.state !== "joined") return
            const why = exit._tag === "Success" ? undefined : nameOf(exit.cause)
            note(() => `  follower ${follower.number} ended: ${why ?? "with its turn"}`)
            model.followerEnded(follower, why, life.faults.failed > 0)
          })
        ),
        Effect.ignore
      )
    )
    readers.push({ follower, fiber, gate })
    return follower
  }

  const join = (life: Life, { picks: [which, where, whole, paged] }: Step): string => {
    const slow = paged % 3 === 0
    const event = at(view.events, which * 7 + where)
    const id = at(whole % 3 === 0 ? turnIds() : runningTurns().concat(turnIds().slice(-2)), which)
    if (id !== undefined && whole % 4 !== 1) {
      const after = where % (view.turn(id).length + 1)
      const { number } = read(life, { turnId: id, after }, life.journal.follow(id, after), slow)
      return `follower ${number} joins ${id} after ${after}${slow ? ", slowly" : ""}`
    }
    const sessionId = at(liveSessions(), which)
    if (sessionId === undefined) return "nothing to follow"
    const after = event?.sessionId === sessionId
      ? { turnId: TurnId.make(event.turnId), seq: event.seq }
      : undefined
    const { number } = read(life, { sessionId, after }, life.journal.followSession(sessionId, after, true), slow)
    return `follower ${number} joins session ${sessionId} after ${
      after === undefined ? "nothing" : `${after.turnId}.${after.seq}`
    }${slow ? ", slowly" : ""}`
  }

  const joined = () => readers.filter(({ follower }) => follower.state === "joined")

  const leave = ({ picks: [which] }: Step): string => {
    const reader = at(joined(), which)
    if (reader === undefined) return "nobody to leave"
    reader.follower.state = "left"
    sim.fork(Fiber.interrupt(reader.fiber))
    return `follower ${reader.follower.number} leaves`
  }

  /** One chunk for a slow reader; else a page of a turn, read at once. */
  const page = (life: Life, { picks: [which, where, limit] }: Step): string => {
    const reader = at(joined(), which)
    if (reader !== undefined && where % 2 === 0) {
      reader.gate.unsafeOpen()
      return `follower ${reader.follower.number} may read on`
    }
    const id = at(turnIds(), which)
    if (id === undefined || model.session(model.sessionOf(id)).deleteAsked) return "nothing to read"
    const known = view.turn(id)
    const after = where % (known.length + 1)
    const most = 1 + limit % 20
    command(life, life.journal.readAfter(id, after, most), (exit) => {
      if (exit._tag !== "Success") {
        if (!model.session(model.sessionOf(id)).deleteAsked) {
          model.violate("P15", id, `a page answered ${nameOf(exit.cause)}`)
        }
        return
      }
      const due = view.turn(id).slice(after, after + most)
      const same = exit.value.length <= due.length && exit.value.every(({ json }, index) => json === due[index]?.json)
      if (!same || exit.value.length < Math.min(most, known.length - after)) {
        model.violate("P15", id, `a page after ${after} is not what is committed`)
      }
    })
    return `a page of ${id} after ${after}`
  }

  return {
    submit,
    duplicate,
    child,
    cancel,
    deleteSession,
    join,
    leave,
    page,
    /** Lets every slow reader read to the end. */
    openAll: () => {
      free = true
      for (const { follower, gate } of readers) {
        if (follower.state !== "joined") continue
        gate.unsafeOpen()
      }
      return joined().length
    },
    ends: (id: string) => {
      const last = view.turn(id).at(-1)
      return last !== undefined && TurnEvent.isTerminalType(TurnEvent.parse(last.json).type)
    }
  }
}

export type Clients = ReturnType<typeof make>

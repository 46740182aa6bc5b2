/** What clients command: submits, children, cancels, deletions. What each is answered is told to the model. */
import { type SessionId, TurnId } from "../../src/domain/Ids.ts"
import type { SubmitRequest } from "../../src/turn/TurnRuntime.ts"
import { at, command, nameOf, type Stage } from "./Commands.ts"
import type { Ask } from "./Model.ts"
import type { Step } from "./Steps.ts"
import type { Life } from "./World.ts"

export const make = (stage: Stage) => {
  const { model, note, sim, view } = stage
  const sessions: Array<SessionId> = []
  let messages = 0

  const liveSessions = () => sessions.filter((id) => !model.session(id).deleteAsked)
  const turnIds = () => [...view.turns().keys()].map((id) => TurnId.make(id))
  const runningTurns = () =>
    view.rows<{ id: TurnId }>("SELECT id FROM turns WHERE status = 'running' ORDER BY ord").map(({ id }) => id)

  const createSession = async (life: Life): Promise<void> => {
    const exit = await sim.finish(life.runtime.createSession({}), 10_000)
    if (life.faults.dead()) return
    if (exit?._tag === "Success") {
      sessions.push(exit.value.id)
      model.session(exit.value.id)
    } else if (!life.faults.failed()) model.violate("P19", "", "a session cannot be created without a fault")
  }

  const ask = (
    life: Life,
    made: Pick<Ask, "sessionId" | "request" | "parent">,
    effect: ReturnType<Life["runtime"]["submit"]> | ReturnType<Life["runtime"]["resume"]>
  ) => {
    const entry: Ask = { number: model.asks.length + 1, state: "waiting", turnId: undefined, ...made }
    model.asks.push(entry)
    command(stage, life, effect, (exit) => {
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
    if (sessionId === undefined || life.faults.dead()) return "no session to submit to"
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
    command(stage, life, life.runtime.cancel(id), (exit) => {
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
    command(stage, life, life.runtime.deleteSession(id), (exit) => {
      note(() => `  delete ${id}: ${exit._tag === "Success" ? "done" : nameOf(exit.cause)}`)
      if (exit._tag === "Success") model.sessionDeleted(id)
      else if (!["JournalFailure", "SessionNotFound"].includes(nameOf(exit.cause))) {
        model.violate("P23", "", `delete answered ${nameOf(exit.cause)}`)
      }
    })
    return `delete ${id}`
  }

  return { submit, duplicate, child, cancel, deleteSession, targets: { liveSessions, turnIds, runningTurns } }
}

export type Clients = ReturnType<typeof make>

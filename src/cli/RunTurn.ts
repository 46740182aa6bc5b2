/**
 * One turn on the command line: submit, show what comes, let Ctrl-C cancel it, say how it ended.
 *
 * Ctrl-C cancels the turn and keeps showing it to its end, so that the partial answer is complete on the screen and in
 * the journal. Whatever else stops the command (a signal, a closed pipe) cancels the turn too: nobody else asked for it.
 */
import * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { SessionId } from "../domain/Ids.ts"
import type { TurnErrorInfo } from "../domain/TurnError.ts"
import { type EventOf, parse, type TurnEvent } from "../domain/TurnEvent.ts"
import type { JournaledEvent } from "../journal/Journal.ts"
import type { SubmitBody } from "../turn/TurnRuntime.ts"
import { Output, printable } from "./Output.ts"
import { nextInterrupt } from "./Signal.ts"
import { TurnClient } from "./TurnClient.ts"

/** The turn failed, with the tag and the message of its error. */
export class TurnFailed extends Data.TaggedError("TurnFailed")<{ readonly code: string; readonly detail: string }> {
  override get message() {
    return this.detail
  }
}

export type Ending = EventOf<"turn.completed"> | EventOf<"turn.failed">
type Out = Context.Tag.Service<typeof Output>

const isEnding = (event: TurnEvent): event is Ending => event.type === "turn.completed" || event.type === "turn.failed"

/** What a person sees of some events. */
interface Shown {
  readonly text: string
  readonly ending: Ending | undefined
}

const showText = (events: Iterable<JournaledEvent>, restarted: string): Shown => {
  let text = ""
  let ending: Ending | undefined
  for (const { json } of events) {
    const event = parse(json)
    if (event.type === "model.delta" && event.data.kind === "text") text += event.data.text
    else if (event.type === "model.tool-call") {
      text += `[${event.data.toolName} ${JSON.stringify(event.data.arguments)}]\n`
    } else if (event.type === "model.reset") text += restarted
    else if (isEnding(event)) ending = event
  }
  return { text, ending }
}

const showJson = (events: Iterable<JournaledEvent>): Shown => {
  let text = ""
  let ending: Ending | undefined
  for (const { json, type } of events) {
    text += `${json}\n`
    if (type === "turn.completed" || type === "turn.failed") {
      const event = parse(json)
      if (isEnding(event)) ending = event
    }
  }
  return { text, ending }
}

/** Writes the events as they come, one write a chunk; answers with the last one. */
const show = Effect.fnUntraced(function*<E, R>(events: Stream.Stream<JournaledEvent, E, R>, out: Out, json: boolean) {
  let ending: Ending | undefined
  let atLineStart = true
  const restarted = `\n${out.style.dim("[the answer starts again]")}\n`
  yield* Stream.runForEachChunk(events, (chunk) => {
    if (Chunk.isEmpty(chunk)) return Effect.void
    const shown = json ? showJson(chunk) : showText(chunk, restarted)
    ending = shown.ending ?? ending
    if (shown.text !== "") atLineStart = shown.text.endsWith("\n")
    return out.write(json || !out.interactive ? shown.text : printable(shown.text))
  })
  if (!atLineStart) yield* out.write("\n")
  return ending
})

const failureOf = (error: TurnErrorInfo): TurnFailed => new TurnFailed({ code: error._tag, detail: error.message })

export interface Asked {
  readonly sessionId: SessionId
  readonly body: SubmitBody
  readonly json: boolean
}

/** Completes with the ended turn; fails with its error after all of it was shown. */
export const runTurn = Effect.fn("Cli.runTurn")(function*({ body, json, sessionId }: Asked) {
  const out = yield* Output
  const client = yield* TurnClient
  // a turn that was accepted is watched or cancelled, whenever the signal comes
  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const turn = yield* client.submit(sessionId, body)
      const cancel = Effect.ignore(client.cancel(turn.id))
      const stopper = yield* Effect.fork(Effect.zipRight(restore(nextInterrupt), cancel))
      const ending = yield* restore(show(client.follow(turn.id), out, json)).pipe(Effect.onInterrupt(() => cancel))
      // a cancel under way is waited for: the next turn would find the session busy
      yield* Fiber.interrupt(stopper)
      if (ending?.type === "turn.failed") return yield* failureOf(ending.data.error)
      return turn
    })
  )
})

/**
 * `replay`: a journaled turn's text again, in the pace in which it came, on `Clock`. Reads only, in pages, so any turn of
 * any length plays in little memory. A turn that still runs plays as far as it is committed.
 */
import * as Effect from "effect/Effect"
import type { TurnId } from "../domain/Ids.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import { parse, type TurnEvent } from "../domain/TurnEvent.ts"
import { Journal } from "../journal/Journal.ts"
import { Output, printable } from "./Output.ts"

/** Events read at a time. */
const pageSize = 1_000

export interface Options {
  readonly turn: TurnId
  /** The first seq to play. */
  readonly from: number
  /** 2 is twice as fast; infinite: without any wait. */
  readonly speed: number
}

/** `1`, `0.5`, `4x`, or `max`. */
export const parseSpeed = (text: string): Effect.Effect<number, InvalidRequest> => {
  const factor = text === "max" ? Infinity : /^\d{1,6}(\.\d{1,6})?x?$/.test(text) ? Number.parseFloat(text) : 0
  return factor > 0
    ? Effect.succeed(factor)
    : new InvalidRequest({ path: "--speed", reason: "is not a speed: use 2, 0.5, 10x or max" })
}

const textOf = (event: TurnEvent): string => {
  switch (event.type) {
    case "model.delta":
      return event.data.kind === "text" ? event.data.text : ""
    case "model.tool-call":
      return `[${event.data.toolName} ${JSON.stringify(event.data.arguments)}]\n`
    case "model.reset":
      return "\n[the answer starts again]\n"
    default:
      return ""
  }
}

export const replay = Effect.fn("Cli.replay")(function*({ from, speed, turn: id }: Options) {
  if (from < 1) return yield* new InvalidRequest({ path: "--from", reason: "must be a seq: a whole number from 1" })
  const out = yield* Output
  const journal = yield* Journal
  const { turn } = yield* journal.turn(id)
  if (from > turn.lastSeq) {
    return yield* new InvalidRequest({
      path: "--from",
      reason: `is beyond the last event; the turn's last seq is ${turn.lastSeq}`
    })
  }
  const write = (text: string) => out.write(out.interactive ? printable(text) : text)
  let seq = from - 1
  let clock: number | undefined
  let lastText = "\n"
  while (seq < turn.lastSeq) {
    const page = yield* journal.readAfter(id, seq, pageSize)
    let text = ""
    for (const { json } of page) {
      const event = parse(json)
      seq = event.seq
      const said = textOf(event)
      if (said === "") continue
      const at = Date.parse(event.at)
      const waitMs = clock === undefined ? 0 : (at - clock) / speed
      clock = at
      if (waitMs > 0) {
        yield* write(text)
        text = ""
        yield* Effect.sleep(waitMs)
      }
      text += said
      lastText = said
    }
    yield* write(text)
    if (page.length === 0) break
  }
  if (!lastText.endsWith("\n")) yield* out.write("\n")
  yield* out.note(out.style.dim(
    turn.status === "running"
      ? `Turn ${id} is still running; this is what is committed.`
      : turn.error === undefined
      ? `completed (${turn.finishReason ?? "unknown"})`
      : `failed: ${turn.error.message}`
  ))
})

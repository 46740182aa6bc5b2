/**
 * A conversation on a terminal or over a pipe: each line is a turn. Ctrl-C cancels the turn that runs and keeps what was
 * received; at the prompt it leaves. Over a pipe nothing but answers is written to stdout, and the end of input leaves,
 * with the exit code of the last turn that failed.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SessionId } from "../domain/Ids.ts"
import type { Session } from "../domain/Resources.ts"
import type { SubmitBody } from "../turn/TurnRuntime.ts"
import * as ExitCode from "./ExitCode.ts"
import { Lines } from "./Lines.ts"
import { Output } from "./Output.ts"
import { Reported } from "./Report.ts"
import { runTurn } from "./RunTurn.ts"
import { nextInterrupt } from "./Signal.ts"
import { type ClientError, TurnClient } from "./TurnClient.ts"

const help = `Each line is a message. Ctrl-C cancels the answer, and leaves at the prompt.
  /new    start a new session
  /help   show this
  /quit   leave`

export interface Options {
  readonly session: SessionId | undefined
  readonly turn: Omit<SubmitBody, "message">
}

/** A line, or nothing where the input ended or Ctrl-C was pressed at the prompt. */
const read = Effect.flatMap(
  Lines,
  ({ next }) => Effect.raceFirst(next, Effect.as(nextInterrupt, Option.none<string>()))
)

export const chat = Effect.fn("Cli.chat")(function*(options: Options) {
  const out = yield* Output
  const client = yield* TurnClient
  const { interactive } = yield* Lines
  let failed: string | undefined

  const greet = (id: string) => interactive ? out.note(out.style.dim(`session ${id} (/help for help)`)) : Effect.void
  const enter = ({ id }: Session) => Effect.as(greet(id), id)
  const begin = Effect.flatMap(client.createSession, enter)

  let session = yield* options.session === undefined
    ? begin
    : Effect.flatMap(client.session(options.session), enter)

  const answer = (message: string) =>
    runTurn({ sessionId: session, body: { ...options.turn, message }, json: false }).pipe(
      Effect.asVoid,
      Effect.catchAll((error) => {
        failed = ExitCode.tagOf(error) ?? error._tag
        return out.note(out.style.red(`turnstream: ${error.message}`))
      })
    )

  /** False to leave. */
  const obey = (line: string): Effect.Effect<boolean, ClientError> => {
    switch (line) {
      case "/quit":
        return Effect.succeed(false)
      case "/new":
        return Effect.map(begin, (id) => {
          session = id
          return true
        })
      case "/help":
        return Effect.as(out.note(help), true)
      default:
        return Effect.as(out.note(`No command "${line}". Type /help for those there are.`), true)
    }
  }

  while (true) {
    const line = Option.map(yield* read, (text) => text.trim())
    if (Option.isNone(line)) break
    if (line.value === "") continue
    if (/^\/[a-z]+$/.test(line.value)) {
      if (!(yield* obey(line.value))) break
    } else yield* answer(line.value)
  }
  if (interactive) yield* out.note("")
  else if (failed !== undefined) return yield* new Reported({ code: failed })
})

/**
 * Lines of stdin: a terminal with editing and history, or a pipe.
 *
 * Between two reads stdin is paused, so a pipe waits for its reader; what Node had read already (at most one chunk of
 * 64 KiB) is kept. On a terminal the raw mode is off between two reads: Ctrl-C is then a signal again, and keys typed
 * while an answer streams stay with the terminal.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Readline from "node:readline"

export class Lines extends Context.Tag("turnstream/cli/Lines")<Lines, {
  /** The next line, none at the end. One reader at a time; an interrupted read loses nothing. */
  readonly next: Effect.Effect<Option.Option<string>>
  /** A person types. */
  readonly interactive: boolean
}>() {}

const open = (prompt: string) =>
  Effect.sync(() => {
    const interactive = process.stdin.isTTY === true
    const readline = Readline.createInterface({
      input: process.stdin,
      ...(interactive ? { output: process.stderr, prompt } : {}),
      terminal: interactive,
      crlfDelay: Infinity
    })
    const ready: Array<string> = []
    let ended = false
    let waiting: ((line: Option.Option<string>) => void) | undefined
    const raw = (on: boolean) => {
      if (interactive && !ended) process.stdin.setRawMode(on)
    }
    const settle = (line: Option.Option<string>) => {
      const resume = waiting
      waiting = undefined
      if (!ended) readline.pause()
      raw(false)
      resume?.(line)
    }
    readline.on("line", (line) => {
      if (waiting === undefined) ready.push(line)
      else settle(Option.some(line))
    })
    readline.on("close", () => {
      ended = true
      settle(Option.none())
    })
    // in raw mode Ctrl-C is a key; as a signal it reaches whoever waits for one
    readline.on("SIGINT", () => process.kill(process.pid, "SIGINT"))
    readline.pause()
    const next = Effect.async<Option.Option<string>>((resume) => {
      const line = ready.shift()
      if (line !== undefined) return resume(Effect.succeed(Option.some(line)))
      if (ended) return resume(Effect.succeed(Option.none()))
      waiting = (line) => resume(Effect.succeed(line))
      raw(true)
      if (interactive) readline.prompt()
      else readline.resume()
      return Effect.sync(() => {
        waiting = undefined
        if (!ended) readline.pause()
        raw(false)
      })
    })
    return { next, interactive, readline }
  })

export const layer = (prompt: string): Layer.Layer<Lines> =>
  Layer.scoped(Lines, Effect.acquireRelease(open(prompt), ({ readline }) => Effect.sync(() => readline.close())))

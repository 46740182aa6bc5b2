/**
 * Real processes for tests: the built program in a folder of its own. A test waits for a line, an exit or an event, never
 * for a time; whatever is still alive at the end of its scope is killed, and the folder removed.
 */
import * as Effect from "effect/Effect"
import { createParser } from "eventsource-parser"
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Program {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  /** The first line of stdout that fits, now or later; fails when the program ends without one. */
  readonly line: (pattern: RegExp) => Effect.Effect<RegExpExecArray>
  readonly ended: Effect.Effect<Ended>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Writes to stdin, and closes it. */
  readonly input: (text: string) => Effect.Effect<void>
}

/** A fresh folder, removed at the end of the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "turnstream-process-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

export interface Settings {
  readonly dataDir: string
  readonly env?: Readonly<Record<string, string>>
  /** Arguments of Node itself. */
  readonly nodeArgs?: ReadonlyArray<string>
  /** Written to a file that TURNSTREAM_CONFIG names. */
  readonly config?: unknown
  /** No file may grow beyond this many bytes, as on a full disk; a multiple of 512. A write beyond it fails with EFBIG. */
  readonly fileBytesMax?: number
  /** A network namespace with a loopback of its own, in which it runs. */
  readonly networkSpace?: string
}

/** What the guard against leaving the machine needs to run in a child as well. */
const guardEnv = ["NODE_OPTIONS", "TURNSTREAM_TEST_EGRESS"].flatMap((name) => {
  const value = process.env[name]
  return value === undefined ? [] : [[name, value] as const]
})

const environment = ({ config, dataDir, env = {} }: Settings): Record<string, string> => {
  const path = Path.join(dataDir, "turnstream.json")
  if (config !== undefined) Fs.writeFileSync(path, JSON.stringify(config))
  return {
    PATH: process.env["PATH"] ?? "",
    TURNSTREAM_DATA_DIR: dataDir,
    TURNSTREAM_PORT: "0",
    ...Object.fromEntries(guardEnv),
    ...(config === undefined ? {} : { TURNSTREAM_CONFIG: path }),
    ...env
  }
}

/** Starts `turnstream <args>`; whoever calls this ends it. */
export const open = (args: ReadonlyArray<string>, settings: Settings): Program => {
  const { dataDir, fileBytesMax, networkSpace, nodeArgs = [] } = settings
  const space = networkSpace === undefined ? [] : ["ip", "netns", "exec", networkSpace]
  const command = [...space, process.execPath, ...nodeArgs, main, ...args]
  // the shell counts blocks of 512 bytes, and becomes the program
  const [file = "", ...rest] = fileBytesMax === undefined
    ? command
    : ["sh", "-c", `ulimit -S -f ${fileBytesMax / 512} && exec "$0" "$@"`, ...command]
  const child = spawn(file, rest, { cwd: dataDir, env: environment(settings), stdio: ["pipe", "pipe", "pipe"] })
  let stdout = ""
  let stderr = ""
  let closed: Ended | undefined
  const watchers = new Set<() => void>()
  const changed = () => {
    for (const watcher of watchers) watcher()
  }
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
    changed()
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
    changed()
  })
  child.stdin.on("error", () => {})
  child.on("close", (code, signal) => {
    closed = { code, signal }
    changed()
  })
  const when = <A>(look: () => Effect.Effect<A> | undefined): Effect.Effect<A> =>
    Effect.async((resume) => {
      const watcher = () => {
        const found = look()
        if (found === undefined) return
        watchers.delete(watcher)
        resume(found)
      }
      watchers.add(watcher)
      watcher()
      return Effect.sync(() => watchers.delete(watcher))
    })
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    line: (pattern) =>
      when(() => {
        for (const line of stdout.split("\n").slice(0, -1)) {
          const found = pattern.exec(line)
          if (found !== null) return Effect.succeed(found)
        }
        return closed === undefined
          ? undefined
          : Effect.dieMessage(`ended (${closed.code ?? closed.signal}) without a line like ${pattern}: ${stderr}`)
      }),
    ended: when(() => closed === undefined ? undefined : Effect.succeed(closed)),
    signal: (signal) => Effect.sync(() => void child.kill(signal)),
    input: (text) => Effect.sync(() => void child.stdin.end(text))
  }
}

/** Starts `turnstream <args>`; killed at the end of the scope. */
export const start = (args: ReadonlyArray<string>, settings: Settings) =>
  Effect.acquireRelease(
    Effect.sync(() => open(args, settings)),
    (program) => Effect.zipRight(program.signal("SIGKILL"), program.ended)
  )

/** Runs `turnstream <args>` to its end. */
export const run = (args: ReadonlyArray<string>, settings: Settings, input = "") =>
  Effect.scoped(Effect.gen(function*() {
    const program = yield* start(args, settings)
    yield* program.input(input)
    const { code } = yield* program.ended
    return { code, stdout: program.stdout(), stderr: program.stderr() }
  }))

/** Where a service answers, once it does. */
export const readyOf = (program: Program) =>
  Effect.map(program.line(/^turnstream ready on (http:\S+)$/), ([, url = ""]) => url)

/** Starts the service and waits until it is ready. */
export const serve = (settings: Settings, args: ReadonlyArray<string> = []) =>
  Effect.gen(function*() {
    const program = yield* start(["serve", ...args], settings)
    return { ...program, url: yield* readyOf(program) }
  })

export interface Answer {
  readonly status: number
  // a body is whatever the server sent; each test names what it needs of it
  readonly body: Record<string, unknown>
}

export const ask = (
  url: string,
  method = "GET",
  body?: unknown,
  headers: Readonly<Record<string, string>> = {}
): Effect.Effect<Answer> =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, {
      method,
      signal,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    return { status: response.status, body: text === "" ? {} : JSON.parse(text) as Record<string, unknown> }
  })

export interface SseEvent {
  readonly id: string | undefined
  readonly event: string | undefined
  readonly data: string
}

/** Follows a turn; `seen` grows as events come, `ended` completes when the connection does, rightly or not. */
export const follow = (url: string, turnId: string) => followPath(`${url}/v1/turns/${turnId}/events`)

/** Follows any event stream. */
export const followPath = (address: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function*() {
    const seen: Array<SseEvent> = []
    const waiting = new Set<() => void>()
    const parser = createParser({
      onEvent: ({ data, event, id }) => {
        seen.push({ id, event, data })
        for (const look of waiting) look()
      }
    })
    const response = yield* Effect.promise(() =>
      fetch(address, { headers: { accept: "text/event-stream", ...headers } })
    )
    const reader = response.body?.getReader()
    const decoder = new TextDecoder()
    const read = async () => {
      try {
        for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
          parser.feed(decoder.decode(part.value, { stream: true }))
        }
      } catch {
        // the server was killed: a broken connection is an end too
      }
    }
    const reading = read()
    const when = (isSo: () => boolean) =>
      Effect.async<void>((resume) => {
        const look = () => {
          if (!isSo()) return
          waiting.delete(look)
          resume(Effect.void)
        }
        waiting.add(look)
        look()
      })
    return {
      seen,
      /** Completes when that many events have come. */
      atLeast: (count: number) => when(() => seen.length >= count),
      /** Completes when an event that fits has come; dies where the stream ends without one. */
      until: (fits: (event: SseEvent) => boolean) =>
        Effect.raceFirst(
          when(() => seen.some(fits)),
          Effect.zipRight(
            Effect.promise(() => reading),
            Effect.suspend(() => seen.some(fits) ? Effect.void : Effect.dieMessage(`${address} ended without it`))
          )
        ),
      ended: Effect.promise(() => reading)
    }
  })

/** The text of the deltas among some events. */
export const textOf = (events: ReadonlyArray<SseEvent>): string =>
  events.filter(({ event }) => event === "model.delta").map(({ data }) => {
    const { data: delta } = JSON.parse(data) as { readonly data: { readonly kind: string; readonly text: string } }
    return delta.kind === "text" ? delta.text : ""
  }).join("")

/** Starts a turn on the deterministic provider. */
export const startTurn = (url: string, script: unknown, session?: string) =>
  Effect.gen(function*() {
    const sessionId = session ?? String((yield* ask(`${url}/v1/sessions`, "POST", {})).body["id"])
    const { body } = yield* ask(`${url}/v1/sessions/${sessionId}/turns`, "POST", {
      message: "go",
      options: { script }
    })
    return { sessionId, turnId: String(body["id"]) }
  })

/** The text of the short script's deltas. */
export const scriptText = (deltas: number, bytes = 8): string =>
  Array.from({ length: deltas }, (_, i) => `${String(i).padStart(bytes - 1, "0")} `).join("")

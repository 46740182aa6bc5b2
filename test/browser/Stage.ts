/**
 * A real server for pages to be tried on: the built program as a process of its own, in a fresh folder, on a port that it
 * keeps over restarts. The folder goes with it. Calls of its API are made as its clients make them; waits are for events.
 */
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Session, Turn } from "../../src/domain/Resources.ts"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import type { Script } from "../../src/provider/Script.ts"
import * as Process from "../process/harness.ts"

export type Settings = Omit<Process.Settings, "dataDir">

export interface TurnBody {
  readonly message?: string
  readonly script?: Script
  readonly provider?: string
  readonly model?: string
  readonly onBusy?: "reject" | "queue" | "supersede"
  readonly options?: Readonly<Record<string, unknown>>
}

export interface Api {
  /** Any request, answered as it is. */
  readonly ask: (method: string, path: string, body?: unknown) => Promise<Process.Answer>
  readonly createSession: (body?: object) => Promise<Session>
  /** A turn whose start was accepted, or refused with a turn that records it. */
  readonly start: (sessionId: string, body?: TurnBody) => Promise<Turn>
  readonly turn: (turnId: string) => Promise<Turn>
  readonly turns: (sessionId: string) => Promise<ReadonlyArray<Turn>>
  readonly events: (turnId: string) => Promise<ReadonlyArray<TurnEvent>>
  readonly cancel: (turnId: string) => Promise<Turn>
  readonly retry: (turnId: string) => Promise<Turn>
  readonly resume: (turnId: string) => Promise<Turn>
  /** Waits until an event of the turn fits; fails where the turn ends without. */
  readonly until: (turnId: string, fits: (event: TurnEvent) => boolean) => Promise<void>
  /** Waits for the turn's end. */
  readonly ended: (turnId: string) => Promise<Turn>
  /** A turn from its start to its end. */
  readonly run: (sessionId: string, body?: TurnBody) => Promise<Turn>
}

export interface Stage {
  readonly url: string
  readonly dataDir: string
  readonly api: Api
  readonly stderr: () => string
  /** Returns when the process is gone. */
  readonly kill9: () => Promise<void>
  /** Starts it again on the same folder and port, with other settings where they are given. */
  readonly restart: (settings?: Settings) => Promise<void>
  /** Ends it and removes its folder. */
  readonly stop: () => Promise<void>
}

/** The most that one page of a list holds. */
const pageMax = 10_000

const isTerminal = ({ type }: TurnEvent) => type === "turn.completed" || type === "turn.failed"

const makeApi = (url: string, token: string | undefined): Api => {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const ask: Api["ask"] = (method, path, body) => Effect.runPromise(Process.ask(url + path, method, body, headers))

  const resource = async <A>(method: string, path: string, body?: unknown): Promise<A> => {
    const answer = await ask(method, path, body)
    if (answer.status < 200 || answer.status > 299) {
      throw new Error(`${method} ${path} is answered ${answer.status}: ${JSON.stringify(answer.body)}`)
    }
    // encoded by the server with the schema of this type
    return answer.body as A
  }

  const items = async <A>(path: string): Promise<ReadonlyArray<A>> => {
    const all: Array<A> = []
    for (let after = "";;) {
      const page = await resource<{ readonly items: ReadonlyArray<A>; readonly nextCursor?: string | number }>(
        "GET",
        `${path}?limit=${pageMax}${after}`
      )
      all.push(...page.items)
      if (page.nextCursor === undefined) return all
      after = `&after=${page.nextCursor}`
    }
  }

  const turn: Api["turn"] = (turnId) => resource("GET", `/v1/turns/${turnId}`)
  const command = (verb: string) => (turnId: string) => resource<Turn>("POST", `/v1/turns/${turnId}/${verb}`)

  const start: Api["start"] = async (sessionId, { message = "go", options, script, ...rest } = {}) => {
    const body = { message, ...rest, options: { ...options, ...(script === undefined ? {} : { script }) } }
    const answer = await ask("POST", `/v1/sessions/${sessionId}/turns`, body)
    const recorded = answer.status === 422 ? answer.body["turnId"] : undefined
    if (typeof recorded === "string") return turn(recorded)
    if (answer.status !== 202) throw new Error(`A start is answered ${answer.status}: ${JSON.stringify(answer.body)}`)
    return answer.body as unknown as Turn
  }

  const until: Api["until"] = (turnId, fits) =>
    Effect.runPromise(Effect.flatMap(
      Process.followPath(`${url}/v1/turns/${turnId}/events`, headers),
      (stream) => stream.until(({ data, id }) => id !== undefined && fits(JSON.parse(data) as TurnEvent))
    ))

  const ended: Api["ended"] = async (turnId) => {
    await until(turnId, isTerminal)
    return turn(turnId)
  }

  return {
    ask,
    createSession: (body = {}) => resource("POST", "/v1/sessions", body),
    start,
    turn,
    turns: (sessionId) => items(`/v1/sessions/${sessionId}/turns`),
    events: (turnId) => items(`/v1/turns/${turnId}/events`),
    cancel: command("cancel"),
    retry: command("retry"),
    resume: command("resume"),
    until,
    ended,
    run: async (sessionId, body) => ended((await start(sessionId, body)).id)
  }
}

/** Starts a server; whoever calls this stops it. */
export const open = async (settings: Settings = {}): Promise<Stage> => {
  const dataDir = mkdtempSync(join(tmpdir(), "turnstream-stage-"))
  const begin = async (given: Settings, port: string) => {
    const program = Process.open(["serve"], { ...given, dataDir, env: { TURNSTREAM_PORT: port, ...given.env } })
    const address = await Effect.runPromise(Process.readyOf(program))
    return { program, address }
  }
  const { address: url, program: first } = await begin(settings, "0").catch((error: unknown) => {
    rmSync(dataDir, { recursive: true, force: true })
    throw error
  })
  let program = first

  const kill9 = async () => {
    program.child.kill("SIGKILL")
    await Effect.runPromise(program.ended)
  }

  return {
    url,
    dataDir,
    api: makeApi(url, settings.env?.["TURNSTREAM_TOKEN"]),
    stderr: () => program.stderr(),
    kill9,
    restart: async (again = settings) => {
      ;({ program } = await begin(again, new URL(url).port))
    },
    stop: async () => {
      await kill9()
      rmSync(dataDir, { recursive: true, force: true })
    }
  }
}

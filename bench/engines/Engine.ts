/** What is measured: an engine as a program behind HTTP, with the little that the loads need of it. */
import type { Program } from "../kit/Program.ts"
import type { Delta, Seen } from "./TurnReader.ts"
import type { Script, Upstream } from "./Upstream.ts"

export const names = ["floor", "relaxed", "full"] as const
export type EngineName = typeof names[number]

/** `direct` is the client at the upstream without an engine: what the benchmark itself costs. */
export type SubjectName = EngineName | "direct"

export interface Message {
  readonly role: "user" | "assistant"
  readonly text: string
}

export interface Turn extends Script {
  readonly session: string
  readonly onDelta?: (delta: Delta) => void
}

export interface Service {
  readonly program: Program
  /** A session for a turn to come; made ahead, so that no turn pays for it. */
  readonly session: () => Promise<string>
  /** A session with these messages. */
  readonly seeded: (messages: ReadonlyArray<Message>) => Promise<string>
  readonly turn: (turn: Turn) => Promise<Seen>
  /** Ends the running turn of a session. */
  readonly cancel: (session: string) => Promise<void>
  /** The text of the session's last message. */
  readonly lastText: (session: string) => Promise<string>
}

export interface Engine {
  readonly name: EngineName
  /** Its database is in `folder`, where another life of it may have left one. */
  readonly start: (upstream: Upstream, folder: string) => Promise<Service>
}

/** What the user of every load says. */
export const question = "please go on"

/** A history of short messages, user and assistant in turns. */
export const history = (length: number): ReadonlyArray<Message> =>
  Array.from({ length }, (_, i) => ({
    role: i % 2 === 0 ? "user" : "assistant",
    text: `message ${i} of some hundred characters, as people write them: the quick brown fox jumps over the lazy dog`
  }))

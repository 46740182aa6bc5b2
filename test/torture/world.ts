/**
 * What the kill loop's clients know: where the service is, what they were promised, what they saw. All of it outlives
 * the service's process; `check.ts` holds it against what the next process answers.
 */
import { PCGRandom } from "effect/Utils"
import type { SeenEvent, Violation } from "../../src/domain/Invariants.ts"

export interface ShortScript {
  readonly deltas: number
  readonly bytes: number
  readonly delayMs: number
  readonly burst: number
}

export interface Submit {
  readonly sessionId: string
  /** Unique: the user message by which a turn is known again. */
  readonly message: string
  readonly key: string | undefined
  readonly body: { readonly message: string; readonly options: { readonly script: ShortScript } }
}

/** One reader of one stream over all its connections. */
export interface Reader {
  readonly kind: "turn" | "session"
  readonly id: string
  /** In order, over all connections. */
  readonly seen: Array<SeenEvent & { readonly turnId: string; readonly id: string }>
  /** Saw the terminal event, or left for good. */
  done: boolean
  /** How it sees that something came. */
  changed: () => void
}

/** Chance of one era, from its seed. */
export class Chance {
  readonly #random: PCGRandom
  constructor(seed: number) {
    this.#random = new PCGRandom(seed)
  }
  /** A whole number from `min` to `max`. */
  between(min: number, max: number): number {
    return min + this.#random.integer(max - min + 1)
  }
  is(part: number): boolean {
    return this.#random.number() < part
  }
  pick<A>(items: ReadonlyArray<A>): A | undefined {
    return items[this.between(0, items.length - 1)]
  }
}

export class World {
  readonly chance: Chance
  /** The sessions that are talked in; older ones are only checked at the end of the era. */
  active: ReadonlyArray<string> = []
  readonly sessions: Array<string> = []
  readonly submits = new Map<string, Submit>()
  /** Turn ids that an answer named, by user message or (children) by parent: they must be there for ever. */
  readonly acknowledged = new Map<string, string>()
  /** Sent, and the answer never came. */
  unanswered: Array<Submit> = []
  /** Messages that an answer refused: they must not be there. */
  readonly refused = new Set<string>()
  /** Turns that an answer or event called ended, and their last seq. */
  readonly ended = new Map<string, number>()
  readonly readers: Array<Reader> = []
  /** Digest of a turn's journal, once it has ended and passed every check. */
  readonly digests = new Map<string, string>()
  readonly violations: Array<Violation> = []
  /** Connections that are read from now. */
  readonly legs = new Set<Promise<void>>()
  stopping = false
  /** Whether a restart goes on with the turns that it closes. */
  resumes = false
  #count = 0
  #url: string | undefined
  #waiting: Array<(url: string) => void> = []

  constructor(seed: number) {
    this.chance = new Chance(seed)
  }

  next(): number {
    return ++this.#count
  }

  /** Whether the process that answers at `url` is still the one that is meant to. */
  isAt(url: string): boolean {
    return this.#url === url
  }

  /** Where the service is, now or once it is ready again. */
  url(): Promise<string> {
    return this.#url === undefined
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve(this.#url)
  }

  up(url: string): void {
    this.#url = url
    for (const resolve of this.#waiting.splice(0)) resolve(url)
  }

  down(): void {
    this.#url = undefined
  }

  violate(promise: string, turnId: string, what: string, seq?: number): void {
    this.violations.push({ promise, turnId, seq, what })
  }
}

export interface HttpAnswer {
  readonly status: number
  readonly text: string
  // what it holds is what the caller looks for
  readonly body: Record<string, unknown>
}

/** Undefined where the connection broke before the whole answer was there. */
export const request = async (
  url: string,
  method = "GET",
  body?: unknown,
  headers: Readonly<Record<string, string>> = {}
): Promise<HttpAnswer | undefined> => {
  try {
    const response = await fetch(url, {
      method,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    return { status: response.status, text, body: text === "" ? {} : JSON.parse(text) as Record<string, unknown> }
  } catch {
    return undefined
  }
}

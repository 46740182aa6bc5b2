/**
 * A script as a lazy run of operations: what `Deterministic.ts` emits, in order, for one request.
 *
 * Invariants: pure (no clock, no chance), so a run is the same each time; nothing is built ahead of the reader, so an
 * endless script costs no memory. A resumed request ends with the text already said: that many characters of the text
 * output are passed over, with the waits, reasoning, calls and failures that came before them, and a failure or a silence
 * right behind them: it is what cut the answer. A delta which the prefix cuts gives its rest.
 *
 * A generator and not a Stream: a step costs well under a microsecond, and the emitter decides alone where chunks end.
 */
import { type Part, textOf } from "../domain/Message.ts"
import { type ProviderFailure, providerFailure } from "../domain/TurnError.ts"
import type { DeltaKind } from "../domain/TurnEvent.ts"
import * as UsageSum from "../domain/UsageSum.ts"
import type { ProviderEvent, ProviderRequest } from "./Provider.ts"
import type { Script, ShortScript, Step } from "./Script.ts"

export type Operation =
  | ProviderEvent
  /** Deliver what there is, then let this many milliseconds pass. */
  | { readonly _tag: "Wait"; readonly ms: number }
  /** End the chunk here. */
  | { readonly _tag: "Flush" }
  | { readonly _tag: "Fail"; readonly error: ProviderFailure }
  | { readonly _tag: "Hang" }

/** Characters of a tool call's arguments in one delta. */
const toolInputChars = 16

/** A word with the blank after it; a longer word in pieces of 16 characters. Every character is in one piece. */
const word = /\S{1,16}\s?|\s{1,16}/gu

/** Deltas emitted and characters still to pass over, for one request. */
class Run {
  deltas = 0
  skip: number
  readonly resumed: boolean
  readonly providerId: string
  readonly request: ProviderRequest

  constructor(providerId: string, request: ProviderRequest) {
    const last = request.messages.at(-1)
    this.providerId = providerId
    this.request = request
    this.skip = last?.role === "assistant" ? textOf(last.parts).length : 0
    this.resumed = this.skip > 0
  }

  /** Whether a failure or a silence here is the one that cut the parent: a resume goes on behind it. */
  get met() {
    return this.resumed && this.deltas === 0
  }

  /** Whether the text of the prefix is not yet used up: what comes now was said before. */
  get said() {
    return this.skip > 0
  }

  delta(kind: DeltaKind, text: string, call?: { readonly toolCallId: string; readonly toolName: string }): Operation {
    this.deltas++
    return { _tag: "Delta", kind, text, ...call }
  }

  *text(text: string): Generator<Operation> {
    if (this.skip >= text.length) {
      this.skip -= text.length
      return
    }
    const rest = this.skip === 0 ? text : text.slice(this.skip)
    this.skip = 0
    yield this.delta("text", rest)
  }

  /** How many whole repetitions of `chars` characters the prefix covers; they are passed over at once. */
  passOver(chars: number, repeat: number): number {
    const whole = Math.min(repeat, Math.floor(this.skip / chars))
    this.skip -= whole * chars
    return whole
  }

  usage(): Operation {
    const usage = UsageSum.make({ inputTokens: this.request.contextTokens, outputTokens: this.deltas })
    return { _tag: "Usage", usage }
  }
}

/** Pieces of `size` characters; one longer where the cut would part a surrogate pair. */
function* pieces(text: string, size: number): Generator<string> {
  for (let start = 0; start < text.length;) {
    let end = Math.min(start + size, text.length)
    const code = text.charCodeAt(end - 1)
    if (end < text.length && code >= 0xd800 && code <= 0xdbff) end++
    yield text.slice(start, end)
    start = end
  }
}

function* short(run: Run, script: ShortScript): Generator<Operation> {
  const { burst = 1, bytes = 8, delayMs = 0, deltas } = script
  for (let index = 0; index < deltas; index++) {
    if (index % burst === 0) {
      if (delayMs > 0 && !run.said) yield { _tag: "Wait", ms: delayMs }
      else if (burst > 1) yield { _tag: "Flush" }
    }
    yield* run.text(String(index).padStart(bytes - 1, "0") + " ")
  }
  yield run.usage()
  yield { _tag: "Finish", reason: "stop" }
}

type StepWith<K extends string> = Extract<Step, { readonly [Key in K]: unknown }>

function* say(run: Run, step: StepWith<"say">): Generator<Operation> {
  if (step.say === "") return
  const repeat = step.repeat ?? 1
  for (let done = run.passOver(step.say.length, repeat); done < repeat; done++) {
    if (step.bytes === undefined) yield* run.text(step.say)
    else for (const piece of pieces(step.say, step.bytes)) yield* run.text(piece)
  }
}

function* endless(run: Run, step: StepWith<"endless">): Generator<Operation> {
  run.passOver(step.endless.length, Number.MAX_SAFE_INTEGER)
  for (;;) {
    yield* run.text(step.endless)
    if (step.everyMs !== undefined && step.everyMs > 0) yield { _tag: "Wait", ms: step.everyMs }
  }
}

function* toolCall(run: Run, step: StepWith<"toolCall">, number: number): Generator<Operation> {
  const { arguments: args = {}, id, name } = step.toolCall
  const call = { toolCallId: id ?? `call_${number}`, toolName: name }
  const json = JSON.stringify(args)
  const shown = step.cut === true ? json.slice(0, Math.ceil(json.length / 2)) : json
  for (const piece of pieces(shown, toolInputChars)) yield run.delta("tool-input", piece, call)
  if (step.cut !== true) yield { _tag: "ToolCall", ...call, arguments: args }
}

const reported = (step: Exclude<StepWith<"usage">["usage"], "none">): Operation => ({
  _tag: "Usage",
  usage: UsageSum.make({
    inputTokens: step.inputTokens ?? null,
    outputTokens: step.outputTokens ?? null,
    cacheReadTokens: step.cacheReadTokens ?? null,
    cacheWriteTokens: step.cacheWriteTokens ?? null,
    reasoningTokens: step.reasoningTokens ?? null,
    totalTokens: step.totalTokens ?? null
  })
})

const failure = (run: Run, { kind, retryAfterMs, status }: StepWith<"fail">["fail"]): Operation => ({
  _tag: "Fail",
  error: providerFailure(run.providerId, kind, {
    detail: "the script says so",
    ...(status === undefined ? {} : { status }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs })
  })
})

function* steps(run: Run, list: ReadonlyArray<Step>): Generator<Operation> {
  let usageDue = !list.some((step) => "usage" in step)
  let calls = 0
  let called = false
  let ended = false
  const finish = function*(reason: Extract<ProviderEvent, { _tag: "Finish" }>["reason"]): Generator<Operation> {
    if (usageDue) yield run.usage()
    usageDue = false
    ended = true
    yield { _tag: "Finish", reason }
  }
  for (const step of list) {
    if ("say" in step) yield* say(run, step)
    else if ("big" in step) yield* run.text("x".repeat(step.big))
    else if ("endless" in step) yield* endless(run, step)
    else if ("usage" in step) {
      if (step.usage !== "none") yield reported(step.usage)
    } else if ("end" in step) {
      if (step.end === "none") return
      yield* finish(step.end)
    } else if ("toolCall" in step) {
      calls++
      if (run.said) continue
      yield* toolCall(run, step, calls)
      if (step.cut !== true) called = true
    } else if (run.said) continue
    else if ("reason" in step) {
      for (const piece of pieces(step.reason, step.bytes ?? step.reason.length)) yield run.delta("reasoning", piece)
    } else if ("wait" in step) yield { _tag: "Wait", ms: step.wait }
    else if (run.met) continue
    else if ("hang" in step) yield { _tag: "Hang" }
    else if (run.request.attempt <= (step.fail.attempts ?? Number.MAX_SAFE_INTEGER)) yield failure(run, step.fail)
  }
  if (!ended) yield* finish(called ? "tool-calls" : "stop")
}

/** The operations of a script for one request. */
export const fromScript = (providerId: string, request: ProviderRequest, script: Script): Generator<Operation> => {
  const run = new Run(providerId, request)
  return "steps" in script ? steps(run, script.steps) : short(run, script)
}

/** What a client sent, as text: its words, or the results of the tools that it ran. */
const spoken = (parts: ReadonlyArray<Part>): string =>
  textOf(parts) || parts.map((part) =>
    part.type !== "tool-result"
      ? ""
      : typeof part.content === "string"
      ? part.content
      : JSON.stringify(part.content) ?? ""
  ).join(" ")

/** The newest user message, said again word by word. */
export function* echo(providerId: string, request: ProviderRequest): Generator<Operation> {
  const run = new Run(providerId, request)
  const message = request.messages.findLast((candidate) => candidate.role === "user")
  for (const [piece] of spoken(message?.parts ?? []).matchAll(word)) yield* run.text(piece)
  yield run.usage()
  yield { _tag: "Finish", reason: "stop" }
}

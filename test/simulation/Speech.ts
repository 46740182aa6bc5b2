/** What a steered provider says next, well behaved or not. Each piece is named after its call, so that none is like another. */
import { providerFailure, ProviderFailureKind } from "../../src/domain/TurnError.ts"
import type { FinishReason } from "../../src/domain/TurnEvent.ts"
import * as UsageSum from "../../src/domain/UsageSum.ts"
import type { ProviderEvent } from "../../src/provider/Provider.ts"
import type { Call } from "./SteeredProvider.ts"
import type { Step } from "./Steps.ts"

const kinds = ProviderFailureKind.literals
const reasons: ReadonlyArray<FinishReason> = [
  "stop",
  "stop",
  "stop",
  "length",
  "tool-calls",
  "content-filter",
  "unknown"
]

const at = <A>(list: ReadonlyArray<A>, pick: number): A | undefined => list[pick % list.length]

const usage = (pick: number): ProviderEvent => ({
  _tag: "Usage",
  usage: UsageSum.make({ inputTokens: pick % 997, outputTokens: pick % 991 })
})

const piece = (call: Call, pick: number): ProviderEvent => {
  const place = call.said.length
  switch (pick % 12) {
    case 0:
      return { _tag: "Delta", kind: "reasoning", text: `(${call.number}.${place}) ` }
    case 1:
      return { _tag: "Delta", kind: "tool-input", text: `{${place}`, toolCallId: `c${call.number}`, toolName: "f" }
    case 2:
      return { _tag: "ToolCall", toolCallId: `c${call.number}.${place}`, toolName: "f", arguments: { place } }
    case 3:
      return usage(pick)
    default:
      return { _tag: "Delta", kind: "text", text: `${call.number}.${place} ` }
  }
}

const text = (call: Call): ProviderEvent => ({
  _tag: "Delta",
  kind: "text",
  text: `${call.number}.${call.said.length} `
})

const say = (call: Call, ...events: ReadonlyArray<ProviderEvent>) => call.tell({ _tag: "Events", events })

export const chunk = (call: Call, { picks: [, count, pick] }: Step): string => {
  const pieces = 1 + count % 4
  for (let index = 0; index < pieces; index++) say(call, piece(call, pick + index * 7))
  return `call ${call.number} says ${pieces} pieces`
}

export const finish = (call: Call, { picks: [, pick, reported] }: Step): string => {
  const reason = at(reasons, pick) ?? "stop"
  say(call, ...(reported % 5 === 0 ? [] : [usage(reported)]), { _tag: "Finish", reason })
  if (reported % 7 === 0) say(call, usage(reported + 1))
  call.tell({ _tag: "End" })
  call.stalled = true
  return `call ${call.number} finishes with ${reason}`
}

export const fail = (call: Call, { picks: [, pick, wait] }: Step): string => {
  const kind = at(kinds, pick) ?? "server"
  call.tell({
    _tag: "Fail",
    error: providerFailure("steered", kind, wait % 4 === 0 ? { retryAfterMs: wait % 90_000 } : {})
  })
  call.stalled = true
  return `call ${call.number} fails: ${kind}`
}

/** Ways to break the contract. Most leave the call to the engine's own limits. */
const faults: ReadonlyArray<readonly [name: string, commit: (call: Call, pick: number) => void]> = [
  ["stalls", () => undefined],
  ["ends twice", (call) => {
    say(call, { _tag: "Finish", reason: "stop" }, { _tag: "Finish", reason: "length" })
    call.tell({ _tag: "End" })
  }],
  ["goes on after its end", (call) => {
    say(call, { _tag: "Finish", reason: "stop" })
    say(call, text(call))
    call.tell({ _tag: "End" })
  }],
  ["says the same for ever", (call) => {
    call.endless = true
    say(call, text(call))
  }],
  ["never lets go", (call) => {
    call.sticky = true
    say(call, text(call))
  }],
  ["reports usage twice", (call, pick) => {
    say(call, usage(pick), text(call), usage(pick + 1))
    say(call, { _tag: "Finish", reason: "stop" })
    call.tell({ _tag: "End" })
  }],
  ["ends without a finish", (call) => call.tell({ _tag: "End" })],
  ["crashes", (call) => call.tell({ _tag: "Die" })],
  ["interrupts itself", (call) => call.tell({ _tag: "Interrupt" })],
  ["reports nonsense", (call) => say(call, { _tag: "Usage", usage: { ...UsageSum.unknown, outputTokens: -1 } })],
  ["says too much", (call) => say(call, { _tag: "Delta", kind: "text", text: "x".repeat(3_000) })],
  ["finishes and stays", (call) => say(call, { _tag: "Finish", reason: "stop" })]
]

export const misbehave = (call: Call, { picks: [, pick, more] }: Step): string => {
  const [name, commit] = at(faults, pick) ?? ["stalls", () => undefined]
  commit(call, more)
  call.stalled = true
  return `call ${call.number} ${name}`
}

/**
 * Keys out of what a provider says: a vendor, or a proxy before it, that echoes the request would otherwise have its key
 * journaled and shown. Nothing that was said is held back, so what stands between two deltas is known when the second one
 * comes: of a key that is spread over deltas at most the first `runMin - 1` characters get through, of one that stands
 * whole in an event none.
 *
 * Costs a look at each character of a delta; only a run of characters that may be a key's is looked up.
 */
import * as Redacted from "effect/Redacted"
import type { Keys } from "./Family.ts"
import type { ProviderEvent } from "./Provider.ts"
import { isObject } from "./wire/Json.ts"

/** So many characters of a key in a row are it. */
const runMin = 8

/** A shorter text is no key but a placeholder (`lm-studio`), and may stand in any answer. */
const keyCharsMin = 12

const mask = "***"

interface Guard {
  /** `text` behind `before`, with what is of a key masked. */
  readonly masked: (text: string, before: string) => string
}

const guardOf = (key: string): Guard => {
  // a header carries Latin-1 and no more
  const isOfKey = new Uint8Array(256)
  for (let index = 0; index < key.length; index++) {
    const code = key.charCodeAt(index)
    if (code < 256) isOfKey[code] = 1
  }

  /** Whether any run is long enough to be looked up: hardly ever in an answer that holds no key. */
  const mayHold = (text: string): boolean => {
    let run = 0
    for (let index = 0; index < text.length; index++) {
      run = isOfKey[text.charCodeAt(index)] === 1 ? run + 1 : 0
      if (run >= runMin) return true
    }
    return false
  }

  const masked = (text: string, before: string): string => {
    const all = before + text
    if (!mayHold(all)) return text
    let out = ""
    let from = before.length
    for (let at = 0; at + runMin <= all.length;) {
      if (!key.includes(all.slice(at, at + runMin))) {
        at++
        continue
      }
      let end = at + runMin
      while (end < all.length && key.includes(all.slice(end - runMin + 1, end + 1))) end++
      if (end > from) {
        out += all.slice(from, Math.max(from, at)) + mask
        from = end
      }
      at = end
    }
    return out + all.slice(from)
  }

  return { masked }
}

/** Every text in a JSON value masked; names of fields are the wire's, not the vendor's words. */
const inValue = (value: unknown, masked: (text: string) => string): unknown => {
  if (typeof value === "string") return masked(value)
  if (Array.isArray(value)) return value.map((item) => inValue(item, masked))
  return isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([name, item]) => [masked(name), inValue(item, masked)]))
    : value
}

/** `emit` for the answer to a call that carried these keys. */
export const make = (keys: Keys, emit: (event: ProviderEvent) => void): (event: ProviderEvent) => void => {
  const guards = Array.from(keys.values(), (key) => Redacted.value(key))
    .filter(({ length }) => length >= keyCharsMin)
    .map(guardOf)
  if (guards.length === 0) return emit

  const masked = (text: string, before = ""): string =>
    guards.reduce((shown, guard) => guard.masked(shown, before), text)
  /** The last characters of each kind of delta, as they came. */
  const tails: Record<"text" | "reasoning" | "tool-input", string> = { "text": "", "reasoning": "", "tool-input": "" }

  return (event) => {
    switch (event._tag) {
      case "Delta": {
        const before = tails[event.kind]
        tails[event.kind] = (before + event.text).slice(1 - runMin)
        const text = masked(event.text, before)
        return emit({
          ...event,
          text,
          ...(event.toolName === undefined ? {} : { toolName: masked(event.toolName) }),
          ...(event.toolCallId === undefined ? {} : { toolCallId: masked(event.toolCallId) })
        })
      }
      case "ToolCall":
        return emit({
          ...event,
          toolCallId: masked(event.toolCallId),
          toolName: masked(event.toolName),
          arguments: inValue(event.arguments, masked)
        })
      case "Usage":
        return emit(event.raw === undefined ? event : { ...event, raw: inValue(event.raw, masked) })
      case "Finish":
        return emit(event.raw === undefined ? event : { ...event, raw: masked(event.raw) })
    }
  }
}

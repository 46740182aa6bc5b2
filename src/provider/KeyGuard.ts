/**
 * Keys out of what a provider says: a vendor, or a proxy before it, that echoes the request would otherwise have its key
 * journaled and shown. A good answer is never changed: only what begins like the key and goes on like it for most of its
 * length is the key, and not some words that also stand in it.
 *
 * Nothing that was said is held back. So of a key that stands whole in an event nothing gets through, and of one that is
 * spread over deltas its beginning does: two fifths of it stay unknown. Costs a search per delta and key.
 */
import * as Redacted from "effect/Redacted"
import type { Keys } from "./Family.ts"
import type { ProviderEvent } from "./Provider.ts"
import { isObject } from "./wire/Json.ts"

/** A shorter text is no key but a placeholder (`lm-studio`), and may stand in any answer. */
const keyCharsMin = 12

/** Characters from a key's beginning on that are the key: more than the public beginning of any vendor's keys. */
const knownFrom = (key: string): number => Math.min(key.length, Math.max(16, Math.ceil(key.length * 0.6)))

const mask = "***"

interface Guard {
  /** `text` behind `before`, with what is of the key masked. */
  readonly masked: (text: string, before: string) => string
}

const guardOf = (key: string): Guard => {
  const beginning = key.slice(0, knownFrom(key))
  return {
    masked: (text, before) => {
      const all = before + text
      let out = ""
      let from = before.length
      for (let at = all.indexOf(beginning); at >= 0; at = all.indexOf(beginning, at + 1)) {
        let end = at + beginning.length
        while (end < all.length && end - at < key.length && all[end] === key[end - at]) end++
        if (end <= from) continue
        out += all.slice(from, Math.max(from, at)) + mask
        from = end
      }
      return out + all.slice(from)
    }
  }
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
  const guarded = Array.from(keys.values(), (key) => Redacted.value(key)).filter(({ length }) => length >= keyCharsMin)
  const guards = guarded.map(guardOf)
  const tailChars = Math.max(0, ...guarded.map(({ length }) => length)) - 1
  if (guards.length === 0) return emit

  const masked = (text: string, before = ""): string =>
    guards.reduce((shown, guard) => guard.masked(shown, before), text)
  /** The last characters of each kind of delta, as they came. */
  const tails: Record<"text" | "reasoning" | "tool-input", string> = { "text": "", "reasoning": "", "tool-input": "" }

  return (event) => {
    switch (event._tag) {
      case "Delta": {
        const before = tails[event.kind]
        tails[event.kind] = (before + event.text).slice(-tailChars)
        const text = masked(event.text, before)
        // nearly every delta: nothing is made anew for it
        if (text === event.text && event.toolCallId === undefined && event.toolName === undefined) return emit(event)
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
      case "Accepted":
        return emit(event.model === undefined ? event : { ...event, model: masked(event.model) })
      case "Usage":
        return emit(event.raw === undefined ? event : { ...event, raw: inValue(event.raw, masked) })
      case "Finish":
        return emit(event.raw === undefined ? event : { ...event, raw: masked(event.raw) })
    }
  }
}

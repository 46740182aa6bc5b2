/**
 * Keys out of what a provider says: a vendor, or a proxy before it, that echoes the request would otherwise have its key
 * journaled and shown. A key that stands whole in an event is masked; one that is spread over several deltas is not
 * recognized, as nothing that was said may be held back. Costs one search per delta and key.
 */
import * as Redacted from "effect/Redacted"
import type { Keys } from "./Family.ts"
import type { ProviderEvent } from "./Provider.ts"

/** A shorter text is no key, and stands in answers by chance. */
const keyCharsMin = 8

const mask = "***"

/** `emit` for the answer to a call that carried these keys. */
export const make = (keys: Keys, emit: (event: ProviderEvent) => void): (event: ProviderEvent) => void => {
  const values = Array.from(keys.values(), (key) => Redacted.value(key)).filter(({ length }) => length >= keyCharsMin)
  if (values.length === 0) return emit
  return (event) => {
    const said = event._tag === "Delta" ? event.text : JSON.stringify(event)
    if (!values.some((value) => said.includes(value))) return emit(event)
    const masked = values.reduce((text, value) => text.replaceAll(value, mask), said)
    emit(event._tag === "Delta" ? { ...event, text: masked } : JSON.parse(masked) as ProviderEvent)
  }
}

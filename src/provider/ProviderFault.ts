/** A fault of the wire as the failure of one provider: its id, what to set, and nothing that may not be shown. Pure. */
import * as Redacted from "effect/Redacted"
import { textOf } from "../domain/Message.ts"
import { type ProviderFailure, providerFailure } from "../domain/TurnError.ts"
import type { Keys } from "./Family.ts"
import type { ProviderRequest } from "./Provider.ts"
import type { ProviderFacts } from "./ProviderFacts.ts"
import * as Scrub from "./Scrub.ts"
import type { Fault } from "./wire/Fault.ts"

/** Of a vendor's message; the rest is cut. */
const detailMax = 500

/** What a failure of this call may not repeat. A vendor quotes the end of a conversation, if any of it. */
export const hiddenIn = (keys: Keys, request: ProviderRequest): ReadonlyArray<Scrub.Hidden> => [
  ...Array.from(keys.values(), (key) => Scrub.key(Redacted.value(key))),
  Scrub.prompt(request.system ?? ""),
  ...request.messages.slice(-2).map(({ parts }) => Scrub.prompt(textOf(parts)))
]

const clip = (text: string): string => (text.length > detailMax ? `${text.slice(0, detailMax)}...` : text)

const advice = ({ env, id }: Pick<ProviderFacts, "env" | "id">, kind: Fault["kind"]): string | undefined => {
  if (kind !== "authentication") return undefined
  return env.length > 0
    ? `the key is read from ${env.join(", ")}`
    : `no key was sent: name its variable in providers[].apiKeyEnv of "${id}"`
}

/** `requestId`: the id that the answer's headers gave, where the fault has none of its own. */
export const toFailure = (
  facts: Pick<ProviderFacts, "env" | "id">,
  fault: Fault,
  hidden: ReadonlyArray<Scrub.Hidden>,
  requestId: string | undefined
): ProviderFailure => {
  const { detail, kind, requestId: own, ...rest } = fault
  const id = own ?? requestId
  const said = [detail === undefined ? undefined : clip(Scrub.without(detail, hidden)), advice(facts, kind)]
    .filter((text) => text !== undefined)
  return providerFailure(facts.id, kind, {
    ...rest,
    ...(said.length === 0 ? {} : { detail: said.join("; ") }),
    ...(id === undefined ? {} : { requestId: clip(Scrub.without(id, hidden)) })
  })
}

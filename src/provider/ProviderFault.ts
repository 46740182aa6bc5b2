/** A fault of the wire as the failure of one provider: its id, what to set, and nothing that may not be shown. Pure. */
import * as Redacted from "effect/Redacted"
import type { Part } from "../domain/Message.ts"
import { type ProviderFailure, providerFailure } from "../domain/TurnError.ts"
import type { Keys } from "./Family.ts"
import type { ProviderRequest } from "./Provider.ts"
import type { ProviderFacts } from "./ProviderFacts.ts"
import * as Scrub from "./Scrub.ts"
import type { Fault } from "./wire/Fault.ts"

/** Of a vendor's message; the rest is cut. */
const detailMax = 500

/** Of it so much is looked at: a vendor may send megabytes, and what is masked takes less room. */
const lookedMax = 1_024

const jsonOf = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value) ?? ""

const promptIn = (part: Part): string => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return part.text
    case "tool-call":
      return jsonOf(part.arguments)
    case "tool-result":
      return jsonOf(part.content)
  }
}

/** The newest of a conversation, as much as is looked through. */
const promptOf = (messages: ProviderRequest["messages"]): string => {
  const texts: Array<string> = []
  let chars = 0
  for (let index = messages.length - 1; index >= 0 && chars < Scrub.hiddenCharsMax; index--) {
    const text = (messages[index]?.parts ?? []).map(promptIn).join("\n")
    texts.push(text)
    chars += text.length
  }
  return texts.reverse().join("\n")
}

/** What a failure of this call may not repeat. A vendor quotes any part of a conversation. */
export const hiddenIn = (keys: Keys, request: ProviderRequest): ReadonlyArray<Scrub.Hidden> => [
  ...Array.from(keys.values(), (key) => Scrub.key(Redacted.value(key))),
  Scrub.prompt(request.system ?? ""),
  Scrub.prompt(promptOf(request.messages))
]

/** Words of a vendor as far as they may be shown. */
export const shownOf = (text: string, hidden: ReadonlyArray<Scrub.Hidden>): string => {
  const shown = Scrub.without(text.slice(0, lookedMax), hidden)
  return shown.length > detailMax || text.length > lookedMax ? `${shown.slice(0, detailMax)}...` : shown
}

type Who = Pick<ProviderFacts, "env" | "id" | "optionalEnv">

const advice = ({ env, id, optionalEnv }: Who, kind: Fault["kind"]): string | undefined => {
  if (kind !== "authentication") return undefined
  return env.length > 0
    ? `the key is read from ${[...env, ...optionalEnv].join(", ")}`
    : `no key was sent: name its variable in providers[].apiKeyEnv of "${id}"`
}

/** `requestId`: the id that the answer's headers gave, where the fault has none of its own. */
export const toFailure = (
  facts: Who,
  fault: Fault,
  hidden: ReadonlyArray<Scrub.Hidden>,
  requestId: string | undefined
): ProviderFailure => {
  const { detail, kind, requestId: own, ...rest } = fault
  const id = own ?? requestId
  const said = [detail === undefined ? undefined : shownOf(detail, hidden), advice(facts, kind)]
    .filter((text) => text !== undefined)
  return providerFailure(facts.id, kind, {
    ...rest,
    ...(said.length === 0 ? {} : { detail: said.join("; ") }),
    ...(id === undefined ? {} : { requestId: shownOf(id, hidden) })
  })
}

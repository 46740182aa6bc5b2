/**
 * `doctor --probe <provider>`: one small call of a provider, to learn whether key, address and model work. It is the one
 * thing that doctor does over the network, it may be billed, and it says so before it is made. Nothing of it is
 * journaled. A provider that is blocked is not called.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Settings } from "../config/Settings.ts"
import { providerFailure } from "../domain/TurnError.ts"
import type { Usage } from "../domain/Usage.ts"
import type { ProviderEvent, ProviderRequest } from "../provider/Provider.ts"
import { ProviderRegistry } from "../provider/ProviderRegistry.ts"
import * as Amounts from "./Amounts.ts"
import { Output, printable } from "./Output.ts"

/** The least that every vendor accepts as a cap, and enough for the word. */
const maxOutputTokens = 16

/** Of the answer as much as fits into a line. */
const shownMax = 80

const question: Omit<ProviderRequest, "model"> = {
  messages: [{ role: "user", parts: [{ type: "text", text: "Answer with the one word: ok" }] }],
  generation: { maxOutputTokens },
  attempt: 1,
  contextTokens: 16
}

interface Heard {
  text: string
  firstMs: number | undefined
  finish: string | undefined
  usage: Usage | undefined
}

const hear = (heard: Heard, event: ProviderEvent, ms: number): void => {
  if (event._tag === "Accepted") return
  if (event._tag === "Usage") heard.usage = event.usage
  else if (event._tag === "Finish") heard.finish = event.reason
  else {
    heard.firstMs ??= ms
    if (event._tag === "Delta" && event.kind === "text" && heard.text.length < shownMax) {
      heard.text += event.text
    }
  }
}

const summary = (id: string, model: string, { finish, firstMs, text, usage }: Heard, ms: number): string => {
  const said = printable(text).replace(/\s+/g, " ").trim().slice(0, shownMax)
  const tokens = usage === undefined
    ? "no usage reported"
    : `${Amounts.tokens(usage.inputTokens)} input and ${Amounts.tokens(usage.outputTokens)} output tokens`
  const first = firstMs === undefined ? "" : ` (first output after ${firstMs} ms)`
  return `${id}: model ${model} answered "${said}" in ${ms} ms${first}, finish ${finish ?? "unknown"}, ${tokens}`
}

/** A line about the answer. Fails as a turn would: unknown, blocked, or the provider's failure. */
export const probe = Effect.fn("Cli.probe")(function*(providerId: string, modelId: string | undefined) {
  const out = yield* Output
  const registry = yield* ProviderRegistry
  const { limits } = yield* Settings
  const { model, provider } = yield* registry.resolve(providerId, modelId ?? registry.defaults.model(providerId))
  yield* out.note(`Calling ${providerId} once, with model ${model.id}. A live provider may bill it.`)
  const heard: Heard = { text: "", firstMs: undefined, finish: undefined, usage: undefined }
  const startMs = yield* Clock.currentTimeMillis
  const sinceStart = Effect.map(Clock.currentTimeMillis, (nowMs) => nowMs - startMs)
  yield* provider.stream({ ...question, model: model.id }).pipe(
    Stream.runForEach((event) => Effect.map(sinceStart, (ms) => hear(heard, event, ms))),
    Effect.timeoutFail({
      duration: Duration.millis(limits.firstTokenMs),
      onTimeout: () =>
        providerFailure(providerId, "timeout", { detail: `no whole answer within ${limits.firstTokenMs} ms` })
    })
  )
  return summary(providerId, model.id, heard, yield* sinceStart)
})

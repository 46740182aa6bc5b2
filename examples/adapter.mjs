// An adapter for a server with a wire of its own; docs/tutorials/adapter.md goes through it line by line.
import { Chunk, Effect, Stream } from "effect"
import { TurnError } from "turnstream"

const failed = (kind, facts) => TurnError.providerFailure("lines", kind, facts)

const kindOf = (status) => {
  if (status === 401) return "authentication"
  if (status === 403) return "permission"
  if (status === 404) return "not_found"
  if (status === 429) return "rate_limit"
  return status >= 500 ? "server" : "invalid_request"
}

const ask = (url, { generation, messages, model, system }) =>
  Effect.tryPromise({
    try: (signal) =>
      fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model, system, messages, maxTokens: generation.maxOutputTokens }),
        redirect: "error",
        signal
      }),
    catch: () => failed("network")
  }).pipe(
    Effect.filterOrElse(
      ({ ok }) => ok,
      (response) =>
        Effect.zipRight(
          Effect.promise(() => response.body?.cancel() ?? Promise.resolve()),
          failed(kindOf(response.status), { status: response.status })
        )
    )
  )

const finishReasons = { done: "stop", cut: "length" }

const unknown = { cacheReadTokens: null, cacheWriteTokens: null, reasoningTokens: null }

const eventsOf = (line) => {
  const { end, text, tokens } = JSON.parse(line)
  if (typeof text === "string") return [{ _tag: "Delta", kind: "text", text }]
  if (!Object.hasOwn(finishReasons, end)) throw new Error("a line that is neither text nor end")
  const used = tokens === undefined ? [] : [{
    _tag: "Usage",
    usage: { ...unknown, inputTokens: tokens.in, outputTokens: tokens.out, totalTokens: tokens.in + tokens.out }
  }]
  return [...used, { _tag: "Finish", reason: finishReasons[end], raw: end }]
}

const decode = (line) =>
  Effect.try({
    try: () => Chunk.fromIterable(eventsOf(line)),
    catch: () => failed("protocol", { detail: "a line that this adapter does not know" })
  })

const stream = (url) => (request) =>
  Stream.fromEffect(ask(url, request)).pipe(
    Stream.flatMap(({ body }) => Stream.fromReadableStream(() => body, () => failed("incomplete_stream"))),
    Stream.decodeText(),
    Stream.splitLines,
    Stream.filter((line) => line !== ""),
    Stream.mapEffect(decode),
    Stream.flattenChunks
  )

/** The provider, for `layerProviders`. */
export const lines = (url) => ({
  provider: { id: "lines", usageSource: "reported", stream: stream(url) },
  models: [{ id: "small", contextWindow: 8_192, maxOutputTokens: 1_024 }]
})

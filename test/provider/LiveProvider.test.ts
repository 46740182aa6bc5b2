/**
 * One call of a live provider, whatever its family: where keys are read and where they never show, answers that are no
 * stream, and bodies that are too large, too slow or of the wrong kind. Mostly on a client of the test's own, so that
 * time is the test's too; `live-families.test.ts` has the sockets.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Tracer from "effect/Tracer"
import type { IncomingMessage } from "node:http"
import { performance } from "node:perf_hooks"
import { Readable } from "node:stream"
import type { ReadableStream as WebStream } from "node:stream/web"
import { inspect } from "node:util"
import type { EgressClient } from "../../src/provider/EgressClient.ts"
import type { WireFamily } from "../../src/provider/Family.ts"
import * as LiveProvider from "../../src/provider/LiveProvider.ts"
import type { Provider, ProviderRequest } from "../../src/provider/Provider.ts"
import { frameBytesMax } from "../../src/provider/wire/Decoder.ts"
import { textOf } from "./adapter-contract.ts"
import { wire as anthropic } from "./families/AnthropicWire.ts"
import { wire as bedrock } from "./families/BedrockWire.ts"
import { bytesOf, concat, type FamilyWire } from "./families/decoding.ts"
import { wire as ollama } from "./families/OllamaWire.ts"
import { sse, wire as chat } from "./families/OpenAiChatWire.ts"
import { wire as responses } from "./families/OpenAiResponsesWire.ts"
import { ask, canary, collect, factsOf, keyEnv, withProvider } from "./live.ts"
import { type Reply, startUpstream, type Upstream } from "./upstream.ts"

const families: ReadonlyArray<FamilyWire> = [chat, responses, anthropic, bedrock, ollama]
const baseUrl = "https://vendor.test/v1"

interface Sent {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

/** An answer as a socket would give it. */
const sourceOf = ({ body, headers, status }: Response): IncomingMessage => {
  const source = body === null ? Readable.from([]) : Readable.fromWeb(body as WebStream<Uint8Array>)
  source.on("error", () => {})
  const socket = { errored: null, destroy: () => undefined }
  // what a provider reads of an answer, and no more
  return Object.assign(source, {
    statusCode: status,
    headers: Object.fromEntries(headers),
    complete: false,
    socket
  }) as unknown as IncomingMessage
}

/** A client that answers from memory, and what it was sent. */
const fakeClient = (answer: (index: number) => Response | string) => {
  const sent: Array<Sent> = []
  const client: EgressClient["Type"] = {
    post: ({ headers, url }, { answered, failed }) =>
      Effect.suspend(() => {
        sent.push({ url, headers })
        const given = answer(sent.length - 1)
        if (typeof given === "string") {
          return Effect.fail(failed(Object.assign(new Error(`${given} ${canary}`), { code: given })))
        }
        const source = sourceOf(given)
        return Effect.ensuring(answered(source), Effect.sync(() => source.destroy()))
      })
  }
  return { client, sent }
}

const providerOn = (client: EgressClient["Type"], family: WireFamily = chat.family, setting: object = {}): Provider =>
  LiveProvider.make(family, factsOf(family, baseUrl, setting), {
    client,
    firstByteMs: 10_000,
    idleMs: 30_000,
    afterFinishMs: 5_000,
    recorder: undefined
  })

const withEnv = (env: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env))))

const whole = (parts: ReadonlyArray<Uint8Array>) => new Uint8Array(concat(parts))

const answerOf = ({ answer, contentType }: FamilyWire, texts: ReadonlyArray<string> = ["one ", "two "]) =>
  new Response(whole(answer(texts)), { headers: { "content-type": contentType } })

/** The events and the failure of one call that is answered so. */
const run = (response: () => Response | string, { request = ask(), wire = chat }: {
  readonly request?: ProviderRequest
  readonly wire?: FamilyWire
} = {}) =>
  collect(providerOn(fakeClient(response).client, wire.family).stream(request)).pipe(withEnv({ [keyEnv]: canary }))

const failed = (...options: Parameters<typeof run>) =>
  Effect.map(run(...options), ({ events, failure }) => {
    assert.isDefined(failure)
    assert.isFalse(events.some(({ _tag }) => _tag === "Finish"))
    return failure
  })

/** A body that gives what `next` gives, and counts its reads. */
const bodyOf = (next: (index: number) => Uint8Array | "end" | "break" | "hang") => {
  const seen = { reads: 0, bytes: 0, left: false }
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const part = next(seen.reads++)
      if (part === "end") return controller.close()
      if (part === "break") return controller.error(Object.assign(new Error("gone"), { code: "ECONNRESET" }))
      if (part === "hang") return new Promise(() => {})
      seen.bytes += part.length
      return controller.enqueue(part)
    },
    cancel: () => {
      seen.left = true
    }
  }, { highWaterMark: 0 })
  return { body, seen }
}

describe("keys", () => {
  it.effect("are read for each call, and only those that the configuration names", () =>
    Effect.gen(function*() {
      const asked = new Set<string>()
      const { client, sent } = fakeClient(() => answerOf(chat))
      const provider = providerOn(client)
      const given = (value: string) => {
        const inner = ConfigProvider.fromMap(new Map([[keyEnv, value], ["OPENAI_API_KEY", "sk-not-this-one"]]))
        return Effect.withConfigProvider(
          collect(provider.stream(ask())),
          ConfigProvider.make({
            load: (config) => inner.load(config),
            flattened: {
              ...inner.flattened,
              load: (path, config, split) => {
                asked.add(path.join("."))
                return inner.flattened.load(path, config, split)
              }
            }
          })
        )
      }
      yield* given("key-before")
      yield* given("key-after")
      assert.deepStrictEqual(sent.map(({ headers }) => headers["authorization"]), [
        "Bearer key-before",
        "Bearer key-after"
      ])
      assert.deepStrictEqual([...asked].filter((name) => name !== keyEnv), [])
    }))

  it.effect("without one none is sent, and a refusal says where to put it", () =>
    Effect.gen(function*() {
      const { client, sent } = fakeClient(() => new Response("{}", { status: 401 }))
      for (const env of [{}, { [keyEnv]: "" }]) {
        const { failure } = yield* collect(providerOn(client).stream(ask())).pipe(withEnv(env))
        assert.deepInclude({ ...failure }, { kind: "authentication" })
        assert.include(failure?.detail, keyEnv)
      }
      const { failure } = yield* collect(
        providerOn(client, chat.family, { apiKeyEnv: undefined }).stream(ask())
      )
      assert.include(failure?.detail, "providers[].apiKeyEnv")
      assert.strictEqual(sent.length, 3)
      for (const { headers } of sent) assert.notProperty(headers, "authorization")
    }))

  it.effect("of a signed request: the session token goes along where it is set, and only there", () =>
    Effect.gen(function*() {
      const { client, sent } = fakeClient(() => answerOf(bedrock))
      const provider = providerOn(client, bedrock.family, {
        apiKeyEnv: undefined,
        baseUrl: undefined,
        region: "eu-west-1"
      })
      const signing = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "secret-of-a-test" }
      for (const token of [{}, { AWS_SESSION_TOKEN: "" }, { AWS_SESSION_TOKEN: "token-of-a-test" }]) {
        const { failure } = yield* collect(provider.stream(ask())).pipe(withEnv({ ...signing, ...token }))
        assert.isUndefined(failure)
      }
      const tokens = sent.map(({ headers }) => headers["x-amz-security-token"])
      assert.deepStrictEqual(tokens, [undefined, undefined, "token-of-a-test"])
      for (const { headers, url } of sent) {
        assert.match(headers["authorization"] ?? "", /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\//)
        assert.notInclude(JSON.stringify([url, headers]), "secret-of-a-test")
        assert.match(url, /^https:\/\/bedrock-runtime\.eu-west-1\.amazonaws\.com\//)
      }
    }))
})

describe("P25: a key", () => {
  let upstream: Upstream
  beforeAll(async () => {
    upstream = await startUpstream()
  })
  afterAll(() => upstream.close())

  /** Everything that a tracer and a logger are told. */
  const observing = () => {
    const told: Array<unknown> = []
    const tracer = Tracer.make({
      span: (name, parent, context, links, startTime, kind, options) => {
        told.push([name, kind, links, options?.attributes])
        const attributes = new Map<string, unknown>()
        return {
          _tag: "Span",
          name,
          parent,
          context,
          links,
          kind,
          attributes,
          spanId: "s",
          traceId: "t",
          sampled: true,
          status: { _tag: "Started", startTime },
          attribute: (key, value) => {
            attributes.set(key, value)
            told.push([key, value])
          },
          addLinks: (more) => void told.push(more),
          event: (event, _at, attributes) => void told.push([event, attributes]),
          end: (_at, exit) => {
            told.push(Exit.isFailure(exit) ? [Cause.pretty(exit.cause, { renderErrorCause: true }), exit] : exit)
          }
        }
      },
      context: (run) => run()
    })
    const logger = Logger.make(({ annotations, cause, message, spans }) => {
      told.push([message, Cause.pretty(cause, { renderErrorCause: true }), cause, [...annotations], [...spans]])
    })
    const shown = () => inspect(told, { depth: 20, showHidden: true }) + JSON.stringify(told)
    const observe = <A, E>(effect: Effect.Effect<A, E>) =>
      effect.pipe(
        Effect.withSpan("a turn"),
        Effect.withTracer(tracer),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
        Logger.withMinimumLogLevel(LogLevel.All)
      )
    return { observe, shown, told }
  }

  const assertClean = (text: string, key = canary) => {
    for (let start = 0; start + 8 <= key.length; start++) assert.notInclude(text, key.slice(start, start + 8))
  }

  for (const wire of families) {
    const headers = { "content-type": wire.contentType }
    const json = { "content-type": "application/json", "x-request-id": `r-${canary}` }
    const answer = wire.answer(["one "])
    const situations: ReadonlyArray<readonly [name: string, kind: string | undefined, Reply]> = [
      ["a good answer", undefined, { headers, parts: answer }],
      ["a refused key that is quoted", "authentication", {
        status: 401,
        headers: json,
        parts: [wire.errorBody(`bad key ${canary}`)]
      }],
      ["a broken server that quotes it", "server", { status: 500, headers: json, parts: [`<h1>${canary}</h1>`] }],
      ["a redirect that carries it", "protocol", {
        status: 307,
        headers: { location: `https://vendor.test/?${canary}` }
      }],
      ["a connection that breaks", "network", { silent: "reset" }],
      ["a body that breaks", "incomplete_stream", { headers, parts: answer.slice(0, -wire.endFrames), after: "reset" }]
    ]
    for (const [name, kind, reply] of situations) {
      it.live(`${wire.family.family}, ${name}: is in no span, no log line, no failure and no printed cause`, () =>
        Effect.gen(function*() {
          upstream.reply(() => reply)
          const { observe, shown, told } = observing()
          const exit = yield* withProvider(wire.family, upstream, (provider) =>
            observe(
              Stream.runDrain(provider.stream(ask())).pipe(
                Effect.tapErrorCause((cause) => Effect.logError("it failed", cause)),
                Effect.exit
              )
            ))
          assert.include(JSON.stringify(upstream.requests.at(-1)?.headers), canary)
          assert.include(shown(), "a turn")
          assert.isAbove(told.length, kind === undefined ? 1 : 2)
          assert.strictEqual(Exit.isFailure(exit), kind !== undefined)
          const failure = Exit.isFailure(exit) ? yield* Effect.flip(exit) : undefined
          assert.strictEqual(failure?.kind, kind)
          const printed = Exit.isFailure(exit) ? Cause.pretty(exit.cause, { renderErrorCause: true }) : ""
          assertClean([
            shown(),
            printed,
            JSON.stringify(exit),
            JSON.stringify(failure),
            String(failure),
            inspect(failure, { depth: 20, showHidden: true }),
            String(failure?.stack)
          ].join("\n"))
        }))
    }
  }

  it.effect("that a vendor quotes in mid-stream is masked, and what else it said stands", () =>
    Effect.gen(function*() {
      const error = sse({
        error: { message: `the key ${canary} was revoked`, type: "invalid_request_error", code: "invalid_api_key" }
      })
      const failure = yield* failed(() => new Response(whole([...chat.answer(["one "]).slice(0, 2), error])))
      assert.strictEqual(failure.kind, "authentication")
      assert.include(failure.detail, "was revoked")
      assertClean(inspect(failure, { showHidden: true }) + failure.message)
    }))

  it.effect("that looks like no vendor's is masked all the same, whole and cut, in words and in a request id", () =>
    Effect.gen(function*() {
      const plain = "Kq7-plain_4f1c9b7e2d8a"
      const echo = JSON.stringify({
        error: { message: `not ${plain}, not ${plain.slice(0, 9)}, not ${plain.slice(-9)}` }
      })
      const answers: ReadonlyArray<() => Response> = [
        () => new Response(echo, { status: 401, headers: { "x-request-id": `r-${plain}` } }),
        () => new Response(whole([sse(JSON.parse(echo))]), { headers: { "x-request-id": plain.slice(4) } })
      ]
      for (const wire of families) {
        for (const answer of answers) {
          const { failure } = yield* collect(providerOn(fakeClient(answer).client, wire.family).stream(ask())).pipe(
            withEnv({ [keyEnv]: plain })
          )
          assertClean(inspect(failure, { showHidden: true }) + failure?.message, plain)
        }
      }
    }))

  it.effect("that a client's error holds is not passed on", () =>
    Effect.gen(function*() {
      for (const code of ["ECONNRESET", "EPIPE", "ENOTFOUND", "unknown"]) {
        const failure = yield* failed(() => code)
        assert.deepInclude({ ...failure }, { kind: "network", retryable: true })
        assert.strictEqual(failure.detail, `the connection failed (${code})`)
        assertClean(inspect(failure, { showHidden: true }) + failure.message)
      }
    }))

  const unsendable = [`${canary}\n`, `${canary}\r`, `\u201c${canary}\u201d`, `${canary} \u0000`]
  for (const wire of families) {
    it.live(`${wire.family.family}: with a character that no header can carry is told by its variable, and nobody is called`, () =>
      Effect.gen(function*() {
        const before = upstream.requests.length
        upstream.reply(() => ({ status: 500 }))
        for (const key of unsendable) {
          const { failure } = yield* withProvider(
            wire.family,
            upstream,
            (provider) => collect(provider.stream(ask())).pipe(withEnv({ [keyEnv]: key }))
          )
          assert.deepInclude({ ...failure }, { kind: "authentication", retryable: false })
          assert.include(failure?.detail, keyEnv)
          assertClean(inspect(failure, { showHidden: true }) + failure?.message)
        }
        assert.strictEqual(upstream.requests.length, before)
      }))
  }
})

describe("a prompt", () => {
  const said = "The lighthouse at Skarn burns whale oil until the third bell of the night watch."
  const quoted: ReadonlyArray<readonly [what: string, ProviderRequest]> = [
    ["the message", ask(said)],
    ["the instructions", ask("hi", { system: said })],
    [
      "an earlier message",
      ask("hi", {
        messages: [said, "a", "b", "c", "d"].map((text, index) => ({
          role: index % 2 === 0 ? "user" as const : "assistant" as const,
          parts: [{ type: "text" as const, text }]
        }))
      })
    ],
    [
      "a tool's result",
      ask("hi", {
        messages: [{ role: "user", parts: [{ type: "tool-result", toolCallId: "c1", content: { note: said } }] }]
      })
    ],
    [
      "a tool call's arguments",
      ask("hi", {
        messages: [{
          role: "assistant",
          parts: [{ type: "tool-call", toolCallId: "c1", toolName: "note", arguments: [said] }]
        }]
      })
    ]
  ]
  for (const [what, request] of quoted) {
    it.effect(`of which a vendor quotes ${what} is masked in the failure`, () =>
      Effect.gen(function*() {
        const body = JSON.stringify({ error: { message: `cannot read "${said}" here` } })
        const failure = yield* failed(() => new Response(body, { status: 400 }), { request })
        assert.match(failure.detail ?? "", /^cannot read "?\*\*\*"? here/)
      }))
  }

  it.effect("and an error of any size cost no more than a moment", () =>
    Effect.gen(function*() {
      const words = Array.from({ length: 60_000 }, (_, index) => `${index * 7_919 % 65_536} `).join("")
      for (const text of ["a".repeat(8_000_000), words.repeat(10)]) {
        const startMs = performance.now()
        const failure = yield* failed(() => new Response(whole([sse({ error: { message: text } })])), {
          request: ask(words, { system: words })
        })
        assert.isBelow(failure.detail?.length ?? 0, 600)
        assert.isBelow(performance.now() - startMs, 2_000)
      }
    }))
})

describe("an answer that is no stream", () => {
  for (const wire of families) {
    it.effect(`${wire.family.family}: an empty body, with 200 or 204, is incomplete`, () =>
      Effect.gen(function*() {
        for (const status of [200, 204]) {
          const failure = yield* failed(() => new Response(null, { status }), { wire })
          assert.deepInclude({ ...failure }, { kind: "incomplete_stream", retryable: true }, `${status}`)
        }
      }))

    it.effect(`${wire.family.family}: a compressed body is refused by name, unread`, () =>
      Effect.gen(function*() {
        for (const encoding of ["gzip", "br", "GZIP, identity", "unknown"]) {
          const { body, seen } = bodyOf(() => bytesOf("\u001f\u008b"))
          const failure = yield* failed(() => new Response(body, { headers: { "content-encoding": encoding } }), {
            wire
          })
          assert.strictEqual(failure.kind, "protocol")
          assert.include(failure.detail, "compressed")
          assert.strictEqual(seen.reads, 0)
        }
        for (const encoding of ["identity", "", " Identity "]) {
          const response = answerOf(wire)
          response.headers.set("content-encoding", encoding)
          assert.strictEqual(textOf((yield* run(() => response, { wire })).events), "one two ")
        }
      }))
  }

  it.effect("a certificate that is not trusted is not tried again; another fault of the connection is", () =>
    Effect.gen(function*() {
      const certificates = [
        "CERT_HAS_EXPIRED",
        "CERT_NOT_YET_VALID",
        "DEPTH_ZERO_SELF_SIGNED_CERT",
        "ERR_TLS_CERT_ALTNAME_INVALID",
        "SELF_SIGNED_CERT_IN_CHAIN",
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
      ]
      for (const code of certificates) {
        assert.deepInclude({ ...(yield* failed(() => code)) }, { kind: "network", retryable: false }, code)
      }
      for (const code of ["ECONNREFUSED", "ECONNRESET", "EAI_AGAIN", "EHOSTUNREACH", "EPROTO"]) {
        assert.deepInclude({ ...(yield* failed(() => code)) }, { kind: "network", retryable: true }, code)
      }
    }))
})

describe("the body of an error", () => {
  const message = JSON.stringify({ error: { message: "too many of you", code: "rate_limit_exceeded" } })

  it.effect("is read up to 64 KiB, then left", () =>
    Effect.gen(function*() {
      const { body, seen } = bodyOf(() => new Uint8Array(1_000).fill(120))
      const failure = yield* failed(() => new Response(body, { status: 503 }))
      assert.deepInclude({ ...failure }, { kind: "overloaded", status: 503 })
      assert.isAtMost(seen.bytes, 65_536 + 2_000)
      assert.isTrue(seen.left)
    }))

  it.effect("costs no more where it comes byte by byte", () =>
    Effect.gen(function*() {
      const { body, seen } = bodyOf(() => new Uint8Array([120]))
      const startMs = performance.now()
      assert.strictEqual((yield* failed(() => new Response(body, { status: 503 }))).kind, "overloaded")
      assert.isAtLeast(seen.bytes, 65_536)
      assert.isBelow(performance.now() - startMs, 1_500)
    }))

  it.effect("counts as far as it came, where it hangs for ten seconds or breaks off", () =>
    Effect.gen(function*() {
      for (const end of ["hang", "break"] as const) {
        const { body, seen } = bodyOf((index) => index === 0 ? bytesOf(message) : end)
        const fiber = yield* Effect.fork(failed(() => new Response(body, { status: 400 })))
        if (end === "hang") {
          yield* TestClock.adjust(9_999)
          assert.isNull(fiber.unsafePoll())
          yield* TestClock.adjust(1)
        }
        const failure = yield* Fiber.join(fiber)
        assert.deepInclude({ ...failure }, { kind: "rate_limit", status: 400, detail: "too many of you" }, end)
        assert.strictEqual(seen.left, end === "hang")
      }
    }))

  it.effect("that is not text, not JSON or not there leaves what the status says", () =>
    Effect.gen(function*() {
      for (const body of [null, "", "<html>", "[]", "null", "3", new Uint8Array([255, 254, 0, 128])]) {
        const failure = yield* failed(() => new Response(body, { status: 529 }))
        assert.deepInclude({ ...failure }, { kind: "overloaded", status: 529, retryable: true })
      }
    }))
})

describe("a frame that never ends", () => {
  const begin: ReadonlyArray<readonly [what: string, FamilyWire, string]> = [
    ["an event", chat, 'data: {"choices":[{"delta":{"content":"'],
    ["an event that is of many lines", chat, "data: x\ndata: "],
    ["one document", chat, '{"choices":[{"message":{"content":"'],
    ["a comment", chat, ": "],
    ["an event", responses, 'event: x\ndata: {"type":"'],
    ["an event", anthropic, "event: ping\ndata: "],
    ["a line", ollama, '{"message":{"content":"']
  ]
  for (const [what, wire, start] of begin) {
    it.effect(`${wire.family.family}: ${what} is one failure of the protocol, and no more than its limit is read`, () =>
      Effect.gen(function*() {
        const filler = new Uint8Array(4_096).fill(120)
        const { body, seen } = bodyOf((index) => index === 0 ? bytesOf(start) : filler)
        const before = process.memoryUsage()
        const startMs = performance.now()
        const { events, failure } = yield* run(() => new Response(body), { wire })
        const { heapUsed } = process.memoryUsage()
        assert.deepInclude({ ...failure }, { kind: "protocol", retryable: true })
        assert.include(failure?.detail, `larger than ${frameBytesMax} characters`)
        assert.deepStrictEqual(events, [{ _tag: "Accepted" }])
        assert.isAtMost(seen.bytes, frameBytesMax + 65_536)
        assert.isTrue(seen.left)
        assert.isBelow(heapUsed - before.heapUsed, 8 * frameBytesMax)
        assert.isBelow(performance.now() - startMs, 5_000)
      }))
  }
})

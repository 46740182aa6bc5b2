/**
 * What is saved of a provider's answers, what never is, and that a saved answer plays again: the same events, the same
 * pace, the same failure.
 */
import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Fs from "node:fs"
import * as Os from "node:os"
import { join } from "node:path"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import * as EgressClient from "../../src/provider/EgressClient.ts"
import type { Keys } from "../../src/provider/Family.ts"
import { families } from "../../src/provider/LiveAdapters.ts"
import * as LiveProvider from "../../src/provider/LiveProvider.ts"
import type { Provider } from "../../src/provider/Provider.ts"
import * as Recorder from "../../src/provider/Recorder.ts"
import * as Recording from "../../src/provider/Recording.ts"
import * as Replay from "../../src/provider/Replay.ts"
import { follow, get, newSession, post, start, submit } from "../http/harness.ts"
import { textOf } from "./adapter-contract.ts"
import { wire as anthropic } from "./families/AnthropicWire.ts"
import { wire as bedrock } from "./families/BedrockWire.ts"
import { bytesOf, concat, cutAt, type FamilyWire, pieces } from "./families/decoding.ts"
import { wire as ollama } from "./families/OllamaWire.ts"
import { sse, wire as chat } from "./families/OpenAiChatWire.ts"
import { wire as responses } from "./families/OpenAiResponsesWire.ts"
import { ask, canary, collect, factsOf, keyEnv } from "./live.ts"
import { type Reply, startUpstream, type Upstream } from "./upstream.ts"

const wires: ReadonlyArray<FamilyWire> = [chat, responses, anthropic, bedrock, ollama]

let upstream: Upstream
beforeAll(async () => {
  upstream = await startUpstream()
})
afterAll(() => upstream.close())

/** A fresh data folder that is not there yet, removed with the test. */
const dataFolder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(join(Os.tmpdir(), "turnstream-recordings-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
).pipe(Effect.map((path) => join(path, "data")))

const filesIn = (dataDir: string): ReadonlyArray<string> => {
  const folder = join(dataDir, "recordings")
  return Fs.existsSync(folder) ? Fs.readdirSync(folder).sort().map((name) => join(folder, name)) : []
}

const onlyFile = (dataDir: string): string => {
  const files = filesIn(dataDir)
  assert.strictEqual(files.length, 1)
  return files[0] ?? ""
}

const parsed = (text: string): Recording.Recording => {
  const recording = Recording.parse(text)
  assert.isTrue(Either.isRight(recording), Either.isLeft(recording) ? recording.left : "")
  return Either.getOrThrow(recording)
}

const recordingIn = (dataDir: string) => parsed(Fs.readFileSync(onlyFile(dataDir), "utf8"))

const bodyIn = ({ pieces }: Recording.Recording) => concat(pieces.map(({ bytes }) => bytes))

/** A live provider that is recorded, on the loopback vendor. */
const recording = <A, E>(
  wire: FamilyWire,
  dataDir: string,
  use: (provider: Provider) => Effect.Effect<A, E>,
  idleMs = 10_000
) =>
  Effect.flatMap(EgressClient.EgressClient, (client) =>
    use(
      LiveProvider.make(wire.family, factsOf(wire.family, upstream.url), {
        client,
        firstByteMs: 10_000,
        idleMs,
        afterFinishMs: 5_000,
        recorder: Recorder.make(dataDir)
      })
    )).pipe(
      Effect.provide(
        EgressClient.layerWith({ allowLoopback: true, hosts: new Set([upstream.host]), connectMs: 5_000, idleMs })
      ),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([[keyEnv, canary]])))
    )

const replayOf = (path: string, known = families): Provider =>
  Replay.make({ ...factsOf(chat.family, upstream.url), family: "replay", recording: path }, known, 5_000)

const replayed = (path: string) => collect(replayOf(path).stream(ask("something else entirely")))

const keys: Keys = new Map([[keyEnv, Redacted.make(canary)]])
const answering = (headers: Readonly<Record<string, string>> = {}, status = 200) => ({
  facts: { id: "vendor", family: "openai-compatible" as const },
  model: "some-model",
  response: { status, headers },
  keys
})

/** One recording of these reads, all at once, and its text. */
const saved = (
  reads: ReadonlyArray<Uint8Array>,
  { end = "ended", limits = {}, ...answer }: Partial<ReturnType<typeof answering>> & {
    readonly end?: Recording.End
    readonly limits?: Recorder.RecorderLimits
  } = {}
) =>
  Effect.gen(function*() {
    const dataDir = yield* dataFolder
    yield* Effect.scoped(Effect.gen(function*() {
      const take = yield* Recorder.make(dataDir, limits).begin({ ...answering(), ...answer })
      for (const bytes of reads) yield* take.write(Chunk.of(bytes))
      yield* take.end(end)
    }))
    return Fs.readFileSync(onlyFile(dataDir), "utf8")
  })

describe("P25: a recording", () => {
  it.scoped("is for its owner alone, and says who answered what, and how it ended", () =>
    Effect.gen(function*() {
      const dataDir = yield* dataFolder
      yield* TestClock.setTime(Date.UTC(2031, 4, 6, 7, 8, 9, 10))
      yield* Effect.scoped(Effect.flatMap(Recorder.make(dataDir).begin(answering()), ({ end }) => end("ended")))
      const file = onlyFile(dataDir)
      assert.strictEqual(Fs.statSync(file).mode & 0o777, 0o600)
      assert.strictEqual(Fs.statSync(join(dataDir, "recordings")).mode & 0o777, 0o700)
      assert.match(file, /\/2031-05-06T07-08-09-010Z-vendor-[0-9a-z]{6}\.jsonl$/)
      assert.deepStrictEqual(recordingIn(dataDir), {
        head: {
          v: 1,
          family: "openai-compatible",
          provider: "vendor",
          model: "some-model",
          at: "2031-05-06T07:08:09.010Z",
          status: 200,
          headers: {}
        },
        pieces: [],
        end: "ended"
      })
    }))

  it.scoped("keeps of the headers those that a decoder or a failure needs, and a key in none", () =>
    Effect.gen(function*() {
      const kept = {
        "content-type": "text/event-stream",
        "content-encoding": "identity",
        "retry-after": "2",
        "retry-after-ms": "1500",
        "x-should-retry": "true",
        "x-amzn-errortype": "ThrottlingException",
        "x-request-id": "r1",
        "request-id": "r2",
        "x-amzn-requestid": "r3",
        "apim-request-id": "r4",
        "x-ms-request-id": "r5",
        "cf-ray": "r6"
      }
      const dropped = {
        "set-cookie": "crumb=1",
        "authorization": `Bearer ${canary}`,
        "x-api-key": canary,
        "www-authenticate": canary,
        "location": "https://vendor.test/",
        "openai-organization": "some-org",
        "date": "Tue, 06 May 2031 07:08:09 GMT"
      }
      const text = yield* saved([], { response: { status: 200, headers: { ...kept, ...dropped } } })
      assert.deepStrictEqual(parsed(text).head.headers, kept)
      const echoed = yield* saved([], {
        response: { status: 401, headers: { "x-request-id": `r-${canary}-${canary}`, "content-type": canary } }
      })
      assert.notInclude(echoed, canary)
      assert.match(parsed(echoed).head.headers["x-request-id"] ?? "", /^r-\*+-\*+$/)
    }))

  it.scoped("has the key that a body echoes masked, cut between two reads at every place", () =>
    Effect.gen(function*() {
      const body = bytesOf(`ä {"key":"${canary}","again":"${canary}${canary}"} ü`)
      const masked = Buffer.from(body).toString().replaceAll(canary, "*".repeat(canary.length))
      for (let place = 0; place <= body.length; place++) {
        const text = yield* saved(cutAt(body, [place]))
        assert.strictEqual(Buffer.from(bodyIn(parsed(text))).toString(), masked, `cut at ${place}`)
      }
    }))

  it.scoped("has it masked where it comes byte by byte, in reads of nothing, and at the end", () =>
    Effect.gen(function*() {
      const body = bytesOf(`${canary}: one, ${canary}: two, ${canary}`)
      const expected = "*".repeat(canary.length)
      for (const size of [1, 2, 3, 5, 7, 11, 23, 24, 25, 40]) {
        const reads = pieces(body, size).flatMap((piece) => [piece, new Uint8Array()])
        const text = yield* saved(reads, { end: "left" })
        assert.strictEqual(
          Buffer.from(bodyIn(parsed(text))).toString(),
          `${expected}: one, ${expected}: two, ${expected}`,
          `${size} bytes each`
        )
        const whole = text.split("\n").slice(1).map((line) => line === "" ? "" : JSON.parse(line).text ?? "").join("")
        assert.notInclude(whole, canary.slice(0, 8))
      }
    }))

  it.scoped("masks each of several keys, also one within another, and no word of three letters", () =>
    Effect.gen(function*() {
      const several: Keys = new Map(
        ["the", "inner-key", "outer-inner-key-outer"].map((key) => [key, Redacted.make(key)])
      )
      const text = yield* saved([bytesOf("the inner-key and outer-inn"), bytesOf("er-key-outer")], { keys: several })
      assert.strictEqual(Buffer.from(bodyIn(parsed(text))).toString(), `the ${"*".repeat(9)} and ${"*".repeat(21)}`)
    }))
})

describe("a recording", () => {
  it("holds any bytes in any cut as they were", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(
          FastCheck.oneof(FastCheck.uint8Array({ maxLength: 40 }), FastCheck.string({ unit: "binary" }).map(bytesOf))
        ),
        FastCheck.array(FastCheck.nat(200)),
        (parts, places) => {
          const reads = cutAt(concat(parts), places)
          const text = Recording.headLine({
            v: 1,
            family: "ollama",
            provider: "p",
            model: "m",
            at: "",
            status: 200,
            headers: {}
          }) + reads.map((bytes, ms) => Recording.pieceLine(ms, bytes)).join("") + Recording.endLine("ended")
          assert.strictEqual(text.split("\n").length, reads.length + 3)
          assert.deepStrictEqual(
            parsed(text).pieces.map(({ bytes, ms }) => [ms, Array.from(bytes)]),
            reads.map((bytes, ms) => [ms, Array.from(bytes)])
          )
        }
      ),
      { numRuns: 300 }
    ))

  it("is readable where a read is whole characters, and base64 where it is not", () => {
    const line = (bytes: Uint8Array): unknown => JSON.parse(Recording.pieceLine(7, bytes))
    const text = bytesOf("\uFEFFü🙂\u0000\u2028\n")
    assert.deepStrictEqual(line(text), { ms: 7, text: "\uFEFFü🙂\u0000\u2028\n" })
    assert.deepStrictEqual(line(text.slice(0, 4)), { ms: 7, base64: "77u/ww==" })
    assert.deepStrictEqual(line(new Uint8Array([0xff, 0xfe])), { ms: 7, base64: "//4=" })
  })

  it.scoped("ends when it is full: its reader goes on, and no file grows beyond its limit and one read", () =>
    Effect.gen(function*() {
      const read = bytesOf("€".repeat(40))
      const text = yield* saved(Array(100).fill(read), { limits: { fileBytesMax: 2_000 } })
      const lineBytes = Buffer.byteLength(Recording.pieceLine(0, read))
      assert.isAbove(Buffer.byteLength(text), 2_000)
      assert.isBelow(Buffer.byteLength(text), 2_000 + 2 * lineBytes)
      const { end, pieces } = parsed(text)
      assert.strictEqual(end, "full")
      assert.isBelow(pieces.length, 20)
      assert.isBelow((yield* saved(Array(10).fill(read), { end: "broken" })).length, 64 * 1024 * 1024)
    }))

  it.scoped("makes room for itself: the newest 200 stay, and what is no recording", () =>
    Effect.gen(function*() {
      const dataDir = yield* dataFolder
      const folder = join(dataDir, "recordings")
      Fs.mkdirSync(folder, { recursive: true })
      const old = Array.from({ length: 230 }, (_, index) =>
        `2030-01-01T00-00-00-${String(index).padStart(3, "0")}Z-a-000000.jsonl`)
      for (const name of [...old, "notes.txt", "0.json"]) {
        Fs.writeFileSync(join(folder, name), "")
      }
      yield* TestClock.setTime(Date.UTC(2031, 0))
      const begin = Effect.scoped(Recorder.make(dataDir).begin(answering()))
      yield* begin
      const names = Fs.readdirSync(folder).sort()
      assert.strictEqual(
        names.filter((name) =>
          name.endsWith(".jsonl")
        ).length,
        200
      )
      assert.includeMembers(names, ["notes.txt", "0.json", ...old.slice(31)])
      assert.notIncludeMembers(names, old.slice(0, 31))
      yield* begin
      assert.strictEqual(Fs.readdirSync(folder).filter((name) => name.endsWith(".jsonl")).length, 200)
    }))

  it.scopedLive("are all kept room for, however many begin at once", () =>
    Effect.gen(function*() {
      const dataDir = yield* dataFolder
      const logged: Array<string> = []
      const logger = Logger.make(({ message }) => logged.push(String(message)))
      const recorder = Recorder.make(dataDir, { filesMax: 5 })
      const one = Effect.scoped(
        Effect.flatMap(recorder.begin(answering()), ({ write }) => write(Chunk.of(bytesOf("a"))))
      )
      yield* Effect.all(Array.from({ length: 200 }, () => one), { concurrency: 40 }).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      assert.deepStrictEqual(logged, [])
    }))

  it.scopedLive("that cannot be written costs a warning and nothing of the turn", () =>
    Effect.gen(function*() {
      const dataDir = yield* dataFolder
      Fs.mkdirSync(dataDir)
      Fs.writeFileSync(join(dataDir, "recordings"), "a file in the way")
      const logged: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => logged.push(`${logLevel.label} ${String(message)}`))
      upstream.reply(() => ({ headers: { "content-type": chat.contentType }, parts: chat.answer(["one ", "two "]) }))
      const { events, failure } = yield* recording(chat, dataDir, (provider) => collect(provider.stream(ask()))).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      assert.isUndefined(failure)
      assert.strictEqual(textOf(events), "one two ")
      assert.strictEqual(logged.length, 1)
      assert.match(logged[0] ?? "", /^WARN An answer of provider "vendor" is not recorded/)
    }))

  it.scopedLive("that is left in mid-body says so, and holds all that was read", () =>
    Effect.gen(function*() {
      for (let round = 0; round < 20; round++) {
        const dataDir = yield* dataFolder
        const answer = chat.answer(["one ", "two "]).slice(0, 3)
        upstream.reply(() => ({ headers: { "content-type": chat.contentType }, parts: answer, after: "hang" }))
        yield* recording(chat, dataDir, (provider) =>
          Effect.gen(function*() {
            const seen = yield* Queue.bounded<string>(64)
            const fiber = yield* Effect.fork(
              Stream.runForEach(
                provider.stream(ask()),
                (event) => Queue.offer(seen, event._tag === "Delta" ? event.text : "")
              )
            )
            while ((yield* Queue.take(seen)) !== "two ");
            yield* Fiber.interrupt(fiber)
          }))
        const { end, ...rest } = recordingIn(dataDir)
        assert.strictEqual(end, "left")
        assert.deepStrictEqual(bodyIn(rest as Recording.Recording), concat(answer))
      }
    }))

  it.scoped("that is left while a read is being written is whole line by line", () =>
    Effect.gen(function*() {
      // far more than one write of a file takes
      const big = bytesOf("x".repeat(3_000_000))
      for (let round = 0; round < 5; round++) {
        const dataDir = yield* dataFolder
        const scope = yield* Scope.make()
        const take = yield* Scope.extend(Recorder.make(dataDir).begin(answering()), scope)
        let taken = 0
        const write = Effect.suspend(() => {
          taken++
          return take.write(Chunk.of(big))
        })
        const fiber = yield* Effect.fork(Effect.forever(write))
        // the second write waits for the disk
        while (taken < 2) yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(Fs.readFileSync(onlyFile(dataDir), "utf8").endsWith(`\n${Recording.endLine("left")}`))
        const { pieces } = recordingIn(dataDir)
        assert.deepStrictEqual(pieces.map(({ bytes }) => bytes.length), Array(taken).fill(big.length))
      }
    }))
})

/** How an answer may go, and the recorded end. */
const endings = (
  wire: FamilyWire
): ReadonlyArray<readonly [name: string, end: Recording.End, kind: string | undefined, Reply]> => {
  const headers = { "content-type": wire.contentType, "x-request-id": "r-17" }
  const json = { "content-type": "application/json", "retry-after": "2", "cf-ray": "r-18" }
  const answer = wire.answer(["Grüße, ", "🙂."])
  return [
    ["a good answer", "ended", undefined, { headers, parts: answer }],
    ["one that comes byte by byte", "ended", undefined, { headers, parts: pieces(concat(answer), 1) }],
    ["a tool call", "ended", undefined, {
      headers,
      parts: wire.toolCall("id_1", "look_up", ['{"city":', '"Bärlin"}'])
    }],
    ["an error in mid-stream", "left", "overloaded", {
      headers,
      parts: [...answer.slice(0, -wire.endFrames), wire.overloaded]
    }],
    ["a body that is cut", "ended", "incomplete_stream", { headers, parts: answer.slice(0, -wire.endFrames) }],
    ["a connection that breaks", "broken", "incomplete_stream", {
      headers,
      parts: answer.slice(0, -wire.endFrames),
      after: "reset"
    }],
    ["a refusal", "ended", "rate_limit", { status: 429, headers: json, parts: [wire.errorBody("slow down, please")] }],
    ["a redirect", "ended", "protocol", { status: 308, headers: { location: "https://vendor.test/" } }],
    ["an error without words", "ended", "server", { status: 500 }],
    ["a compressed answer", "left", "protocol", { headers: { ...headers, "content-encoding": "gzip" }, parts: ["x"] }],
    ["nothing at all", "ended", "incomplete_stream", { status: 204 }]
  ]
}

describe("a recorded answer plays again", () => {
  for (const wire of wires) {
    for (const [name, end, kind, reply] of endings(wire)) {
      it.scopedLive(`${wire.family.family}, ${name}: the same events, the same failure`, () =>
        Effect.gen(function*() {
          const dataDir = yield* dataFolder
          upstream.reply(() => reply)
          const first = yield* recording(wire, dataDir, (provider) => collect(provider.stream(ask())))
          assert.strictEqual(first.failure?.kind, kind)
          // the file never stands between the headers and what a quick end leaves of the body
          if (end === "broken") assert.strictEqual(textOf(first.events), "Grüße, 🙂.")
          const saved = recordingIn(dataDir)
          assert.strictEqual(saved.end, end)
          assert.strictEqual(saved.head.family, wire.family.family)
          assert.notInclude(Fs.readFileSync(onlyFile(dataDir), "utf8"), canary)
          const again = yield* replayed(onlyFile(dataDir))
          assert.deepStrictEqual(again.events, first.events)
          const facts = ({ failure }: typeof first) => {
            if (failure === undefined) return undefined
            const { detail, ...rest } = failure
            // what a broken connection was called is the one thing that is not kept
            return end === "broken" ? rest : { ...rest, detail }
          }
          assert.deepStrictEqual(facts(again), facts(first))
          if (end === "broken") assert.include(again.failure?.detail, "the recorded connection broke")
        }))
    }
  }

  const head = (fields: object = {}) =>
    `${
      JSON.stringify({
        v: 1,
        family: "openai-compatible",
        provider: "vendor",
        model: "m",
        at: "2031-01-01T00:00:00.000Z",
        status: 200,
        headers: {},
        ...fields
      })
    }\n`

  const fileOf = (text: string | Uint8Array) =>
    Effect.map(dataFolder, (path) => {
      Fs.writeFileSync(path, text)
      return path
    })

  it.scoped("with the pace at which it was recorded", () =>
    Effect.gen(function*() {
      const dataDir = yield* dataFolder
      const [role, one, two, ...rest] = chat.answer(["one ", "two "])
      yield* Effect.scoped(Effect.gen(function*() {
        const take = yield* Recorder.make(dataDir).begin(answering())
        yield* TestClock.adjust(250)
        yield* take.write(Chunk.of(concat([role ?? bytesOf(""), one ?? bytesOf("")])))
        yield* TestClock.adjust(60_000)
        yield* take.write(Chunk.of(two ?? bytesOf("")))
        yield* take.write(Chunk.of(concat(rest)))
        yield* take.end("ended")
      }))
      const seen: Array<string> = []
      const path = onlyFile(dataDir)
      const started = yield* Queue.bounded<void>(1)
      const decoders = new Map(families)
      decoders.set("openai-compatible", {
        ...chat.family,
        decoder: (options) => {
          Queue.unsafeOffer(started, undefined)
          return chat.family.decoder(options)
        }
      })
      const fiber = yield* Effect.fork(Stream.runForEach(replayOf(path, decoders).stream(ask()), (event) =>
        Effect.sync(() => {
          if (event._tag !== "Accepted") seen.push(event._tag === "Delta" ? event.text : event._tag)
        })))
      yield* Queue.take(started)
      yield* TestClock.adjust(249)
      assert.deepStrictEqual(seen, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(seen, ["one "])
      yield* TestClock.adjust(59_999)
      assert.deepStrictEqual(seen, ["one "])
      yield* TestClock.adjust(1)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen, ["one ", "two ", "Usage", "Finish"])
    }))

  it.scoped("and again, whatever is asked: each call has the answer to itself", () =>
    Effect.gen(function*() {
      const body = concat(chat.answer(["one ", "two "]))
      const path = yield* fileOf(
        head() + pieces(body, 9).map((piece) => Recording.pieceLine(0, piece)).join("") + Recording.endLine("ended")
      )
      const provider = replayOf(path)
      const results = yield* Effect.all(
        ["a", "b", "c"].map((text) => collect(provider.stream(ask(text)))),
        { concurrency: "unbounded" }
      )
      for (const { events, failure } of results) {
        assert.isUndefined(failure)
        assert.strictEqual(textOf(events), "one two ")
      }
    }))

  it.scoped("as the reader of its own time would have had it, where it was left or full", () =>
    Effect.gen(function*() {
      for (const end of ["left", "full"] as const) {
        const [role, one] = chat.answer(["one "])
        const path = yield* fileOf(
          head() + [role, one].map((part) => Recording.pieceLine(0, part ?? bytesOf(""))).join("") +
            Recording.endLine(end)
        )
        const { events, failure } = yield* replayed(path)
        assert.strictEqual(textOf(events), "one ")
        assert.strictEqual(failure?.kind, "incomplete_stream")
      }
    }))

  const piece = Recording.pieceLine(0, sse({ choices: [] }))
  const faulty: ReadonlyArray<readonly [what: string, content: string | Uint8Array, kind: string, says: RegExp]> = [
    ["empty", "", "invalid_request", /line 1 is not the head/],
    ["of another kind", "hello\n", "invalid_request", /line 1 is not the head/],
    ["bytes", new Uint8Array([0xff, 0x00, 0x0a]), "invalid_request", /line 1 is not the head/],
    ["of a later version", head({ v: 2 }), "invalid_request", /line 1 is not the head/],
    ["of an unknown family", head({ family: "carrier-pigeon" }), "invalid_request", /line 1 is not the head/],
    ["without its head", piece + Recording.endLine("ended"), "invalid_request", /line 1 is not the head/],
    ["of a family that has no wire", head({ family: "deterministic" }), "invalid_request", /family "deterministic"/],
    ["of a replay", head({ family: "replay" }), "invalid_request", /family "replay"/],
    ["cut within a line", (head() + piece + piece).slice(0, -9), "incomplete_stream", /ended before/],
    ["cut within its end", head() + piece + '{"end":"en', "incomplete_stream", /ended before/],
    ["cut behind a line", head() + piece, "incomplete_stream", /ended before/],
    ["cut behind its head", head(), "incomplete_stream", /ended before/],
    [
      "wrong in its third line, with empty ones between",
      `${head()}\n${piece}\r\n{}\n`,
      "invalid_request",
      /line 5 is neither/
    ],
    ["wrong in a time", `${head()}{"ms":-1,"text":""}\n`, "invalid_request", /line 2 is neither/],
    ["wrong in a text", `${head()}{"ms":1,"text":7}\n`, "invalid_request", /line 2 is neither/],
    ["wrong in its end", `${head()}${piece}{"end":"well"}\n`, "invalid_request", /line 3 is neither/]
  ]
  for (const [what, content, kind, says] of faulty) {
    it.scoped(`not where its file is ${what}: that is told`, () =>
      Effect.gen(function*() {
        const { events, failure } = yield* replayed(yield* fileOf(content))
        // a recording that breaks off behind its head was an answer until then
        assert.deepStrictEqual(events.filter(({ _tag }) => _tag !== "Accepted"), [])
        assert.strictEqual(failure?.kind, kind)
        assert.match(failure?.detail ?? "", says)
      }))
  }

  it.scoped("not where its file is gone or a folder: that is told with its path, and not tried again", () =>
    Effect.gen(function*() {
      const path = yield* dataFolder
      for (const there of [false, true]) {
        if (there) Fs.mkdirSync(path)
        const { failure } = yield* replayed(path)
        assert.deepInclude({ ...failure }, { kind: "not_found", retryable: false })
        assert.include(failure?.detail, path)
      }
    }))

  it.effect("no text of any kind is more than one typed failure", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.array(
            FastCheck.oneof(
              FastCheck.constantFrom(head(), piece, Recording.endLine("ended"), "\n", head({ status: 500 })),
              FastCheck.string({ maxLength: 30 }),
              FastCheck.json().map((json) => `${json}\n`)
            ),
            { maxLength: 6 }
          ),
          async (lines) => {
            const either = Recording.parse(lines.join(""))
            if (Either.isLeft(either)) assert.match(either.left, /^line \d+ is n/)
          }
        ),
        { numRuns: 500 }
      )
    ))
})

describe("through the whole service", () => {
  const eventsOf = async (server: Awaited<ReturnType<typeof start>>, id: string): Promise<ReadonlyArray<TurnEvent>> =>
    (await follow(server, id)).map(({ data }) => JSON.parse(data))

  it.scopedLive("a turn is recorded where `record` is on, and its recording plays a turn with the network off", () =>
    Effect.gen(function*() {
      const dataDir = yield* dataFolder
      vi.stubEnv(keyEnv, canary)
      upstream.reply(() => ({
        headers: { "content-type": ollama.contentType, "set-cookie": "crumb=1" },
        parts: ollama.answer([`your key is ${canary}? `, "no."])
      }))
      yield* Effect.promise(async () => {
        const live = { family: "ollama" as const, baseUrl: upstream.url, apiKeyEnv: keyEnv, models: "any" as const }
        const server = await start({
          dataDir,
          network: { live: true, allowLoopback: true },
          providers: [{ ...live, id: "recorded", record: true }, { ...live, id: "plain" }]
        })
        try {
          for (const provider of ["plain", "recorded"]) {
            const { id } = await submit(server, await newSession(server), { provider, model: "m" })
            assert.strictEqual((await eventsOf(server, id)).at(-1)?.type, "turn.completed")
            assert.strictEqual(filesIn(dataDir).length, provider === "plain" ? 0 : 1)
          }
        } finally {
          await server.stop()
        }
      })
      const file = onlyFile(dataDir)
      assert.notMatch(Fs.readFileSync(file, "utf8"), new RegExp(`${canary}|crumb`))
      const calls = upstream.requests.length
      yield* Effect.promise(async () => {
        const server = await start({
          providers: [
            { id: "again", family: "replay", recording: file },
            { id: "gone", family: "replay", recording: `${file}.gone` }
          ]
        })
        try {
          const { body } = await get(server, "/v1/providers")
          const items = body.items as ReadonlyArray<Record<string, unknown>>
          assert.deepInclude(items.find(({ id }) => id === "again"), { readiness: "ready", family: "replay" })
          assert.deepInclude(items.find(({ id }) => id === "gone"), { readiness: "blocked" })
          const session = await newSession(server)
          for (const message of ["what is my key?", "and now?"]) {
            const { id } = await submit(server, session, { message, provider: "again" })
            const events = await eventsOf(server, id)
            const turn = (await get(server, `/v1/turns/${id}`)).body
            assert.deepInclude(turn, { status: "completed", finishReason: "stop", attempts: 1 })
            assert.strictEqual(turn.text, `your key is ${"*".repeat(canary.length)}? no.`)
            assert.deepInclude(turn.usage as object, { inputTokens: 11, outputTokens: 7 })
            assert.strictEqual(events.at(-1)?.type, "turn.completed")
          }
          const refused = await post(server, `/v1/sessions/${session}/turns`, { message: "hi", provider: "gone" })
          assert.strictEqual(refused.status, 422)
          assert.deepInclude(refused.body, { code: "ProviderBlocked" })
          assert.include(String(refused.body.detail), `${file}.gone`)
        } finally {
          await server.stop()
        }
      })
      assert.strictEqual(upstream.requests.length, calls)
    }))
})

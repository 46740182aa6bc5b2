import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { join } from "node:path"
import { startUpstream } from "../provider/upstream.ts"
import * as Collector from "../telemetry/collector.ts"
import { ask, folder, follow, type Program, run, serve, start, startTurn } from "./harness.ts"

/** Events of turns are folded as soon as they closed, which a start says in its log. */
const config = { drainMs: 500, retention: { days: 0 } }
const folded = /^Retention folded 1 turns$/

/** A folder with one finished turn: the next start has something to say. */
const usedFolder = Effect.gen(function*() {
  const dataDir = yield* folder
  const server = yield* serve({ dataDir })
  const { turnId } = yield* startTurn(server.url, { deltas: 2 })
  yield* Effect.flatMap(follow(server.url, turnId), ({ ended }) => ended)
  yield* server.signal("SIGTERM")
  yield* server.ended
  return dataDir
})

const completeTurn = (url: string) =>
  Effect.gen(function*() {
    const { turnId } = yield* startTurn(url, { deltas: 5 })
    const stream = yield* follow(url, turnId)
    yield* stream.ended
    assert.strictEqual(stream.seen.at(-1)?.event, "turn.completed")
  })

/** Ends it by SIGTERM; answers how long that took. */
const stop = (program: Program) =>
  Effect.gen(function*() {
    const before = performance.now()
    yield* program.signal("SIGTERM")
    assert.strictEqual((yield* program.ended).code, 0, program.stderr())
    return performance.now() - before
  })

/** The log as data; throws on a line that is no JSON. */
const linesOf = (text: string) =>
  text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Record<string, unknown>)

const env = (url: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url })

/** Run before the program: leaves a line in a file for each connection that it opens. */
const recordConnects = `data:text/javascript,${
  encodeURIComponent(`
    import net from "node:net"
    import { appendFileSync } from "node:fs"
    const connect = net.Socket.prototype.connect
    net.Socket.prototype.connect = function(...args) {
      appendFileSync(process.env.CONNECTS, "connect\\n")
      return connect.apply(this, args)
    }
  `)
}`

describe("telemetry of the service", () => {
  it.scopedLive(
    "metrics and log lines reach the collector while it runs and the rest as it stops, with headers and resource",
    () =>
      Effect.gen(function*() {
        const collector = yield* Collector.start
        const dataDir = yield* usedFolder
        const server = yield* serve({
          dataDir,
          config,
          env: {
            ...env(`${collector.url}/`),
            OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20collector-key,x-tenant=t",
            OTEL_SERVICE_NAME: "chat",
            OTEL_RESOURCE_ATTRIBUTES: "service.name=no,deployment.environment.name=a%20b"
          }
        })
        yield* collector.until((received) =>
          Collector.logsOf(received).some((log) => folded.test(String(Collector.messageOf(log))))
        )
        yield* completeTurn(server.url)
        assert.isFalse(collector.received.some(({ path }) => path === "/v1/metrics"), "the last interval has not ended")
        yield* stop(server)
        const metrics = Collector.metricsOf(collector.received).map(({ name }) => name)
        assert.isTrue(metrics.some((name) => /^turnstream[._]commit/.test(name)), metrics.join())
        for (const { body, headers, path } of collector.received) {
          assert.match(path, /^\/v1\/(traces|metrics|logs)$/)
          assert.deepInclude(headers, { authorization: "Bearer collector-key", "x-tenant": "t" })
          const [first] = Object.values(body)[0] as ReadonlyArray<
            { readonly resource: { readonly attributes: unknown } }
          >
          const resource = Collector.attributesOf(first?.resource.attributes)
          assert.deepInclude(resource, { "service.name": "chat", "deployment.environment.name": "a b" })
          assert.match(String(resource["service.version"]), /^\d+\.\d+\.\d+/)
          assert.match(String(resource["service.instance.id"]), /^[0-9a-f-]{36}$/)
        }
        const lines = linesOf(server.stderr())
        for (const { time } of lines) assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
        const messages = lines.map(({ message }) => String(message))
        assert.isTrue(messages.some((message) => folded.test(message)), messages.join())
        assert.includeMembers(messages, ["Turn completed", "Draining", "Drained"])
        const logged = Collector.logsOf(collector.received).map(Collector.messageOf)
        assert.includeMembers(logged, messages)
      }),
    60_000
  )

  it.scopedLive(
    "a turn is one trace, whose ids are in its log line; what was sent and said is in none of it",
    () =>
      Effect.gen(function*() {
        const collector = yield* Collector.start
        const server = yield* serve({
          dataDir: yield* folder,
          env: env(collector.url),
          config: { ...config, providers: [{ id: "deterministic", prices: { input: 1, output: 2 } }] }
        })
        const words = { prompt: "CANARY-prompt", answer: "CANARY-answer", system: "CANARY-system" }
        const { body: session } = yield* ask(`${server.url}/v1/sessions`, "POST", {})
        const { body: turn } = yield* ask(`${server.url}/v1/sessions/${session["id"]}/turns`, "POST", {
          message: words.prompt,
          options: { system: words.system, script: { steps: [{ say: words.answer }] } }
        })
        const stream = yield* follow(server.url, String(turn["id"]))
        yield* stream.ended
        const metrics = yield* Effect.promise(async () => (await fetch(`${server.url}/metrics`)).text())
        yield* stop(server)

        const spans = Collector.spansOf(collector.received)
        const root = spans.find(({ name }) => name === "turn")
        assert.isDefined(root)
        const attributes = Collector.attributesOf(root?.["attributes"])
        assert.deepInclude(attributes, {
          "turnstream.turn.id": turn["id"],
          "gen_ai.conversation.id": session["id"],
          "turnstream.turn.status": "completed"
        })
        const family = spans.filter((span) => span["traceId"] === root?.["traceId"])
        assert.includeMembers(family.map(({ name }) => name), ["context.build", "chat echo", "journal.commit"])
        for (const span of family) {
          if (span !== root) assert.strictEqual(span["parentSpanId"], root?.["spanId"], span.name)
        }
        const call = Collector.attributesOf(family.find(({ name }) => name === "chat echo")?.["attributes"])
        assert.deepInclude(call, { "gen_ai.provider.name": "deterministic", "gen_ai.request.model": "echo" })
        const line = linesOf(server.stderr()).find(({ message }) => message === "Turn completed")
        assert.deepInclude(line, { turn: turn["id"], traceId: root?.["traceId"], spanId: root?.["spanId"] })
        assert.isNumber(line?.["cost"])

        const everything = [server.stderr(), metrics, ...collector.received.map(({ text }) => text)]
        for (const word of Object.values(words)) {
          for (const text of everything) assert.isFalse(text.includes(word), word)
        }
        assert.match(metrics, /^turnstream_cost_total\{.*\} [0-9.e-]+$/m)
      }),
    60_000
  )

  it.scopedLive(
    "a turn that a kill -9 broke off is closed by the next start in a span that links to its own",
    () =>
      Effect.gen(function*() {
        const collector = yield* Collector.start
        const dataDir = yield* folder
        const first = yield* serve({ dataDir, env: env(collector.url) })
        const { turnId } = yield* startTurn(first.url, { deltas: 1_000, delayMs: 20 })
        const stream = yield* follow(first.url, turnId)
        yield* stream.atLeast(6)
        yield* first.signal("SIGKILL")
        yield* first.ended
        const next = yield* serve({ dataDir, env: env(collector.url) })
        yield* stop(next)
        const told = yield* run(["inspect", turnId, "--json"], { dataDir })
        const { trace } = JSON.parse(told.stdout) as {
          readonly trace: { readonly traceId: string; readonly spanId: string }
        }
        const closed = Collector.spansOf(collector.received).find(({ name }) => name === "recovery.turn")
        assert.deepInclude(Collector.attributesOf(closed?.["attributes"]), {
          "turnstream.turn.id": turnId,
          "error.type": "crash"
        })
        const [link] = (closed?.["links"] ?? []) as ReadonlyArray<Record<string, unknown>>
        assert.deepInclude(link, trace)
        const line = linesOf(next.stderr()).find(({ message }) => message === "Turn failed")
        assert.deepInclude(line, { turn: turnId, outcome: "Interrupted", kind: "crash" })
      }),
    60_000
  )

  it.scopedLive("P26: without its variable nothing at all is connected to", () =>
    Effect.gen(function*() {
      const collector = yield* Collector.start
      const connectsWith = (variables: Readonly<Record<string, string>>) =>
        Effect.gen(function*() {
          const dataDir = yield* folder
          const connects = join(dataDir, "connects")
          const nodeArgs = ["--import", recordConnects]
          const server = yield* serve({ dataDir, nodeArgs, env: { CONNECTS: connects, ...variables } })
          yield* completeTurn(server.url)
          yield* stop(server)
          return Fs.existsSync(connects)
        })
      assert.isFalse(yield* connectsWith({ OTEL_EXPORTER_OTLP_HEADERS: "a=b", OTEL_SERVICE_NAME: "x" }))
      assert.isTrue(yield* connectsWith(env(collector.url)), "the recorder sees connections")
    }), 60_000)

  it.scopedLive(
    "P22: a collector that hangs, fails or is not there delays no turn, and a shutdown by a second at most",
    () =>
      Effect.gen(function*() {
        const cases: ReadonlyArray<readonly [Collector.Behaviour | "gone", RegExp]> = [
          [{ _tag: "hangs" }, /did not take everything within 1 second/],
          [{ _tag: "answers", status: 500 }, /answered 500/],
          ["gone", /cannot be reached \(ECONNREFUSED\)/]
        ]
        for (const [behaviour, says] of cases) {
          const { server, stopMs, turnMs } = yield* Effect.scoped(Effect.gen(function*() {
            const dataDir = yield* usedFolder
            const collector = yield* Collector.start
            if (behaviour !== "gone") yield* collector.behave(behaviour)
            const url = behaviour === "gone"
              ? yield* Effect.scoped(Effect.map(Collector.start, ({ url }) => url))
              : collector.url
            const server = yield* serve({ dataDir, config, env: env(url) })
            if (behaviour !== "gone") yield* collector.until((received) => received.length > 0)
            const before = performance.now()
            yield* Effect.forEach([1, 2, 3], () => completeTurn(server.url))
            const turnMs = (performance.now() - before) / 3
            return { server, turnMs, stopMs: yield* stop(server) }
          }))
          const name = JSON.stringify(behaviour)
          assert.isBelow(turnMs, 1_000, name)
          assert.isBelow(stopMs, config.drainMs + 2_000, name)
          const warnings = linesOf(server.stderr()).filter(({ level }) => level === "warn")
          assert.strictEqual(warnings.length, 1, `${name}: ${server.stderr()}`)
          assert.match(String(warnings[0]?.["message"]), says)
        }
      }),
    90_000
  )

  it.scopedLive(
    "P25: the collector's key and a provider's are in no span, metric or log line",
    () =>
      Effect.gen(function*() {
        const canaries = {
          header: "c0ll3ct0r-k3y-0001",
          key: "sk-pr0v1d3r-k3y-0002",
          other: "0ther-k3y-0000-0003",
          token: "t0k3n-4444"
        }
        const dataDir = yield* usedFolder
        const collector = yield* Collector.start
        const vendor = yield* Effect.acquireRelease(Effect.promise(startUpstream), ({ close }) => Effect.promise(close))
        vendor.reply(({ headers }) => ({
          status: 400,
          headers: { "content-type": "application/json", "x-request-id": JSON.stringify(headers) },
          parts: [JSON.stringify({ error: { message: JSON.stringify(headers) } })]
        }))
        const server = yield* serve({
          dataDir,
          config: {
            ...config,
            network: { live: true, allowLoopback: true },
            telemetry: { captureContent: true, logLevel: "debug" },
            providers: [
              { id: "local", family: "openai-compatible", baseUrl: vendor.url, apiKeyEnv: "LOCAL_KEY", models: "any" },
              { id: "other", family: "ollama", baseUrl: vendor.url, apiKeyEnv: "OTHER_KEY", models: "any" }
            ]
          },
          env: {
            // what an operator pasted into the wrong place is in an outage's line and in everything that is exported
            ...env(`${collector.url}/${canaries.other}`),
            OTEL_RESOURCE_ATTRIBUTES: `note=${canaries.key},other=${canaries.header}`,
            OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${canaries.header}`,
            LOCAL_KEY: canaries.key,
            OTHER_KEY: canaries.other,
            TURNSTREAM_TOKEN: canaries.token
          }
        })
        const bearer = { authorization: `Bearer ${canaries.token}` }
        const { body: session } = yield* ask(`${server.url}/v1/sessions`, "POST", {}, bearer)
        for (const provider of ["local", "other"]) {
          const message = `say ${Object.values(canaries).join(" ")}`
          const turn = yield* ask(`${server.url}/v1/sessions/${session["id"]}/turns`, "POST", {
            message,
            provider,
            model: "m"
          }, {
            ...bearer,
            accept: "application/json"
          })
          assert.isBelow(turn.status, 500)
        }
        yield* collector.until((received) => received.length > 0)
        yield* collector.behave({ _tag: "answers", status: 401 })
        yield* stop(server)
        const leaks: Array<string> = []
        const texts = [
          ["stderr", server.stderr()],
          ...collector.received.map(({ path, text }) => [path, text])
        ] as const
        for (const [where, text = ""] of texts) {
          for (const [name, canary] of Object.entries(canaries)) {
            if (text.includes(canary)) leaks.push(`${name} in ${where}`)
          }
        }
        assert.deepStrictEqual(leaks, [])
        assert.isAbove(vendor.requests.length, 0)
        assert.isAbove(linesOf(server.stderr()).length, 1)
      }),
    60_000
  )

  it.scopedLive("at level none is silent, here and at the collector", () =>
    Effect.gen(function*() {
      const collector = yield* Collector.start
      const dataDir = yield* usedFolder
      const silent = { ...config, telemetry: { logLevel: "none" } }
      const server = yield* serve({ dataDir, config: silent, env: env(collector.url) })
      yield* completeTurn(server.url)
      yield* stop(server)
      assert.strictEqual(server.stderr(), "")
      assert.deepStrictEqual(Collector.logsOf(collector.received), [])
      assert.isAbove(Collector.metricsOf(collector.received).length, 0)
    }), 60_000)

  it.scopedLive("what ends the service is the last that it logs and exports", () =>
    Effect.gen(function*() {
      const collector = yield* Collector.start
      const dataDir = yield* folder
      const first = yield* serve({ dataDir, env: env(collector.url) })
      yield* serve({ dataDir }, ["--take-over"])
      assert.strictEqual((yield* first.ended).code, 8)
      const lines = linesOf(first.stderr())
      const line = lines.find(({ level }) => level === "error")
      assert.match(String(line?.["message"]), /^Another process owns the database now/)
      assert.deepInclude(lines[0], { message: "Ready", durability: "full", epoch: 1 })
      assert.include(Collector.logsOf(collector.received).map(Collector.messageOf), line?.["message"])
    }), 60_000)

  it.scopedLive("a stderr that nobody can read any more ends nothing and hangs nothing", () =>
    Effect.gen(function*() {
      const dataDir = yield* usedFolder
      const program = yield* start(["serve"], { dataDir, config, env: env("http://127.0.0.1:9") })
      program.child.stderr?.destroy()
      const [, url = ""] = yield* program.line(/^turnstream ready on (http:\S+)$/)
      yield* completeTurn(url)
      yield* stop(program)
      assert.strictEqual(program.stderr(), "")
    }), 60_000)
})

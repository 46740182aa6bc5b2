/**
 * The way out over real sockets on loopback: what is refused before a socket opens, what a request carries, how sockets
 * end, and how soon a cancel reaches the other side (P11). Only names are invented; their addresses come from the test.
 */
import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import {
  type AddressInfo,
  createServer,
  type LookupFunction,
  setDefaultAutoSelectFamily,
  Socket,
  type TcpSocketConnectOpts
} from "node:net"
import { performance } from "node:perf_hooks"
import type { WireFamily } from "../../src/provider/Family.ts"
import { textOf } from "./adapter-contract.ts"
import { wire } from "./families/OpenAiChatWire.ts"
import { ask, canary, collect, type Limits, withProvider } from "./live.ts"
import { type Reply, startUpstream, type Upstream } from "./upstream.ts"

let upstream: Upstream
beforeAll(async () => {
  upstream = await startUpstream()
})
afterAll(() => upstream.close())

const headers = { "content-type": wire.contentType }
const answer = wire.answer(["one ", "two "])
const good: Reply = { headers, parts: answer }

/** One call at `baseUrl`, with that host allowed, and what came of it. */
const call = (baseUrl: string, limits: Limits = {}) => {
  const hosts = limits.hosts ?? new Set([new URL(baseUrl).host])
  return withProvider(
    wire.family,
    upstream,
    (provider) => collect(provider.stream(ask())),
    { ...limits, hosts },
    { baseUrl }
  )
}

const failureOf = (baseUrl: string, limits?: Limits) =>
  Effect.map(call(baseUrl, limits), ({ events, failure }) => {
    assert.deepStrictEqual(events, [])
    assert.isDefined(failure)
    return failure
  })

const portOf = ({ host }: Upstream) => new URL(`http://${host}`).port

/** One turn of the event loop: sockets move in it, time need not pass. */
const turnOfLoop = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** What another socket's end brings about comes in a few turns of the loop; a test that waits in vain fails. */
const until = (condition: () => boolean) =>
  Effect.gen(function*() {
    const startMs = performance.now()
    while (!condition()) {
      assert.isBelow(performance.now() - startMs, 10_000, "it never came")
      yield* turnOfLoop
    }
  })

const openHere = () => process.getActiveResourcesInfo().filter((name) => /TCP(Socket|Connect)/.test(name)).length

/** A server of bare sockets. */
const bare = (onSocket: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.async<{ readonly port: number; readonly open: () => number; readonly stop: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      const server = createServer((socket) => {
        sockets.add(socket)
        socket.on("close", () => sockets.delete(socket))
        socket.on("error", () => {}).resume()
        onSocket(socket)
      })
      server.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({
          port: (server.address() as AddressInfo).port,
          open: () => sockets.size,
          stop: () => {
            server.close()
            for (const socket of sockets) socket.destroy()
          }
        })))
    }),
    ({ stop }) => Effect.sync(stop)
  )

/** Answers every name with these addresses, and counts. */
const resolver = (...answers: ReadonlyArray<ReadonlyArray<string> | Error>) => {
  const asked: Array<string> = []
  const lookup: LookupFunction = (host, options, done) => {
    assert.isTrue(options.all)
    const found = answers[Math.min(asked.length, answers.length - 1)] ?? []
    asked.push(host)
    if (found instanceof Error) return done(found, "")
    return done(null, found.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })))
  }
  return { asked, lookup }
}

describe("a socket that is used again", () => {
  it.live("has the idle time of a new one, whatever its server says of free ones", () =>
    Effect.gen(function*() {
      upstream.reply(() => good)
      const set = vi.spyOn(Socket.prototype, "setTimeout")
      const idleMs = 17_000
      yield* withProvider(wire.family, upstream, (provider) =>
        Effect.gen(function*() {
          assert.isUndefined((yield* collect(provider.stream(ask()))).failure)
          // Node's server says five seconds, and its agent keeps one of them to itself
          yield* until(() => set.mock.calls.some(([ms]) => ms === 4_000))
          assert.isUndefined((yield* collect(provider.stream(ask()))).failure)
        }), { idleMs })
      const calls = set.mock.calls.map(([ms], index) => ({ ms, socket: set.mock.instances[index] }))
      const freed = calls.findIndex(({ ms }) => ms === 4_000)
      const [next] = calls.slice(freed + 1).filter(({ socket }) => socket === calls[freed]?.socket)
      assert.strictEqual(next?.ms, idleMs)
    }).pipe(Effect.ensuring(Effect.sync(() => vi.restoreAllMocks()))))
})

describe("P26: nothing opens a socket to", () => {
  const refused = (what: string, baseUrl: () => string, hosts?: () => ReadonlyArray<string>) =>
    it.live(`${what}`, () =>
      Effect.gen(function*() {
        const before = upstream.connections()
        upstream.reply(() => good)
        const failure = yield* failureOf(baseUrl(), hosts === undefined ? {} : { hosts: new Set(hosts()) })
        assert.deepInclude({ ...failure }, { kind: "network", retryable: false })
        assert.strictEqual(upstream.connections(), before)
      }))

  refused("a host that the configuration does not name", () => upstream.url, () => ["api.example"])
  refused("another port of a host that it names", () => upstream.url, () => ["127.0.0.1", "127.0.0.1:1"])
  refused("the same address in another spelling", () => `http://127.1:${portOf(upstream)}`, () => [
    `127.1:${portOf(upstream)}`
  ])
  refused("a host behind a name that it does name", () => `http://api.example@${upstream.host}`, () => ["api.example"])
  refused("a private address", () => "https://10.0.0.1")
  refused("a metadata service", () => "https://169.254.169.254")
  refused("a metadata service written as IPv6", () => "https://[::ffff:a9fe:a9fe]")
  refused("another host without https", () => `http://vendor.test:${portOf(upstream)}`)

  it.live("this machine, where loopback is off", () =>
    Effect.gen(function*() {
      const before = upstream.connections()
      for (
        const url of [upstream.url, `http://localhost:${portOf(upstream)}`, `https://localhost.:${portOf(upstream)}`]
      ) {
        const failure = yield* failureOf(url, { allowLoopback: false })
        assert.include(failure.detail, "network.allowLoopback")
      }
      assert.strictEqual(upstream.connections(), before)
    }))
})

describe("P26: names are checked by what they resolve to", () => {
  const name = "vendor.test"

  /** Sockets that resolve their name as Node's do, and note the address instead of connecting: no test leaves the machine. */
  const noting = Effect.acquireRelease(
    Effect.sync(() => {
      const connected: Array<string> = []
      const connect = function(this: Socket, options: TcpSocketConnectOpts) {
        options.lookup?.(options.host ?? "", { all: true }, (error, found) => {
          if (error === null) connected.push(...(Array.isArray(found) ? found.map(({ address }) => address) : [found]))
          process.nextTick(() => this.destroy(error ?? undefined))
        })
        return this
      }
      const spy = vi.spyOn(Socket.prototype, "connect").mockImplementation(connect as Socket["connect"])
      return { connected, spy }
    }),
    ({ spy }) => Effect.sync(() => spy.mockRestore())
  )

  const rebound: ReadonlyArray<readonly [what: string, ReadonlyArray<string>]> = [
    ["this machine", ["127.0.0.1"]],
    ["this machine by IPv6", ["::1"]],
    ["this machine in IPv6", ["::ffff:127.0.0.1"]],
    ["any address of this machine", ["0.0.0.0"]],
    ["a private address", ["192.168.1.1"]],
    ["a metadata service", ["169.254.169.254"]],
    ["a metadata service in IPv6", ["::ffff:a9fe:a9fe"]],
    ["a good address and a bad one", ["8.8.8.8", "127.0.0.1"]],
    ["a bad address and a good one", ["127.0.0.1", "8.8.8.8"]],
    ["no address", []],
    ["what is no address", ["localhost"]]
  ]
  for (const [what, addresses] of rebound) {
    it.live(`a public name that resolves to ${what} is not connected to`, () =>
      Effect.gen(function*() {
        const { connected } = yield* noting
        const { asked, lookup } = resolver(addresses)
        for (const allowLoopback of [false, true]) {
          const failure = yield* failureOf(`https://${name}`, { allowLoopback, lookup })
          assert.deepInclude({ ...failure }, { kind: "network", retryable: false })
          assert.include(failure.detail, "an address that may not be called")
        }
        assert.deepStrictEqual(asked, [name, name])
        assert.deepStrictEqual(connected, [])
      }).pipe(Effect.scoped))
  }

  it.live("a public name is connected to at its public addresses, each one checked", () =>
    Effect.gen(function*() {
      const { connected } = yield* noting
      yield* failureOf(`https://${name}`, resolver(["8.8.8.8", "2606:4700::1"]))
      assert.deepStrictEqual(connected, ["8.8.8.8", "2606:4700::1"])
    }).pipe(Effect.scoped))

  it.live("a name that nobody knows is a failure of the network, and may be tried again", () =>
    Effect.gen(function*() {
      yield* noting
      const { lookup } = resolver(Object.assign(new Error("getaddrinfo ENOTFOUND"), { code: "ENOTFOUND" }))
      const failure = yield* failureOf(`https://${name}`, { lookup })
      assert.deepInclude({ ...failure }, { kind: "network", retryable: true })
      assert.include(failure.detail, "ENOTFOUND")
    }).pipe(Effect.scoped))

  it.live("localhost is this machine or it is nothing", () =>
    Effect.gen(function*() {
      const here = `http://localhost:${portOf(upstream)}`
      for (const addresses of [["8.8.8.8"], ["10.0.0.1"], ["127.0.0.1", "8.8.8.8"]]) {
        assert.isFalse((yield* failureOf(here, resolver(addresses))).retryable)
      }
      upstream.reply(() => good)
      const { failure } = yield* call(here, resolver(["127.0.0.1"]))
      assert.isUndefined(failure)
    }))

  it.live("a name is resolved once for each connection: a second answer is never connected to unseen", () =>
    Effect.gen(function*() {
      // each body is left open, so that the next call needs a connection of its own
      upstream.reply(() => ({ ...good, after: "hang" }))
      const here = `http://localhost:${portOf(upstream)}`
      const { asked, lookup } = resolver(["127.0.0.1"], ["10.0.0.1"])
      const before = upstream.connections()
      yield* withProvider(
        wire.family,
        upstream,
        (provider) =>
          Effect.gen(function*() {
            assert.isUndefined((yield* collect(provider.stream(ask()))).failure)
            assert.strictEqual(asked.length, 1)
            assert.deepInclude({ ...(yield* collect(provider.stream(ask()))).failure }, { kind: "network" })
          }),
        { lookup, hosts: new Set([new URL(here).host]) },
        { baseUrl: here }
      )
      assert.strictEqual(asked.length, 2)
      assert.strictEqual(upstream.connections() - before, 1)
    }))

  it.live("where Node asks for one address it gets one that was checked", () =>
    Effect.gen(function*() {
      yield* Effect.acquireRelease(
        Effect.sync(() => setDefaultAutoSelectFamily(false)),
        () => Effect.sync(() => setDefaultAutoSelectFamily(true))
      )
      upstream.reply(() => good)
      const here = `http://localhost:${portOf(upstream)}`
      assert.isUndefined((yield* call(here, resolver(["127.0.0.1"]))).failure)
      assert.isFalse((yield* failureOf(here, resolver(["127.0.0.1", "10.0.0.1"]))).retryable)
    }).pipe(Effect.scoped))
})

describe("what is sent", () => {
  it.live("exactly the headers that the call needs, also below a span: none of a tracer, no cookie", () =>
    Effect.gen(function*() {
      upstream.reply(() => ({ ...good, headers: { ...headers, "set-cookie": "crumb=1" } }))
      yield* withProvider(wire.family, upstream, (provider) =>
        Effect.gen(function*() {
          for (let count = 0; count < 2; count++) yield* collect(provider.stream(ask()))
        }).pipe(Effect.withSpan("a turn", { attributes: { secret: 1 } })))
      for (const request of upstream.requests.slice(-2)) {
        assert.deepStrictEqual(request.headers, {
          "accept": "text/event-stream",
          "authorization": `Bearer ${canary}`,
          "connection": "keep-alive",
          "content-length": String(Buffer.byteLength(request.body)),
          "content-type": "application/json",
          "host": upstream.host,
          "user-agent": "turnstream"
        })
      }
    }))

  it.live("P26: variables of a proxy are not read", () =>
    Effect.gen(function*() {
      const proxy = yield* bare((socket) => socket.destroy())
      for (const variable of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]) {
        vi.stubEnv(variable, `http://127.0.0.1:${proxy.port}`)
        vi.stubEnv(variable.toLowerCase(), `http://127.0.0.1:${proxy.port}`)
      }
      vi.stubEnv("NODE_USE_ENV_PROXY", "1")
      vi.stubEnv("NO_PROXY", "")
      upstream.reply(() => good)
      assert.isUndefined((yield* call(upstream.url)).failure)
      assert.strictEqual(upstream.requests.at(-1)?.headers.host, upstream.host)
    }).pipe(Effect.scoped))

  it.live("P26: a redirect is not followed, and trying again does not help", () =>
    Effect.gen(function*() {
      for (const status of [300, 301, 302, 303, 307, 308]) {
        const before = upstream.requests.length
        upstream.reply(() => ({ status, headers: { location: `${upstream.url}/elsewhere` } }))
        const failure = yield* failureOf(upstream.url)
        assert.deepInclude({ ...failure }, { kind: "protocol", retryable: false, status })
        assert.include(failure.detail, "redirect")
        assert.strictEqual(upstream.requests.length - before, 1)
      }
    }))
})

describe("sockets", () => {
  it.live("one is used by call after call, also where the answer closed with [DONE]", () =>
    Effect.gen(function*() {
      const before = upstream.connections()
      upstream.reply(() => good)
      yield* withProvider(wire.family, upstream, (provider) =>
        Effect.gen(function*() {
          for (let count = 0; count < 20; count++) {
            assert.isUndefined((yield* collect(provider.stream(ask()))).failure)
          }
          assert.strictEqual(upstream.openSockets(), 1)
        }))
      assert.strictEqual(upstream.connections() - before, 1)
      yield* until(() => upstream.openSockets() === 0)
    }))

  it.live("a body that goes on behind [DONE] is left soon, its answer whole and its socket closed", () =>
    Effect.gen(function*() {
      upstream.reply(() => ({ ...good, after: "hang" }))
      yield* withProvider(wire.family, upstream, (provider) =>
        Effect.gen(function*() {
          const startMs = performance.now()
          const { events, failure } = yield* collect(provider.stream(ask()))
          assert.isUndefined(failure)
          assert.strictEqual(textOf(events), "one two ")
          assert.isBelow(performance.now() - startMs, 2_000)
          yield* Effect.promise(() => upstream.requests.at(-1)?.closed ?? Promise.reject())
        }))
    }))

  it.live("an idle one closes by itself, and the next call opens another", () =>
    Effect.gen(function*() {
      upstream.reply(() => good)
      const before = upstream.connections()
      yield* withProvider(wire.family, upstream, (provider) =>
        Effect.gen(function*() {
          yield* collect(provider.stream(ask()))
          const startMs = performance.now()
          yield* until(() => upstream.openSockets() === 0)
          // not by the vendor's own limit, which is five seconds
          assert.isBelow(performance.now() - startMs, 3_000)
          assert.isUndefined((yield* collect(provider.stream(ask()))).failure)
        }), { idleMs: 80 })
      assert.strictEqual(upstream.connections() - before, 2)
    }))

  it.live("that is used again is watched again: silence on it is told in time", () =>
    Effect.gen(function*() {
      const before = upstream.connections()
      const failure = yield* withProvider(wire.family, upstream, (provider) =>
        Effect.gen(function*() {
          upstream.reply(() => good)
          yield* collect(provider.stream(ask()))
          upstream.reply(() => ({ headers, parts: answer.slice(0, 2), after: "hang" }))
          return (yield* collect(provider.stream(ask()))).failure
        }), { idleMs: 100 })
      assert.deepInclude({ ...failure }, { kind: "stalled", retryable: true })
      assert.strictEqual(upstream.connections() - before, 1)
    }), 5_000)

  it.live("that breaks is not silence, however late its reader is, and silence is not a break", () =>
    Effect.gen(function*() {
      const idleMs = 200
      const parts = answer.slice(0, 2)
      const kindOf = (after: "hang" | "reset", lateMs: number) => {
        upstream.reply(() => ({ headers, parts, after }))
        return withProvider(
          wire.family,
          upstream,
          (provider) => Effect.flip(Stream.runForEach(provider.stream(ask()), () => Effect.sleep(lateMs))),
          { idleMs }
        ).pipe(
          Effect.map(({ kind }) => kind)
        )
      }
      assert.strictEqual(yield* kindOf("reset", idleMs + 100), "incomplete_stream")
      assert.strictEqual(yield* kindOf("hang", idleMs - 100), "stalled")
    }))

  const late = (what: string, baseUrl: (port: number) => string, lookup?: LookupFunction) =>
    it.live(`${what} is a timeout within its limit, and leaves nothing open`, () =>
      Effect.gen(function*() {
        const server = yield* bare(() => {})
        const before = openHere()
        const startMs = performance.now()
        const failure = yield* failureOf(baseUrl(server.port), {
          connectMs: 80,
          firstByteMs: 20_000,
          ...(lookup === undefined ? {} : { lookup })
        })
        const ms = performance.now() - startMs
        assert.deepInclude({ ...failure }, { kind: "timeout", retryable: true })
        assert.include(failure.detail, "no connection within 80 ms")
        assert.isAtLeast(ms, 75)
        assert.isBelow(ms, 5_000)
        yield* until(() => server.open() === 0)
        yield* until(() => openHere() <= before)
      }).pipe(Effect.scoped))

  late("a name that is never resolved", (port) => `http://localhost:${port}`, () => {})
  late("a TLS handshake that never comes", (port) => `https://127.0.0.1:${port}`)

  it.live("a port that nobody listens on is a failure of the network", () =>
    Effect.gen(function*() {
      const { port } = yield* Effect.scoped(bare(() => {}))
      const failure = yield* failureOf(`http://127.0.0.1:${port}`)
      assert.deepInclude({ ...failure }, { kind: "network", retryable: true })
      assert.include(failure.detail, "ECONNREFUSED")
    }))

  it.live("a TLS endpoint that does not speak TLS, or closes, is a failure of the network", () =>
    Effect.gen(function*() {
      for (
        const talk of [
          (socket: Socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"),
          (socket: Socket) => void socket.end(),
          (socket: Socket) => void socket.resetAndDestroy()
        ]
      ) {
        const server = yield* bare(talk)
        const failure = yield* failureOf(`https://127.0.0.1:${server.port}`)
        assert.strictEqual(failure.kind, "network")
        yield* until(() => server.open() === 0)
      }
    }).pipe(Effect.scoped))
})

/** The family, telling when the headers of an answer have come. */
const telling = (onHeaders: () => void): WireFamily => ({
  ...wire.family,
  decoder: (options) => {
    onHeaders()
    return wire.family.decoder(options)
  }
})

describe("P11: interruption", () => {
  const rounds = 200
  const phases = ["before the headers", "after the headers", "in mid-body"] as const

  for (const phase of phases) {
    it.live(`P11: ${phase} the vendor sees the close within 50 ms, 99 of 100 times`, () =>
      Effect.gen(function*() {
        const times: Array<number> = []
        let reached = Effect.void
        const replies: Readonly<Record<typeof phase, Reply>> = {
          "before the headers": { silent: "hang" },
          "after the headers": { headers, after: "hang" },
          "in mid-body": { headers, parts: answer.slice(0, 2), after: "hang" }
        }
        const here = (at: typeof phase) => at === phase ? reached : Effect.void
        upstream.reply(() => {
          Effect.runSync(here("before the headers"))
          return replies[phase]
        })
        const family = telling(() => Effect.runSync(here("after the headers")))
        yield* withProvider(family, upstream, (provider) =>
          Effect.gen(function*() {
            for (let round = 0; round < rounds; round++) {
              const there = yield* Deferred.make<void>()
              reached = Effect.asVoid(Deferred.succeed(there, undefined))
              const fiber = yield* Effect.fork(
                Stream.runForEach(provider.stream(ask()), () => here("in mid-body"))
              )
              yield* Deferred.await(there)
              const request = upstream.requests.at(-1)
              const startMs = performance.now()
              yield* Fiber.interrupt(fiber)
              yield* Effect.promise(() => request?.closed ?? Promise.reject())
              times.push(performance.now() - startMs)
            }
          }))
        times.sort((a, b) => a - b)
        const at = (share: number) => times[Math.ceil(times.length * share) - 1] ?? Number.NaN
        console.log(
          `P11 ${phase}: p50 ${at(0.5).toFixed(2)} ms, p99 ${at(0.99).toFixed(2)} ms, max ${at(1).toFixed(2)} ms`
        )
        assert.strictEqual(times.length, rounds)
        assert.isBelow(at(0.99), 50)
      }))
  }

  it.live("P24: an answer that switches protocols is one failure, and its broken socket ends nothing", () =>
    Effect.gen(function*() {
      upstream.reply(() => ({
        raw: "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
      }))
      yield* withProvider(wire.family, upstream, (provider) =>
        Effect.gen(function*() {
          for (let round = 0; round < 5; round++) {
            const failure = yield* Effect.flip(Stream.runDrain(provider.stream(ask())))
            assert.deepInclude({ ...failure }, { kind: "protocol", retryable: false })
            assert.include(failure.detail, "101")
            yield* Effect.promise(() => upstream.requests.at(-1)?.closed ?? Promise.reject())
          }
        }))
      // both ends of a socket close in a turn of the event loop of their own
      const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
      for (let count = 0; count < 100 && upstream.openSockets() > 0; count++) yield* turn
      assert.strictEqual(upstream.openSockets(), 0)
    }))

  const long = wire.answer(Array.from({ length: 40 }, (_, index) => `${index} `))

  it.live("P11: 400 calls left at any moment leave no socket open and no error unhandled", () =>
    Effect.gen(function*() {
      const faults: Array<unknown> = []
      const note = (fault: unknown) => faults.push(fault)
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.on("uncaughtExceptionMonitor", note).on("warning", note)
        }),
        () =>
          Effect.sync(() => {
            process.off("uncaughtExceptionMonitor", note).off("warning", note)
          })
      )
      const before = openHere()
      const asked = upstream.requests.length
      let headersSeen = 0
      // the same moments in every run
      let seed = 20_301
      const chance = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
      const seen = { whole: 0, begun: 0 }
      upstream.reply(() => ({ headers, parts: long }))
      yield* withProvider(telling(() => headersSeen++), upstream, (provider) =>
        Effect.gen(function*() {
          const run = Effect.gen(function*() {
            let begun = false
            const fiber = yield* Effect.fork(Stream.runForEach(provider.stream(ask()), () =>
              Effect.sync(() => {
                if (!begun) seen.begun++
                begun = true
              })))
            let turns = 0
            const whole = () => fiber.unsafePoll() !== null
            return { fiber, whole, turn: Effect.map(turnOfLoop, () => ++turns), turns: () => turns }
          })
          // how many turns of the event loop a whole call takes here and now
          let most = 0
          for (let count = 0; count < 5; count++) {
            const { fiber, turn, turns, whole } = yield* run
            while (!whole()) yield* turn
            yield* Fiber.join(fiber)
            most = Math.max(most, turns())
          }
          seen.begun = 0
          headersSeen = 0
          for (let round = 0; round < 400; round++) {
            const moment = Math.floor(chance() * (most + 2))
            const { fiber, turn, turns, whole } = yield* run
            while (turns() < moment && !whole()) yield* turn
            if (whole()) seen.whole++
            yield* Fiber.interrupt(fiber)
          }
        }))
      yield* until(() => upstream.openSockets() === 0)
      yield* until(() => openHere() <= before)
      for (let count = 0; count < 20; count++) yield* turnOfLoop
      assert.deepStrictEqual(faults, [])
      const arrived = upstream.requests.length - asked - 5
      console.log(`of 400: ${arrived} arrived, ${headersSeen} answered, ${seen.begun} began, ${seen.whole} whole`)
      // every phase was hit
      assert.isBelow(arrived, 400)
      assert.isBelow(headersSeen, arrived)
      assert.isBelow(seen.whole, headersSeen)
      assert.isAbove(seen.whole, 0)
    }).pipe(Effect.scoped))
})

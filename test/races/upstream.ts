/**
 * A model's server on loopback that notes when a client's socket closes, and the smallest adapter that calls it: one
 * request a call, and an interruption destroys its socket. The message names what the server does.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { type ProviderFailure, providerFailure, UnknownProvider } from "../../src/domain/TurnError.ts"
import type { ProviderEvent } from "../../src/provider/Provider.ts"
import { ProviderRegistry } from "../../src/provider/ProviderRegistry.ts"

/** `silent`: takes the request and says nothing; `streaming`: one word, then nothing; `ends`: one word; `fails`: 503. */
export type Behaviour = "silent" | "streaming" | "ends" | "fails"

export interface Upstream {
  readonly url: string
  readonly calls: () => number
  /** Milliseconds of `performance` at which the socket of the newest call closed. */
  readonly closed: () => Promise<number>
  /** Completes when the next call has arrived. */
  readonly arrived: () => Promise<void>
}

const serve = (): Promise<{ readonly upstream: Upstream; readonly stop: () => Promise<void> }> =>
  new Promise((resolve) => {
    let calls = 0
    let closed: Promise<number> = Promise.resolve(0)
    let wake: () => void = () => undefined
    const server = Http.createServer((request, response) => {
      calls++
      closed = new Promise((done) => request.socket.once("close", () => done(performance.now())))
      request.resume()
      switch (request.url) {
        case "/fails":
          response.writeHead(503).end()
          break
        case "/streaming":
          response.writeHead(200).write("word ")
          break
        case "/ends":
          response.writeHead(200).end("word ")
          break
        default:
          break
      }
      wake()
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo // it listens on a port, not on a pipe
      resolve({
        upstream: {
          url: `http://127.0.0.1:${port}`,
          calls: () => calls,
          closed: () => closed,
          arrived: () =>
            new Promise((done) => {
              wake = done
            })
        },
        stop: () =>
          new Promise((done) => {
            server.close(() => done())
            server.closeAllConnections()
          })
      })
    })
  })

export const upstream = Effect.map(
  Effect.acquireRelease(Effect.promise(serve), ({ stop }) => Effect.promise(stop)),
  (served) => served.upstream
)

const call = (url: string): Stream.Stream<ProviderEvent, ProviderFailure> =>
  Stream.async<ProviderEvent, ProviderFailure>((emit) => {
    const failed = (kind: ProviderFailure["kind"]) => void emit.fail(providerFailure("upstream", kind))
    const request = Http.request(url, { agent: false, method: "POST" }, (response) => {
      if (response.statusCode !== 200) {
        response.resume()
        failed("overloaded")
        return
      }
      response.setEncoding("utf8")
      response.on("data", (text: string) => void emit.single({ _tag: "Delta", kind: "text", text }))
      response.on("end", () => {
        void emit.single({ _tag: "Finish", reason: "stop" })
        void emit.end()
      })
    })
    request.on("error", () => failed("network"))
    request.end()
    return Effect.sync(() => request.destroy())
  }, 16)

export const layerRegistry = (upstream: Upstream) =>
  Layer.succeed(ProviderRegistry, {
    defaults: { provider: "upstream", model: () => "only" },
    resolve: (id) =>
      id === "upstream"
        ? Effect.succeed({
          provider: {
            id,
            usageSource: "reported",
            stream: ({ messages }) => {
              const question = messages.findLast(({ role }) => role === "user")?.parts[0]
              return call(`${upstream.url}/${question?.type === "text" ? question.text : "silent"}`)
            }
          },
          model: { id: "only", contextWindow: 100_000, contextWindowFrom: "configured", maxOutputTokens: 1_000 },
          capabilities: { streaming: true, tools: false, reasoning: false, prefix: true },
          generation: {}
        })
        : Effect.fail(new UnknownProvider({ providerId: id, known: ["upstream"] })),
    prices: () => undefined,
    diagnostics: Effect.succeed([])
  })

import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { type Reply, type Request, startUpstream } from "../provider/upstream.ts"
import { ask, folder, run, serve } from "./harness.ts"

/** One canary a place where a secret may be, so that a leak names its source. No two share a part of 8 characters. */
const canaries = {
  token: "tok-c4n4ry-one-0001",
  key: "sk-k3yk3y-two-00002",
  amazonKey: "aws-s3cr3t-four-0004",
  wrongToken: "bad-b34r3r-six-00006",
  basic: "dXNlcjpiYXNpYy1sZWFr",
  cookie: "crumb-c00k1e-nine-09",
  query: "q-p4r4m3t3r-ten-0010"
}

/** Providers on one vendor, whose raw answers are recorded. */
const configOf = (baseUrl: string) => ({
  network: { live: true, allowLoopback: true },
  providers: [
    { id: "local", family: "openai-compatible", baseUrl, apiKeyEnv: "LOCAL_KEY", models: "any", record: true },
    { id: "openai", baseUrl, apiKeyEnv: "OPENAI_API_KEY", record: true },
    { id: "bedrock", family: "bedrock", region: "us-east-1", baseUrl, record: true }
  ]
})

/** A vendor that says back what it was sent: in an error, in a stream's text, in a stream's error. */
const echo = ({ headers }: Request, index: number): Reply => {
  const said = JSON.stringify(headers)
  const error = { error: { message: `you sent ${said}` } }
  const event = (data: unknown) => `data: ${JSON.stringify(data)}\n\n`
  return index % 2 === 0
    ? {
      status: 401,
      headers: { "content-type": "application/json", "x-request-id": said },
      parts: [JSON.stringify(error)]
    }
    : {
      headers: { "content-type": "text/event-stream" },
      parts: [
        event({ choices: [{ delta: { content: said } }] }),
        event({ type: "response.output_text.delta", delta: said }),
        event(error)
      ]
    }
}
const env = {
  TURNSTREAM_TOKEN: canaries.token,
  LOCAL_KEY: canaries.key,
  OPENAI_API_KEY: canaries.key,
  AWS_ACCESS_KEY_ID: canaries.amazonKey,
  AWS_SECRET_ACCESS_KEY: canaries.amazonKey
}

/** Which canaries stand in a text or in bytes. */
const found = (content: string | Buffer): ReadonlyArray<string> =>
  Object.entries(canaries).filter(([, value]) => content.includes(value)).map(([name]) => name)

const filesOf = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesOf(join(folder, entry.name)) : [join(folder, entry.name)]
  )

/** The whole answer, headers too, as it came. */
const answerOf = (url: string, request: string, headers: ReadonlyArray<string>, body = "") =>
  Effect.async<string>((resume) => {
    const { host, port } = new URL(url)
    let text = ""
    const all = [`Host: ${host}`, "Connection: close", `Content-Length: ${body.length}`, ...headers].join("\r\n")
    const socket = connect(
      Number(port),
      "127.0.0.1",
      () => socket.write(`${request} HTTP/1.1\r\n${all}\r\n\r\n${body}`)
    )
    socket.setEncoding("utf8").on("data", (part: string) => {
      text += part
    })
    socket.on("close", () => resume(Effect.succeed(text)))
  })

const bearer = `Authorization: Bearer ${canaries.token}`

describe("P25: no secret leaves", () => {
  it.scopedLive(
    "P25: a canary in tokens, keys, headers and addresses is in no answer, log line, file, metric or process title",
    () =>
      Effect.gen(function*() {
        const dataDir = yield* folder
        const vendor = yield* Effect.acquireRelease(
          Effect.promise(startUpstream),
          ({ close }) => Effect.promise(close)
        )
        vendor.reply(echo)
        const config = configOf(vendor.url)
        const server = yield* serve({ dataDir, config, env })
        const { url } = server
        const session = yield* ask(`${url}/v1/sessions`, "POST", {}, { authorization: `Bearer ${canaries.token}` })
        const id = String(session.body["id"])
        const json = "Content-Type: application/json"
        // each answer is a stream that ends with its turn
        const post = [bearer, json, "Accept: text/event-stream"]
        const leaks: Array<string> = []
        const look = (what: string, content: string | Buffer) => {
          for (const name of found(content)) leaks.push(`${name} in ${what}`)
        }

        const gets = [
          "/v1/bootstrap",
          "/v1/providers",
          "/v1/sessions",
          `/v1/sessions/${id}`,
          `/v1/sessions/${id}/turns`,
          `/v1/sessions/${id}/messages`,
          `/v1/sessions/${id}/export`,
          `/v1/sessions/${id}/events?live=false`,
          "/v1/usage?by=provider,model",
          "/health/live",
          "/health/ready",
          "/metrics",
          "/openapi.json",
          "/docs",
          "/",
          "/nope"
        ]
        const wrong = [
          [],
          [`Authorization: Bearer ${canaries.wrongToken}`],
          [`Authorization: Basic ${canaries.basic}`],
          [bearer, `Authorization: Bearer ${canaries.wrongToken}`],
          [
            bearer,
            `Cookie: session=${canaries.cookie}`,
            `X-Api-Key: ${canaries.key}`,
            `Origin: http://${canaries.cookie}`
          ]
        ]
        for (const path of gets) {
          look(path, yield* answerOf(url, `GET ${path}`, [bearer]))
          for (const headers of wrong) look(`${path}, refused`, yield* answerOf(url, `GET ${path}`, headers))
        }
        const turns = `POST /v1/sessions/${id}/turns`
        const live = [["local", "any"], ["openai", "gpt"], ["bedrock", "claude"]] as const
        for (
          const body of [
            { message: "x" },
            ...live.flatMap(([provider, model]) => [1, 2].map(() => ({ message: "x", provider, model }))),
            { message: "x", provider: "anthropic", model: "claude" },
            { message: "x", options: { script: { steps: [{ fail: { kind: "authentication" } }] } } },
            { message: "x", api_key: canaries.query },
            { message: 7 }
          ]
        ) look(JSON.stringify(body), yield* answerOf(url, turns, post, JSON.stringify(body)))
        assert.isAtLeast(vendor.requests.length, 2 * live.length)
        // the vendor did see the keys
        assert.deepStrictEqual(found(JSON.stringify(vendor.requests.map(({ headers }) => headers))), [
          "key",
          "amazonKey"
        ])
        const address = `/v1/sessions?api_key=${canaries.query}&access_token=${canaries.query}`
        look("an address", yield* answerOf(url, `GET ${address}`, [bearer]))
        look("an address, refused", yield* answerOf(url, `GET ${address}`, []))

        for (const args of [["doctor"], ["sessions"], ["sessions", "--json"], ["doctor", "--json"]]) {
          const { stderr, stdout } = yield* run(args, { dataDir, config, env })
          look(args.join(" "), stdout + stderr)
        }
        for (const token of [canaries.token, canaries.wrongToken]) {
          const talk = yield* run(["turn", "hello", "--url", url], {
            dataDir,
            env: { ...env, TURNSTREAM_TOKEN: token }
          })
          look("turn --url", talk.stdout + talk.stderr)
          assert.strictEqual(talk.code, token === canaries.token ? 0 : 2, talk.stderr)
        }
        if (process.platform === "linux") {
          for (const name of ["cmdline", "comm"]) look(name, Fs.readFileSync(`/proc/${server.child.pid}/${name}`))
        }
        yield* server.signal("SIGTERM")
        assert.strictEqual((yield* server.ended).code, 0)
        look("the log", server.stderr() + server.stdout())
        const files = filesOf(dataDir)
        assert.isTrue(files.some((file) => file.endsWith("turnstream.db")))
        assert.strictEqual(files.filter((file) => file.endsWith(".jsonl")).length, vendor.requests.length)
        for (const file of files) look(file, Fs.readFileSync(file))
        assert.deepStrictEqual(leaks, [])
      }),
    60_000
  )

  it.scopedLive("P25: settings that are refused are named without their values", () =>
    Effect.gen(function*() {
      const secret = canaries.key
      const cases: ReadonlyArray<readonly [config: unknown, env: Record<string, string>]> = [
        [{ providers: [{ id: "local", family: "openai-compatible", baseUrl: "http://x", apiKeyEnv: secret }] }, {}],
        [{ providers: [{ id: "local", family: "openai-compatible", baseUrl: `http://u:${secret}@127.0.0.1/v1` }] }, {}],
        [
          { providers: [{ id: "local", family: "openai-compatible", baseUrl: `http://127.0.0.1/v1?key=${secret}` }] },
          {}
        ],
        [{ providers: [{ id: "local", apiKey: secret }] }, {}],
        [{ defaults: { provider: secret } }, {}],
        [undefined, { TURNSTREAM_PORT: secret }],
        [undefined, { TURNSTREAM_DURABILITY: secret }]
      ]
      for (const [index, [config, env]] of cases.entries()) {
        const dataDir = yield* folder
        const { code, stderr, stdout } = yield* run(["serve"], { dataDir, config, env })
        assert.strictEqual(code, 2, `case ${index}: ${stderr}`)
        assert.deepStrictEqual(found(stdout + stderr), [], `case ${index}: ${stderr}`)
      }
    }), 60_000)
})

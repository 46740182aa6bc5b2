/** `doctor --probe` as a real process against a vendor on loopback: one call, said beforehand, or none at all. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { wire } from "../provider/families/OpenAiChatWire.ts"
import { canary, keyEnv } from "../provider/live.ts"
import { type Reply, startUpstream, type Upstream } from "../provider/upstream.ts"
import { folder, run, type Settings, start } from "./harness.ts"

let upstream: Upstream
beforeAll(async () => {
  upstream = await startUpstream()
})
afterAll(() => upstream.close())

const headers = { "content-type": wire.contentType }
const json = { "content-type": "application/json" }
const good: Reply = { headers, parts: wire.answer(["o", "k"]) }

const env = { [keyEnv]: canary }
const config = (rest: object = {}) => ({
  network: { live: true, allowLoopback: true },
  providers: [
    { id: "vendor", family: "openai-compatible", baseUrl: `${upstream.url}/v1`, apiKeyEnv: keyEnv, models: "any" },
    {
      id: "listed",
      family: "openai-compatible",
      baseUrl: `${upstream.url}/v1`,
      apiKeyEnv: keyEnv,
      models: [{ id: "first" }, { id: "second" }]
    }
  ],
  ...rest
})

/** Runs doctor in a folder of its own, and counts the vendor's calls. */
const doctor = (args: ReadonlyArray<string>, reply: Reply = good, settings: Omit<Settings, "dataDir"> = {}) =>
  Effect.gen(function*() {
    const dataDir = yield* folder
    const before = upstream.requests.length
    upstream.reply(() => reply)
    const ended = yield* run(["doctor", ...args], { env, config: config(), ...settings, dataDir })
    const calls = upstream.requests.slice(before)
    for (let from = 0; from + 8 <= canary.length; from++) {
      assert.notInclude(ended.stdout + ended.stderr, canary.slice(from, from + 8))
    }
    return { ...ended, all: ended.stdout + ended.stderr, calls, files: Fs.readdirSync(dataDir).sort() }
  })

const probe = ["--probe", "vendor", "--model", "m-1"]

describe("doctor --probe", () => {
  it.scopedLive("says that it calls before it does, calls once, and tells what the answer was and cost", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const before = upstream.requests.length
      const program = yield* start(["doctor", ...probe], { dataDir, env, config: config() })
      const saidFirst = new Promise<Reply>((resolve) => {
        upstream.reply(() => {
          const look = () => {
            if (/Calling vendor once, with model m-1\. A live provider may bill it\./.test(program.stderr())) {
              resolve(good)
            }
          }
          program.child.stderr?.on("data", look)
          look()
          return saidFirst
        })
      })
      assert.strictEqual((yield* program.ended).code, 0, program.stdout() + program.stderr())
      assert.match(
        program.stdout(),
        /ok vendor: model m-1 answered "ok" in \d+ ms \(first output after \d+ ms\), finish stop, 11 input and 7 output tokens\n/
      )
      assert.match(program.stdout(), /All is well\.\n$/)
      const calls = upstream.requests.slice(before)
      assert.strictEqual(calls.length, 1)
      assert.strictEqual(calls[0]?.headers.authorization, `Bearer ${canary}`)
      assert.deepInclude(JSON.parse(calls[0]?.body ?? ""), { model: "m-1", stream: true, max_tokens: 16 })
      assert.deepStrictEqual(Fs.readdirSync(dataDir), ["turnstream.json"], "nothing of it is kept")
    }))

  it.scopedLive("a model without a provider to probe is a wrong usage", () =>
    Effect.gen(function*() {
      const { all, calls, code } = yield* doctor(["--model", "m-1"])
      assert.deepStrictEqual([code, calls], [2, []])
      assert.match(all, /--model: is the model of a probe; add --probe <provider>/)
    }))

  it.scopedLive("without it nobody is called, however ready the providers are", () =>
    Effect.gen(function*() {
      const { calls, code, stdout } = yield* doctor([])
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(calls, [])
      assert.match(stdout, /ok vendor: unproven.*CANARY_KEY set/)
      assert.notMatch(stdout, /^probe$/m)
    }))

  it.scopedLive("uses the provider's default model where none is named, and asks for a name where there is none", () =>
    Effect.gen(function*() {
      const listed = yield* doctor(["--probe", "listed"])
      assert.strictEqual(listed.code, 0, listed.all)
      assert.deepStrictEqual(listed.calls.map(({ body }) => JSON.parse(body).model), ["first"])
      const open = yield* doctor(["--probe", "vendor"])
      assert.strictEqual(open.code, 4)
      assert.deepStrictEqual(open.calls, [])
      assert.match(open.all, /No model is named for provider "vendor"/)
    }))

  it.scopedLive(
    "a provider that is blocked or unknown is not called: exit 4, with what to do",
    () =>
      Effect.gen(function*() {
        const cases: ReadonlyArray<
          readonly [args: ReadonlyArray<string>, settings: Omit<Settings, "dataDir">, says: RegExp]
        > = [
          [
            probe,
            { config: config({ network: { live: false, allowLoopback: true } }) },
            /live network is off.*Set network\.live to true/
          ],
          [probe, { config: config({ network: { live: true } }) }, /Set network\.allowLoopback to true/],
          [probe, { config: config({ network: {} }) }, /live network is off/],
          [probe, { env: {} }, /CANARY_KEY is not set.*Set CANARY_KEY/],
          [probe, { env: { [keyEnv]: "" } }, /CANARY_KEY is not set/],
          [["--probe", "vendr"], {}, /No provider "vendr"\. Did you mean "vendor"\?/],
          [["--probe", "listed", "--model", "third"], {}, /has no model "third"/],
          [["--probe", "anthropic", "--model", "m"], {}, /ANTHROPIC_API_KEY is not set/]
        ]
        for (const [args, settings, says] of cases) {
          const { all, calls, code } = yield* doctor(args, good, settings)
          assert.strictEqual(code, 4, all)
          assert.match(all, says)
          assert.notMatch(all, /Calling/)
          assert.deepStrictEqual(calls, [])
        }
      }),
    60_000
  )

  it.scopedLive("P25: a refused key is exit 5, naming its variable and not the key, however the vendor quotes it", () =>
    Effect.gen(function*() {
      const { all, calls, code } = yield* doctor(probe, {
        status: 401,
        headers: { ...json, "x-request-id": `r-${canary}` },
        parts: [wire.errorBody(`Incorrect API key provided: ${canary} (${canary.slice(0, 12)}...${canary.slice(-8)})`)]
      })
      assert.strictEqual(code, 5)
      assert.match(all, /failed with authentication \(HTTP 401\).*the key is read from CANARY_KEY/)
      assert.match(all, /1 of \d+ checks failed/)
      assert.strictEqual(calls.length, 1)
    }))

  it.scopedLive(
    "a failure that a turn would try again is told at once: one call, exit 5",
    () =>
      Effect.gen(function*() {
        const replies: ReadonlyArray<readonly [Reply, says: RegExp]> = [
          [
            { status: 429, headers: { ...json, "retry-after": "1" }, parts: [wire.errorBody("slow down")] },
            /rate_limit/
          ],
          [{ status: 503 }, /overloaded/],
          [{ silent: "reset" }, /network/],
          [{ headers, parts: wire.answer(["half"]).slice(0, -wire.endFrames) }, /incomplete_stream/],
          [{ status: 307, headers: { location: `${upstream.url}/elsewhere` } }, /redirect/]
        ]
        for (const [reply, says] of replies) {
          const { all, calls, code } = yield* doctor(probe, reply)
          assert.strictEqual(code, 5, all)
          assert.match(all, says)
          assert.strictEqual(calls.length, 1)
        }
      }),
    60_000
  )

  it.scopedLive(
    "a vendor that never answers, or never ends, is left after limits.firstTokenMs",
    () =>
      Effect.gen(function*() {
        const half: Reply = { headers, parts: wire.answer(["half"]).slice(0, -wire.endFrames), after: "hang" }
        for (const reply of [{ silent: "hang" as const }, half]) {
          const { all, calls, code } = yield* doctor(probe, reply, {
            config: config({ limits: { firstTokenMs: 400 } })
          })
          assert.strictEqual(code, 5, all)
          assert.match(all, /failed with timeout.* within 400 ms/)
          assert.strictEqual(calls.length, 1)
          yield* Effect.promise(() => calls[0]?.closed ?? Promise.reject())
        }
      }),
    60_000
  )

  it.scopedLive("an answer with control characters and of any length is one short, plain line", () =>
    Effect.gen(function*() {
      const text = `\u001b[31mred\u0007\n${"word ".repeat(2_000)}`
      const { code, stdout } = yield* doctor(probe, { headers, parts: wire.answer([text]) })
      assert.strictEqual(code, 0)
      // eslint-disable-next-line no-control-regex -- control characters are what this is about
      assert.notMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f]/)
      const line = stdout.split("\n").find((one) => one.includes("answered")) ?? ""
      assert.include(line, "red")
      assert.isBelow(line.length, 250)
    }))
})

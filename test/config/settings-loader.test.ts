import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { isAbsolute, join } from "node:path"
import { ConfigFile, Settings } from "../../src/config/Settings.ts"
import { layer, layerWith, load, parse, SettingsError } from "../../src/config/SettingsLoader.ts"

const withEnv = (env: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)), { pathDelim: "_", seqDelim: "," }))

const loadWith = (env: Readonly<Record<string, string>>) => load.pipe(withEnv(env))

/** A file of this text in a folder of its own, removed with the test's scope. */
const configFile = (text: string | Buffer) =>
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "turnstream-config-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  ).pipe(Effect.map((folder) => {
    const path = join(folder, "config.json")
    writeFileSync(path, text)
    return path
  }))

const faultOf = (file: unknown) => Effect.flip(parse("config.json", JSON.stringify(file)))

const local = { id: "local", family: "openai-compatible", baseUrl: "http://127.0.0.1:9000/v1", models: "any" }
const providers = (...list: ReadonlyArray<object>) => ({ providers: list })

describe("settings", () => {
  it.effect("with no file and no variable every setting has its documented default", () =>
    Effect.gen(function*() {
      const settings = yield* loadWith({})
      assert.strictEqual(settings.host, "127.0.0.1")
      assert.strictEqual(settings.port, 4790)
      assert.isTrue(isAbsolute(settings.dataDir) && settings.dataDir.endsWith(".turnstream"))
      assert.strictEqual(settings.durability, "full")
      assert.isUndefined(settings.token)
      assert.strictEqual(settings.defaults.provider, "deterministic")
      assert.deepStrictEqual(settings.network, { live: false, allowLoopback: false })
      assert.strictEqual(settings.limits.runningTurns, 64)
      assert.strictEqual(settings.limits.outputBytesPerTurn, 1_048_576)
      assert.deepStrictEqual(settings.recovery, { onRestart: "interrupt", maxResumes: 3 })
      assert.strictEqual(settings.drainMs, 10_000)
      assert.deepStrictEqual(settings.providers, [])
    }))

  it.effect("variables set what they name, and an empty one counts as absent", () =>
    Effect.gen(function*() {
      const settings = yield* loadWith({
        TURNSTREAM_HOST: "[::1]",
        TURNSTREAM_PORT: "0",
        TURNSTREAM_DATA_DIR: "/data",
        TURNSTREAM_DURABILITY: "relaxed",
        TURNSTREAM_TOKEN: "secret"
      })
      assert.strictEqual(settings.host, "::1")
      assert.strictEqual(settings.port, 0)
      assert.strictEqual(settings.dataDir, "/data")
      assert.strictEqual(settings.durability, "relaxed")
      assert.strictEqual(settings.token === undefined ? undefined : Redacted.value(settings.token), "secret")
      const empty = yield* loadWith({
        TURNSTREAM_HOST: "",
        TURNSTREAM_PORT: "",
        TURNSTREAM_DATA_DIR: "",
        TURNSTREAM_DURABILITY: "",
        TURNSTREAM_TOKEN: "",
        TURNSTREAM_CONFIG: ""
      })
      assert.deepStrictEqual(empty, yield* loadWith({}))
    }))

  const badVariables: ReadonlyArray<readonly [string, string]> = [
    ["TURNSTREAM_PORT", "65536"],
    ["TURNSTREAM_PORT", "-1"],
    ["TURNSTREAM_PORT", "80x"],
    ["TURNSTREAM_PORT", "8e3"],
    ["TURNSTREAM_DURABILITY", "FULL"],
    ["TURNSTREAM_TOKEN", "two words"],
    ["TURNSTREAM_TOKEN", "näh"],
    ["TURNSTREAM_HOST", "0.0.0.0"],
    ["TURNSTREAM_HOST", "127.0.0.1.example"],
    ["TURNSTREAM_CONFIG", "/nowhere/at/all.json"],
    ["TURNSTREAM_CONFIG", tmpdir()]
  ]
  for (const [name, value] of badVariables) {
    it.effect(`${name}=${value} stops the start and is named`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(loadWith({ [name]: value }))
        assert.instanceOf(error, SettingsError)
        assert.strictEqual(error.source, name === "TURNSTREAM_CONFIG" ? value : name)
        assert.include(error.message, error.next)
        if (name === "TURNSTREAM_TOKEN") assert.notInclude(error.message, value)
      }))
  }

  it.effect("a host that others can reach is accepted with a token only", () =>
    Effect.gen(function*() {
      const settings = yield* loadWith({ TURNSTREAM_HOST: "0.0.0.0", TURNSTREAM_TOKEN: "secret" })
      assert.strictEqual(settings.host, "0.0.0.0")
      const error = yield* Effect.flip(loadWith({ TURNSTREAM_HOST: "::" }))
      assert.match(error.message, /Set TURNSTREAM_TOKEN/)
    }))

  it.scoped("the named file is read, and what it leaves out keeps its default", () =>
    Effect.gen(function*() {
      const text = JSON.stringify({
        limits: { runningTurns: 2 },
        ...providers(local),
        defaults: { provider: "local", model: "m" }
      })
      const settings = yield* loadWith({ TURNSTREAM_CONFIG: yield* configFile(`\uFEFF${text}`) })
      assert.strictEqual(settings.limits.runningTurns, 2)
      assert.strictEqual(settings.limits.eventStreams, 256)
      assert.deepStrictEqual(settings.providers.map((provider) => provider.id), ["local"])
      assert.strictEqual(settings.defaults.provider, "local")
    }))

  it.scoped("the protocol's example file is accepted as it stands", () =>
    Effect.gen(function*() {
      const file = yield* parse(
        "example",
        JSON.stringify({
          defaults: { provider: "local", model: "any-name", system: "You are brief." },
          network: { live: true, allowLoopback: true },
          limits: {
            runningTurns: 64,
            eventStreams: 256,
            outputBytesPerTurn: 1048576,
            firstTokenMs: 60000,
            idleMs: 30000,
            totalMs: 600000
          },
          providers: [
            { ...local, apiKeyEnv: "LOCAL_KEY", contextWindow: 128000, maxOutputTokens: 8192 },
            {
              id: "anthropic",
              family: "anthropic",
              apiKeyEnv: "ANTHROPIC_API_KEY",
              models: [{ id: "claude-x", contextWindow: 200000, maxOutputTokens: 8192 }]
            },
            { id: "bedrock", family: "bedrock", region: "us-east-1", apiKeyEnv: "AWS_BEARER_TOKEN_BEDROCK" }
          ]
        })
      )
      assert.strictEqual(file.providers.length, 3)
    }))

  const badTexts: ReadonlyArray<readonly [string, string | Buffer, RegExp]> = [
    ["an empty file", "", /not valid JSON/],
    ["a trailing comma", '{\n  "drainMs": 1,\n}', /line 3, column 1/],
    ["an array", "[]", /: must be an object\./],
    ["null", "null", /: must be an object\./],
    ["a file of more than 1 MiB", Buffer.alloc(1_048_577, " "), /larger than 1048576 bytes/]
  ]
  for (const [name, text, message] of badTexts) {
    it.scoped(`${name} stops the start, naming the file`, () =>
      Effect.gen(function*() {
        const path = yield* configFile(text)
        const error = yield* Effect.flip(loadWith({ TURNSTREAM_CONFIG: path }))
        assert.strictEqual(error.source, path)
        assert.match(error.message, message)
      }))
  }

  const model = { id: "m", contextWindow: 1000, maxOutputTokens: 100 }
  const faults: ReadonlyArray<readonly [string, unknown, string]> = [
    ["an unknown key", { limit: {} }, "limit"],
    ["an unknown key in limits", { limits: { runningTurn: 1 } }, "limits.runningTurn"],
    [
      "an unknown key in a model",
      providers({ ...local, models: [{ ...model, window: 1 }] }),
      "providers[0].models[0].window"
    ],
    ["a number as text", { drainMs: "10" }, "drainMs"],
    ["a limit of zero", { limits: { idleMs: 0 } }, "limits.idleMs"],
    ["a time that a timer cannot hold", { limits: { totalMs: 2 ** 31 } }, "limits.totalMs"],
    ["a provider without id", providers({ family: "anthropic" }), "providers[0].id"],
    ["a duplicate provider", providers({ id: "openai" }, { id: "openai" }), "providers[1].id"],
    ["a duplicate model", providers({ ...local, models: [model, model] }), "providers[0].models[1].id"],
    ["an unknown family", providers({ id: "x", family: "nearly" }), "providers[0].family"],
    ["no family, unknown to the catalogue", providers({ id: "mine" }), "providers[0].family"],
    ["deterministic in another family", providers({ ...local, id: "deterministic" }), "providers[0].family"],
    ["openai-compatible without baseUrl", providers({ id: "x", family: "openai-compatible" }), "providers[0].baseUrl"],
    ["a baseUrl of another scheme", providers({ ...local, baseUrl: "file:///x" }), "providers[0].baseUrl"],
    ["a baseUrl that is no URL", providers({ ...local, baseUrl: "127.0.0.1:9000" }), "providers[0].baseUrl"],
    ["credentials in a baseUrl", providers({ ...local, baseUrl: "http://u:p@host/v1" }), "providers[0].baseUrl"],
    [
      "a window no larger than the answer",
      providers({ id: "openai" }, { ...local, models: [model, { ...model, id: "n", maxOutputTokens: 1000 }] }),
      "providers[1].models[1].contextWindow"
    ],
    [
      "a model's window no larger than the provider's answer",
      providers({ ...local, maxOutputTokens: 2000, contextWindow: 4000, models: [{ id: "m", contextWindow: 2000 }] }),
      "providers[0].models[0].contextWindow"
    ],
    [
      "an answer that fills the assumed window",
      providers({ ...local, maxOutputTokens: 8192 }),
      "providers[0].contextWindow"
    ],
    [
      "a window no larger than the configured generation",
      providers({ ...local, contextWindow: 500, generation: { maxOutputTokens: 500 } }),
      "providers[0].contextWindow"
    ],
    ["a replay without its recording", providers({ id: "r", family: "replay" }), "providers[0].recording"],
    ["a recording of no name", providers({ id: "r", family: "replay", recording: "" }), "providers[0].recording"],
    ["a recording for another family", providers({ ...local, recording: "a.jsonl" }), "providers[0].recording"],
    [
      "a recording for a family of the catalogue",
      providers({ id: "openai", recording: "a.jsonl" }),
      "providers[0].recording"
    ],
    ["a switch to record that is none", providers({ ...local, record: "yes" }), "providers[0].record"],
    ["a region of no name", providers({ id: "bedrock", region: "" }), "providers[0].region"],
    ["a region in capitals", providers({ id: "bedrock", region: "US-EAST-1" }), "providers[0].region"],
    ["a region that is a host", providers({ id: "bedrock", region: "us-east-1.other.example" }), "providers[0].region"],
    ["a region that ends the host", providers({ id: "bedrock", region: "x/" }), "providers[0].region"],
    ["a region that names a user", providers({ id: "bedrock", region: "x@y" }), "providers[0].region"],
    ["a region that is too long", providers({ id: "bedrock", region: "a".repeat(65) }), "providers[0].region"],
    [
      "an unknown word for a quirk",
      providers({ ...local, quirks: { maxTokensField: "tokens" } }),
      "providers[0].quirks.maxTokensField"
    ],
    [
      "an unknown way to reason",
      providers({ ...local, quirks: { reasoning: "hard" } }),
      "providers[0].quirks.reasoning"
    ],
    [
      "a quirk that is no switch",
      providers({ ...local, quirks: { streamOptions: "no" } }),
      "providers[0].quirks.streamOptions"
    ],
    ["an unknown prefix", providers({ ...local, quirks: { prefixField: "x" } }), "providers[0].quirks.prefixField"],
    ["an unknown quirk", providers({ ...local, quirks: { odd: true } }), "providers[0].quirks.odd"],
    ["a query in a baseUrl", providers({ ...local, baseUrl: "http://host/v1?key=k" }), "providers[0].baseUrl"],
    ["an unknown default provider", { defaults: { provider: "opnai" } }, "defaults.provider"],
    ["a host with a scheme", { hosts: ["http://a.example"] }, "hosts[0]"],
    ["an origin with a path", { origins: ["https://a.example", "https://a.example/"] }, "origins[1]"],
    ["an unknown recovery", { recovery: { onRestart: "retry" } }, "recovery.onRestart"]
  ]
  for (const [name, file, path] of faults) {
    it.effect(`${name} is refused at ${path}`, () =>
      Effect.gen(function*() {
        const error = yield* faultOf(file)
        assert.strictEqual(error.path, path, error.message)
        assert.match(error.message, /^config\.json: .*\.$/)
      }))
  }

  const words: ReadonlyArray<readonly [string, unknown, string]> = [
    [
      "a family",
      providers({ id: "x", family: "foo" }),
      'must be "deterministic", "openai-compatible", "openai-responses", "anthropic", "bedrock", "ollama" or "replay".'
    ],
    ["a recovery", { recovery: { onRestart: "retry" } }, 'recovery.onRestart: must be "interrupt" or "resume".'],
    ["models", providers({ ...local, models: "some" }), 'providers[0].models: must be "any" or an array.'],
    ["an object", { limits: [] }, "limits: must be an object."],
    ["a switch", { network: { live: "yes" } }, "network.live: must be true or false."],
    [
      "a region",
      providers({ id: "bedrock", region: "Frankfurt" }),
      "providers[0].region: must be the name of a region, for example us-east-1."
    ],
    [
      "a quirk",
      providers({ ...local, quirks: { prefixField: "x" } }),
      'providers[0].quirks.prefixField: must be "prefix" or "partial".'
    ],
    ["an id", providers({ ...local, id: "a b" }), "providers[0].id: must be 1 to 64 characters of A-Z a-z 0-9 _ . -."],
    ["a number", { limits: { idleMs: 0 } }, "limits.idleMs: must be a number between 1 and 2147483647."]
  ]
  for (const [name, file, text] of words) {
    it.effect(`${name} that does not fit is told what may stand there, in words`, () =>
      Effect.gen(function*() {
        const error = yield* faultOf(file)
        assert.include(error.message, text)
        assert.notMatch(error.message, /[{}|]|Expected|readonly/)
      }))
  }

  const defaultModels: ReadonlyArray<readonly [string, unknown, RegExp]> = [
    [
      "one that deterministic has not",
      { defaults: { model: "nope" } },
      /Use one of echo, story, slow, fails, stalls, flaky/
    ],
    ["an empty name", { defaults: { model: "" } }, /is missing/],
    [
      "one that a configured list has not",
      { ...providers({ ...local, models: [{ id: "a" }, { id: "b" }] }), defaults: { provider: "local", model: "c" } },
      /Use one of a, b/
    ],
    [
      "one that another deterministic provider has not",
      { ...providers({ id: "d2", family: "deterministic" }), defaults: { provider: "d2", model: "x" } },
      /Use one of echo/
    ],
    ["none, for a provider with an open list", { ...providers(local), defaults: { provider: "local" } }, /is missing/],
    ["none, for a provider of the catalogue", { defaults: { provider: "openai" } }, /is missing/],
    [
      "none, for an empty list",
      { ...providers({ ...local, models: [] }), defaults: { provider: "local" } },
      /is missing/
    ]
  ]
  for (const [name, file, says] of defaultModels) {
    it.effect(`a default model that is ${name} is refused at the start`, () =>
      Effect.gen(function*() {
        const error = yield* faultOf(file)
        assert.strictEqual(error.path, "defaults.model")
        assert.match(error.message, says)
      }))
  }

  it.effect("a replay with its recording, recorded providers, regions and every quirk are accepted", () =>
    Effect.gen(function*() {
      const file = yield* parse(
        "config.json",
        JSON.stringify(providers(
          { id: "r", family: "replay", recording: "/tmp/a.jsonl" },
          { id: "bedrock", region: "us-gov-east-1", record: true },
          {
            ...local,
            quirks: {
              maxTokensField: "max_completion_tokens",
              reasoning: "none",
              streamOptions: false,
              prefixField: "partial"
            }
          }
        ))
      )
      assert.deepStrictEqual(file.providers.map(({ recording, region }) => recording ?? region), [
        "/tmp/a.jsonl",
        "us-gov-east-1",
        undefined
      ])
    }))

  it.effect("a default model of the list, any of an open one, and the first where none is named are accepted", () =>
    Effect.gen(function*() {
      const list = { ...local, models: [{ id: "a" }, { id: "b" }] }
      for (
        const file of [
          { defaults: { model: "story" } },
          { ...providers(list), defaults: { provider: "local", model: "b" } },
          { ...providers(list), defaults: { provider: "local" } },
          { ...providers(local), defaults: { provider: "local", model: "whatever" } },
          { defaults: { provider: "anthropic", model: "whatever" } }
        ]
      ) {
        const { defaults } = yield* parse("config.json", JSON.stringify(file))
        assert.deepInclude(defaults, file.defaults)
      }
    }))

  it.effect("an unknown default provider is answered with the known ids", () =>
    Effect.gen(function*() {
      const error = yield* faultOf({ defaults: { provider: "x" }, ...providers(local) })
      for (const id of ["local", "deterministic", "openai", "anthropic", "bedrock", "ollama"]) {
        assert.include(error.message, id)
      }
    }))

  it.effect("P25: no value of the file reaches an error", () =>
    Effect.gen(function*() {
      const key = "sk-canary-0123456789"
      const files: ReadonlyArray<unknown> = [
        providers({ ...local, apiKeyEnv: key }),
        providers({ ...local, family: key }),
        providers({ ...local, contextWindow: key }),
        providers({ ...local, baseUrl: key }),
        providers({ ...local, baseUrl: `https://user:${key}@host` }),
        { defaults: { provider: key } },
        { drainMs: key },
        { origins: [key] },
        key
      ]
      for (const file of files) {
        const error = yield* faultOf(file)
        assert.notInclude(error.message, key)
        assert.notInclude(JSON.stringify(error), key)
      }
      const malformed = yield* Effect.flip(parse("config.json", `{"providers": [${key}]}`))
      assert.notInclude(malformed.message, key)
    }))

  it.effect("the layer gives what was loaded", () =>
    Effect.gen(function*() {
      const settings = yield* Settings
      assert.strictEqual(settings.port, 1234)
    }).pipe(Effect.provide(layer), withEnv({ TURNSTREAM_PORT: "1234" })))

  it.effect("a test's overrides replace what they name and leave the other limits", () =>
    Effect.gen(function*() {
      const settings = yield* Settings
      assert.strictEqual(settings.limits.idleMs, 5)
      assert.strictEqual(settings.limits.totalMs, 600_000)
      assert.strictEqual(settings.drainMs, 1)
      assert.strictEqual(settings.port, 0)
    }).pipe(Effect.provide(layerWith({ limits: { idleMs: 5 }, drainMs: 1 }))))
})

describe("where telemetry is exported", () => {
  const endpoint = "http://127.0.0.1:4318"
  const otlpOf = (env: Readonly<Record<string, string>>) =>
    Effect.map(loadWith({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, ...env }), ({ otlp }) => otlp)

  it.effect("is nowhere without an endpoint, whatever else is set", () =>
    Effect.gen(function*() {
      const { otlp } = yield* loadWith({ OTEL_EXPORTER_OTLP_HEADERS: "a=b", OTEL_RESOURCE_ATTRIBUTES: "no list" })
      assert.isUndefined(otlp)
    }))

  it.effect("has headers and attributes as OpenTelemetry writes them; the service's name wins over an attribute", () =>
    Effect.gen(function*() {
      const otlp = yield* otlpOf({
        OTEL_EXPORTER_OTLP_ENDPOINT: `${endpoint}/base//`,
        OTEL_EXPORTER_OTLP_HEADERS: "Authorization=Bearer%20a%3Db, x-tenant = t ,",
        OTEL_RESOURCE_ATTRIBUTES: "service.name=a,deployment.environment.name=b%20c%2Cd,empty=",
        OTEL_SERVICE_NAME: "chat"
      })
      assert.strictEqual(otlp?.endpoint, `${endpoint}/base`)
      assert.deepStrictEqual(otlp && Redacted.value(otlp.headers), { authorization: "Bearer a=b", "x-tenant": "t" })
      assert.deepStrictEqual(otlp?.resource, {
        "service.name": "chat",
        "deployment.environment.name": "b c,d",
        empty: ""
      })
      assert.deepStrictEqual((yield* otlpOf({}))?.resource, {})
    }))

  it.effect("is refused where it is malformed, by variable and without its value", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [name: string, value: string]> = [
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "canary:4318"],
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:canary@host"],
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "http://host/?key=canary"],
        ["OTEL_EXPORTER_OTLP_HEADERS", "canary"],
        ["OTEL_EXPORTER_OTLP_HEADERS", "=canary"],
        ["OTEL_EXPORTER_OTLP_HEADERS", "a=canary%0d%0ab"],
        ["OTEL_EXPORTER_OTLP_HEADERS", "a b=canary"],
        ["OTEL_RESOURCE_ATTRIBUTES", "canary"],
        ["OTEL_RESOURCE_ATTRIBUTES", "a=canary%"]
      ]
      for (const [name, value] of cases) {
        const error = yield* Effect.flip(otlpOf({ [name]: value }))
        assert.deepInclude(error, { _tag: "SettingsError", source: name })
        assert.notInclude(error.message, "canary")
      }
    }))
})

describe("unknown keys", () => {
  const full = {
    defaults: { provider: "local", model: "m", system: "s" },
    network: { live: true, allowLoopback: true },
    limits: { runningTurns: 1 },
    recovery: { onRestart: "resume", maxResumes: 1 },
    providers: [{
      ...local,
      models: [{ id: "m", contextWindow: 1000, maxOutputTokens: 100 }],
      capabilities: { tools: true },
      generation: { temperature: 1 }
    }]
  }
  type Json = { readonly [key: string]: unknown } | ReadonlyArray<unknown>
  const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null

  /** Every object of the file, as the path that leads to it. */
  const objectsOf = (value: unknown, path: ReadonlyArray<string> = []): ReadonlyArray<ReadonlyArray<string>> =>
    isObject(value)
      ? [
        ...(Array.isArray(value) ? [] : [path]),
        ...Object.entries(value).flatMap(([key, item]) => objectsOf(item, [...path, key]))
      ]
      : []

  const withKey = (value: unknown, path: ReadonlyArray<string>, key: string): unknown => {
    const [step, ...rest] = path
    if (!isObject(value)) return value
    if (step === undefined) return { ...value, [key]: 1 }
    return Array.isArray(value)
      ? value.map((item, index) => String(index) === step ? withKey(item, rest, key) : item)
      : Object.fromEntries(
        Object.entries(value).map(([name, item]) => [name, name === step ? withKey(item, rest, key) : item])
      )
  }

  const paths = objectsOf(full)
  const accepts = Schema.is(ConfigFile)

  it("the file under test is accepted without the extra key, and holds an object of every kind", () => {
    assert.isTrue(accepts(Schema.decodeUnknownSync(ConfigFile, { onExcessProperty: "error" })(full)))
    assert.strictEqual(paths.length, 9)
  })

  it.effect("no key beyond the documented ones is accepted anywhere, and the error says where", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.constantFrom(...paths),
          FastCheck.string({ minLength: 1, maxLength: 12 }).map((key) => `x${key}`),
          async (path, key) => {
            const error = await Effect.runPromise(faultOf(withKey(full, path, key)))
            assert.isTrue(error.path.endsWith(key), `${error.path} for ${key}`)
            assert.include(error.message, "is not a setting")
          }
        ),
        { numRuns: 300 }
      )
    ))
})

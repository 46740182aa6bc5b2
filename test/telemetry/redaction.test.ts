import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Redacted from "effect/Redacted"
import { Settings } from "../../src/config/Settings.ts"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import * as Redaction from "../../src/telemetry/Redaction.ts"

const known = ["correct horse", 'qu"ote\\d-key', "correct horse battery", "short"]
const { text: shown } = Redaction.make(() => known)

describe("P25: the redaction of what is logged and exported", () => {
  it("masks every value that it was told, the longest first, also as JSON or an address holds it", () => {
    assert.strictEqual(shown("a correct horse battery b"), "a *** b")
    assert.strictEqual(shown("a correct horse b correct horse battery"), "a *** b ***")
    assert.strictEqual(shown(`plain ${known[1]}`), "plain ***")
    assert.strictEqual(shown(JSON.stringify({ is: known[1] })), '{"is":"***"}')
    assert.strictEqual(shown(`?q=${encodeURIComponent("correct horse battery")}&x`), "?q=***&x")
  })

  it("leaves what is too short to be one, and what only begins like one", () => {
    for (const text of ["short", "correct hors", "", "a turn completed", "skip", "t_01jabcdefghjkmnpqrstvwxyz"]) {
      assert.strictEqual(shown(text), text)
    }
  })

  it("masks what looks like a key although nobody named it", () => {
    const cases: ReadonlyArray<readonly [text: string, expected: string]> = [
      ["key sk-proj-abcdefghijklmn", "key ***"],
      ["AKIAIOSFODNN7EXAMPLE", "***"],
      ["Bearer abc.def-ghi", "Bearer ***"],
      ["Authorization: Basic dXNlcjpw", "Authorization: ***"],
      ["authorization=Bearer%20abcdefgh", "authorization=***"],
      ['{"authorization":"Token x1","a":1}', '{"authorization":"***","a":1}'],
      ['"{\\"Proxy-Authorization\\":\\"x1y2\\"}"', '"{\\"Proxy-Authorization\\":\\"***\\"}"'],
      ["x-api-key: 12ab, more", "x-api-key: ***, more"],
      ["Cookie: a=b; c", "Cookie: ***; c"],
      ["keys:\nsk-proj-abcdefghijklmn", "keys:\n***"],
      ["authorization:\n    at connect", "authorization:\n    ***"],
      ['{"m":"authorization:\\n at"}', '{"m":"authorization:\\n at"}'],
      ["pkg-config-thing skipped_attempts", "pkg-config-thing skipped_attempts"]
    ]
    for (const [text, expected] of cases) assert.strictEqual(shown(text), expected)
  })

  it("is the same a second time, and lets nothing of a secret through wherever it stands", () => {
    const noise = FastCheck.string({ maxLength: 30 })
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.tuple(noise, FastCheck.constantFrom(...known.slice(0, 3)))),
        (parts) => {
          const once = shown(parts.map(([before, secret]) => before + secret).join(""))
          for (const secret of known.slice(0, 3)) assert.notInclude(once, secret)
          assert.strictEqual(shown(once), once)
        }
      )
    )
  })

  const env = {
    TURNSTREAM_TOKEN: "token-of-mine-1",
    MY_OWN_KEY: "configured-key-2",
    GROQ_API_KEY: "catalogue-key-3",
    AWS_SESSION_TOKEN: "session-of-4444",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Custom%20collector-5,x-tenant=tenant-key-6",
    HOME: "no-secret-at-all"
  }
  const secrets = Object.values(env).slice(0, 4).concat("collector-5", "tenant-key-6")

  it("knows the values of all variables that the catalogue names before any settings are read", () => {
    const { text } = Redaction.fromVariables(env)
    const known = secrets.filter((secret) => secret !== env.MY_OWN_KEY)
    assert.strictEqual(text(known.join(" ")), known.map(() => "***").join(" "))
    assert.strictEqual(text(`${env.HOME} ${env.MY_OWN_KEY}`), `${env.HOME} ${env.MY_OWN_KEY}`)
  })

  it.effect("knows the settings' secrets and the values of the variables that they name", () =>
    Effect.gen(function*() {
      const settings = yield* Settings
      const { text } = yield* Redaction.fromSettings({ settings, otlp: settings.otlp })
      const all = [...secrets, "from-settings-7", "Custom header-of-8888", "header-of-8888"]
      assert.strictEqual(text(all.join(" ")), all.map(() => "***").join(" "))
      assert.strictEqual(text(env.HOME), env.HOME)
    }).pipe(
      Effect.provide(SettingsLoader.layerWith({
        token: Redacted.make("from-settings-7"),
        otlp: { endpoint: "http://x", headers: Redacted.make({ authorization: "Custom header-of-8888" }) },
        providers: [{ id: "mine", family: "ollama", apiKeyEnv: "MY_OWN_KEY" }]
      })),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)), { pathDelim: "_ _" }))
    ))
})

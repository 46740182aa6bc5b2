/** `doctor` on telemetry, budgets and prices: what is used, what to do where it is used up, and no secret shown. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { budgetFindings, pricesFinding, telemetryFindings } from "../../src/cli/DoctorTelemetry.ts"
import { type ProviderSetting, Settings } from "../../src/config/Settings.ts"
import * as SettingsLoader from "../../src/config/SettingsLoader.ts"
import { DatabaseError } from "../../src/journal/Database.ts"
import type { Journal } from "../../src/journal/Journal.ts"
import * as JournalMemory from "../../src/journal/JournalMemory.ts"
import { writeLedger } from "../journal/ledger.ts"

const settingsWith = (overrides: SettingsLoader.Overrides) =>
  Effect.runSync(Effect.provide(Settings, SettingsLoader.layerWith(overrides)))

describe("telemetry", () => {
  const lines = (overrides: SettingsLoader.Overrides) =>
    telemetryFindings(settingsWith(overrides)).map(({ kind, text }) => [kind, text])

  it("nothing is exported or captured by default, and that is a fact", () => {
    const found = lines({})
    assert.deepStrictEqual(found.map(([kind]) => kind), ["fact", "fact", "fact"])
    assert.match(
      found.map(([, text]) => text).join("\n"),
      /^export: none.*\nlog: from level \w+\ncontent: not captured/
    )
  })

  it("P25: a collector is named by its host, never with a path or a header, and captured content is a warning", () => {
    const found = lines({
      otlp: {
        endpoint: "https://collector.example:4318/tenant-canary-1",
        headers: Redacted.make({ "x-canary-2": "canary-3" })
      },
      telemetry: { captureContent: true, logLevel: "none" }
    })
    assert.deepStrictEqual(found[0], [
      "fine",
      "export: traces, metrics and logs go to collector.example:4318, with 1 header (not shown)"
    ])
    assert.deepStrictEqual(found[1], ["fact", "log: none"])
    assert.strictEqual(found[2]?.[0], "warning")
    assert.include(found[2]?.[1], "telemetry.captureContent")
    assert.notInclude(JSON.stringify(found), "canary")
  })
})

describe("budgets", () => {
  const limits = { tokensPerSession: 40_000, tokensPerDay: 37_320, databaseBytes: 1_000_000 }
  const found = (limits: SettingsLoader.Overrides["limits"] = {}, ...ledger: Parameters<typeof budgetFindings>) =>
    Effect.map(
      Effect.provide(budgetFindings(...ledger), SettingsLoader.layerWith({ limits })),
      (findings) => findings.map(({ kind, text }) => [kind, text])
    )

  it.effect("each shows what is used now, and one that is used up says what helps", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.parse("2026-01-02T23:59:59.999Z"))
      const ledger = Layer.effectDiscard(writeLedger).pipe(Layer.orDie, Layer.provideMerge(JournalMemory.layer))
      assert.deepStrictEqual(yield* found(limits, ledger), [
        ["fine", "budget limits.tokensPerSession: 36,900 of 40,000 tokens of the session that used most"],
        [
          "warning",
          "budget limits.tokensPerDay: 37,320 of 37,320 tokens today (UTC). Turns are refused until midnight UTC, or until the budget is raised."
        ],
        ["fine", "budget limits.databaseBytes: 0 of 1,000,000 bytes in use"]
      ])
      yield* TestClock.adjust(1)
      const [, today] = yield* found(limits, ledger)
      assert.deepStrictEqual(today, ["fine", "budget limits.tokensPerDay: 0 of 37,320 tokens today (UTC)"])
    }))

  it.effect("without a database nothing is used, and one that cannot be read is not opened twice", () =>
    Effect.gen(function*() {
      const [none] = yield* found(limits, "none yet")
      assert.deepStrictEqual(none, ["fact", "budget limits.tokensPerSession: 40,000; nothing is used yet"])
      const [unreadable] = yield* found(limits, "unreadable")
      assert.include(unreadable?.[1], "cannot be read")
      const old = Layer.fail(new DatabaseError({ kind: "migration", path: "/p", detail: "version 3" }))
      const [migrating] = yield* found(limits, old)
      assert.strictEqual(migrating?.[0], "fact")
      assert.include(migrating?.[1], "what is used cannot be read: The schema of /p does not fit")
    }))

  it.effect("none configured: their names, and no database is opened for it", () =>
    Effect.gen(function*() {
      const [only, ...rest] = yield* found({}, Layer.die("opened") as Layer.Layer<Journal>)
      assert.lengthOf(rest, 0)
      assert.strictEqual(only?.[0], "fact")
      for (const name of Object.keys(limits)) assert.include(only?.[1], `limits.${name}`)
    }))
})

describe("prices", () => {
  const text = (...providers: ReadonlyArray<ProviderSetting>) => pricesFinding(settingsWith({ providers }))

  it("are counted by provider and by model; none is told as what it means", () => {
    assert.deepInclude(text({ id: "groq" }, { id: "vllm", prices: {} }), { kind: "fact" })
    assert.include(text().text, "unknown until providers[].prices")
    assert.deepStrictEqual(
      text({ id: "groq", prices: { input: 0 } }, {
        id: "vllm",
        models: [{ id: "a", prices: { output: 1 } }, { id: "b" }, { id: "c", prices: { input: 1 } }]
      }),
      { kind: "fine", text: "prices: of 1 provider and of 2 single models; what others cost is unknown" }
    )
  })
})

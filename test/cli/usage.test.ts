/** `usage`: what nobody knows never reads as 0, an estimate never as a report, and a server's ledger reads as a file's. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Amounts from "../../src/cli/Amounts.ts"
import * as Usage from "../../src/cli/Usage.ts"
import * as UsageReader from "../../src/cli/UsageReader.ts"
import * as UsageReaderHttp from "../../src/cli/UsageReaderHttp.ts"
import { unknown } from "../../src/domain/UsageSum.ts"
import * as JournalMemory from "../../src/journal/JournalMemory.ts"
import { writeLedger } from "../journal/ledger.ts"
import { capture } from "./capture.ts"

/** What the command says of a ledger. */
const said = (asked: Usage.Asked, options: { readonly json?: boolean; readonly ledger?: typeof writeLedger } = {}) =>
  Effect.gen(function*() {
    yield* options.ledger ?? writeLedger
    const out = capture()
    const query = yield* Usage.queryOf(asked)
    yield* Usage.usage(query, options.json ?? false).pipe(Effect.provide(Layer.merge(out.layer, UsageReader.layer)))
    return { stdout: out.stdout(), stderr: out.stderr() }
  }).pipe(Effect.provide(JournalMemory.layer))

const nothing = Effect.void as typeof writeLedger

describe("usage", () => {
  it.effect("is a table with a sum at its end: unknown is told, estimates and sums that leave something out are marked", () =>
    Effect.gen(function*() {
      const { stderr, stdout } = yield* said({ by: "day,provider,model" })
      assert.strictEqual(
        stdout,
        `day         provider       model  source         turns    input   output    total  context        cost
2026-01-02  deterministic  echo   deterministic      1  unknown  unknown  unknown  unknown     unknown
2026-01-02  deterministic  echo   estimated          1     ~400      ~20     ~420  unknown  ~<0.000001
2026-01-02  deterministic  echo   reported           3   36,000      900   36,900    12.5%        0.3+
total                                                5  ~36,400     ~920  ~37,320   ~12.5%       ~0.3+
`
      )
      assert.match(stderr, /^~ holds estimates: /)
      assert.include(stderr, "+ is the least: what 2 attempts cost is not known")
    }))

  it.effect("rows are told apart by source whatever was asked for, so that no estimate is added to a report", () =>
    Effect.gen(function*() {
      const { stdout } = yield* said({ by: "session" }, { json: true })
      const rows = stdout.trimEnd().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual(
        rows.map(({ session, source, turns }) => [session, source, turns]),
        [["a", "reported", 3], ["b", "deterministic", 1], ["b", "estimated", 1]]
      )
      assert.deepInclude(rows[0], { cost: 0.3, unpricedAttempts: 1, contextPercent: 12.5 })
      assert.deepStrictEqual(rows[1], { session: "b", source: "deterministic", turns: 1, usage: { ...unknown } })
      const first = yield* said({ by: "source,turn" })
      assert.match(first.stdout, /^source {9}turn /)
    }))

  it.effect("conditions narrow the rows and the sum alike", () =>
    Effect.gen(function*() {
      const { stderr, stdout } = yield* said({ by: "turn", session: "a", from: "2026-01-02", to: "2026-01-02" })
      const lines = stdout.trimEnd().split("\n").map((line) => line.trim().split(/ {2,}/))
      assert.deepStrictEqual(lines.map(([name]) => name), ["turn", "t1", "t2", "t3", "total"])
      assert.deepStrictEqual(lines.at(-1), ["total", "3", "36,000", "900", "36,900", "12.5%", "0.3+"])
      assert.notInclude(stdout + stderr, "~")
    }))

  it.effect("an empty ledger says what to do, and so do flags that fit nothing", () =>
    Effect.gen(function*() {
      const empty = yield* said({ by: "day" }, { ledger: nothing })
      assert.strictEqual(empty.stdout, "")
      assert.include(empty.stderr, 'turnstream turn "hello"')
      const none = yield* said({ by: "day", session: "nobody" })
      assert.strictEqual(none.stdout, "")
      assert.include(none.stderr, "turnstream usage")
      const asJson = yield* said({ by: "day" }, { json: true, ledger: nothing })
      assert.deepStrictEqual(asJson, { stdout: "", stderr: "" })
    }))

  it.effect("a flag that is malformed is refused by its name", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [path: string, asked: Usage.Asked]> = [
        ["--by", { by: "" }],
        ["--by", { by: "user" }],
        ["--session", { session: "a b" }],
        ["--provider", { provider: "" }],
        ["--model", { model: "" }],
        ["--from", { from: "2026-02-30" }],
        ["--to", { to: "yesterday" }],
        ["--from", { from: "2026-01-02", to: "2026-01-01" }]
      ]
      for (const [path, asked] of cases) assert.strictEqual((yield* Effect.flip(Usage.queryOf(asked))).path, path)
      const order = yield* Effect.flip(Usage.queryOf({ from: "2026-01-02", to: "2026-01-01" }))
      assert.include(order.message, "--to")
    }))

  it.effect("names of others stay one cell of one line", () =>
    Effect.gen(function*() {
      const out = capture()
      const items = [{ model: "a\n\u001b[2Jb", source: "reported" as const, turns: 1, usage: unknown }]
      const reader = Layer.succeed(UsageReader.UsageReader, { page: () => Effect.succeed({ items }) })
      const query = yield* Usage.queryOf({ by: "model" })
      yield* Effect.provide(Usage.usage(query, false), Layer.merge(out.layer, reader))
      assert.include(out.stdout(), "\na \ufffd[2Jb  reported")
      assert.include(out.stderr(), "providers[].prices")
    }))
})

describe("usage of a server", () => {
  const server = (answers: ReadonlyArray<{ readonly status: number; readonly json: unknown }>) => {
    const asked: Array<URL> = []
    const client = HttpClient.make((request, url) =>
      Effect.sync(() => {
        const { json, status } = answers[Math.min(asked.length, answers.length - 1)] ?? { status: 500, json: {} }
        asked.push(url)
        return HttpClientResponse.fromWeb(request, new Response(JSON.stringify(json), { status }))
      })
    )
    const reader = UsageReaderHttp.layer("http://127.0.0.1:4790/base")
    return { asked, layer: Layer.provide(reader, Layer.succeed(HttpClient.HttpClient, client)) }
  }
  const run = (layer: ReturnType<typeof server>["layer"], asked: Usage.Asked) =>
    Effect.gen(function*() {
      const out = capture()
      const query = yield* Usage.queryOf(asked)
      yield* Effect.provide(Usage.usage(query, true), Layer.merge(out.layer, layer))
      return out.stdout().trimEnd().split("\n").map((line) => JSON.parse(line))
    })
  const item = (turn: string) => ({ turn, source: "reported", turns: 1, usage: unknown, cost: 0.25 })

  it.effect("is asked the same question, page by page, to the end", () =>
    Effect.gen(function*() {
      const { asked, layer } = server([
        { status: 200, json: { items: [item("t1")], nextCursor: "1" } },
        { status: 200, json: { items: [item("t2")] } }
      ])
      const rows = yield* run(layer, { by: "turn", session: "s_1", model: "a&b=c", from: "2026-01-01" })
      assert.deepStrictEqual(rows, [item("t1"), item("t2")])
      const question = { session: "s_1", model: "a&b=c", from: "2026-01-01", by: "turn,source", limit: "10000" }
      assert.deepStrictEqual(asked.map(({ pathname }) => pathname), ["/base/v1/usage", "/base/v1/usage"])
      assert.deepStrictEqual(asked.map(({ searchParams }) => Object.fromEntries(searchParams)), [
        question,
        { ...question, cursor: "1" }
      ])
    }))

  it.effect("a refusal keeps the server's code, and an answer of another kind is told", () =>
    Effect.gen(function*() {
      const refused = server([{ status: 401, json: { code: "Unauthorized", detail: "A token is needed." } }])
      const error = yield* Effect.flip(run(refused.layer, { by: "turn" }))
      assert.deepInclude(error, { _tag: "ServerRefused", code: "Unauthorized" })
      assert.include(error.message, "TURNSTREAM_TOKEN")
      const other = server([{ status: 200, json: { items: [{ turns: "many" }] } }])
      assert.strictEqual((yield* Effect.flip(run(other.layer, { by: "turn" })))._tag, "ServerUnreachable")
    }))
})

describe("amounts", () => {
  it("are grouped by thousands, costs have up to six digits, and nothing that is known or unknown reads as 0", () => {
    assert.deepStrictEqual([0, 7, 999, 1_000, 1_234_567].map((count) => Amounts.tokens(count)), [
      ...["0", "7", "999", "1,000", "1,234,567"]
    ])
    assert.deepStrictEqual(
      [undefined, 0, 0.0000004, 0.000001, 0.0123456, 1.5, 12_345.678, 1_000_000].map((value) => Amounts.cost(value)),
      ["unknown", "0", "<0.000001", "0.000001", "0.012346", "1.5", "12,345.678", "1,000,000"]
    )
    assert.deepStrictEqual([null, undefined, 0, 0.04, 0.1, 12.34, 100].map((value) => Amounts.percent(value)), [
      ...["unknown", "unknown", "0.0%", "<0.1%", "0.1%", "12.3%", "100.0%"]
    ])
    assert.deepStrictEqual(
      [
        Amounts.tokens(null, true),
        Amounts.tokens(1_000, true),
        Amounts.cost(undefined, true),
        Amounts.percent(3, true)
      ],
      ["unknown", "~1,000", "unknown", "~3.0%"]
    )
  })
})

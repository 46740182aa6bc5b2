/** `GET /v1/usage`: the ledger by groups, conditions and pages; what is not known is absent, what is malformed is named. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as FastCheck from "effect/FastCheck"
import { writeLedger } from "../journal/ledger.ts"
import { get, start, type Started } from "./harness.ts"

let server: Started
beforeAll(async () => {
  server = await start()
  await server.runtime.runPromise(writeLedger)
})
afterAll(() => server.stop())

type Item = Record<string, unknown>

const items = async (query: string): Promise<ReadonlyArray<Item>> => {
  const { body, status, text } = await get(server, `/v1/usage?${query}`)
  assert.strictEqual(status, 200, text)
  return body.items as ReadonlyArray<Item>
}

const refused = async (query: string, path: string) => {
  const { body, status, text } = await get(server, `/v1/usage?${query}`)
  assert.strictEqual(status, 400, `${query}: ${text}`)
  assert.deepInclude(body, { code: "InvalidRequest", path }, query)
  return String(body.detail)
}

const unknown = {
  inputTokens: null,
  outputTokens: null,
  cacheReadTokens: null,
  cacheWriteTokens: null,
  reasoningTokens: null,
  totalTokens: null
}

describe("usage", () => {
  it("sums by the groups that are asked for, in their order", async () => {
    assert.deepStrictEqual((await items("by=turn")).map(({ turn }) => turn), ["t1", "t2", "t3", "t4", "t5"])
    assert.deepStrictEqual(
      (await items("by=source,session")).map(({ session, source, turns }) => [source, session, turns]),
      [["deterministic", "b", 1], ["estimated", "b", 1], ["reported", "a", 3]]
    )
    const [day, ...rest] = await items("by=day,model,day")
    assert.deepInclude(day, { day: "2026-01-02", model: "echo", turns: 5 })
    assert.lengthOf(rest, 0)
  })

  it("a cost is the sum of what is known and tells what it leaves out; unknown is absent or null, never 0", async () => {
    const [reported, estimated, nothing] = [
      await items("by=source&source=reported"),
      await items("source=estimated"),
      await items("by=turn&source=deterministic")
    ]
    assert.deepStrictEqual(reported, [{
      source: "reported",
      turns: 3,
      usage: { ...unknown, inputTokens: 36_000, outputTokens: 900, totalTokens: 36_900 },
      contextPercent: 12.5,
      cost: 0.3,
      unpricedAttempts: 1
    }])
    assert.deepStrictEqual(estimated, [{
      turns: 1,
      usage: { ...unknown, inputTokens: 400, outputTokens: 20, totalTokens: 420 },
      cost: 0.0000004
    }])
    assert.deepStrictEqual(nothing, [{ turn: "t5", turns: 1, usage: unknown }])
  })

  it("every condition narrows the sum, days are inclusive, and what fits nothing is no item", async () => {
    const turnsOf = async (query: string) => (await items(`by=turn&${query}`)).map(({ turn }) => turn)
    assert.deepStrictEqual(await turnsOf("session=b"), ["t4", "t5"])
    assert.deepStrictEqual(await turnsOf("turn=t2"), ["t2"])
    assert.deepStrictEqual(await turnsOf("session=a&turn=t4"), [])
    assert.lengthOf(await turnsOf("provider=deterministic&model=echo&from=2026-01-02&to=2026-01-02"), 5)
    for (const query of ["provider=other", "model=other", "from=2026-01-03", "to=2026-01-01", "session=nobody"]) {
      assert.deepStrictEqual(await turnsOf(query), [], query)
      assert.deepStrictEqual(await items(query), [], query)
    }
  })

  it("pages by nextCursor without a gap or a repeat; a limit out of range is clamped", async () => {
    const all: Array<unknown> = []
    let query = "by=turn&limit=2"
    for (;;) {
      const { body } = await get(server, `/v1/usage?${query}`)
      const page = body.items as ReadonlyArray<Item>
      all.push(...page.map(({ turn }) => turn))
      if (body.nextCursor === undefined) break
      assert.lengthOf(page, 2)
      query = `by=turn&limit=2&cursor=${body.nextCursor}`
    }
    assert.deepStrictEqual(all, ["t1", "t2", "t3", "t4", "t5"])
    assert.lengthOf(await items("by=turn&limit=0"), 1)
    assert.lengthOf(await items("by=turn&limit=99999999999999999999"), 5)
    assert.lengthOf(await items("by=turn&cursor=999999999999999"), 0)
    assert.notProperty((await get(server, "/v1/usage?by=turn&limit=5")).body, "nextCursor")
  })

  const table: ReadonlyArray<readonly [path: string, queries: ReadonlyArray<string>]> = [
    ["by", ["by=user", "by=", "by=session,,day", "by=session;day", "by=Day", "by=constructor", "by=turn&by=day"]],
    ["session", ["session=", "session=a%20b", `session=${"x".repeat(65)}`, "session=%27", "session=a&session=b"]],
    ["turn", ["turn=", "turn=t.1", "turn=%00"]],
    ["provider", ["provider=", `provider=${"x".repeat(129)}`]],
    ["model", ["model=", `model=${"x".repeat(257)}`]],
    ["source", ["source=", "source=guessed", "source=Reported", "source=reported,estimated", "source=toString"]],
    [
      "from",
      [
        "from=",
        "from=2026-1-2",
        "from=2026-02-29",
        "from=2100-02-29",
        "from=2026-04-31",
        "from=2026-00-10",
        "from=2026-13-01",
        "from=2026-01-00",
        "from=2026-01-32",
        "from=20260131",
        "from=2026-01-02T00:00:00Z",
        "from=today",
        "from=2026-01-02%0A",
        "from=2026-01-03&to=2026-01-02"
      ]
    ],
    ["to", ["to=", "to=2026-06-31", "to=2026-01-02&to=2026-01-03"]],
    ["cursor", ["cursor=", "cursor=-1", "cursor=1e3", "cursor=x", `cursor=${"9".repeat(16)}`]],
    ["limit", ["limit=", "limit=1e3", "limit=ten", "limit=1&limit=2"]],
    ["groupBy", ["groupBy=day", "by=day&groupBy=day"]],
    ["after", ["after=1"]],
    ["Session", ["Session=a"]],
    ["__proto__", ["__proto__=1"]],
    ["", ["=1"]]
  ]
  for (const [path, queries] of table) {
    it(`P28: ${JSON.stringify(path)} is refused by its name where it is unknown, repeated or malformed`, async () => {
      for (const query of queries) await refused(query, path)
    })
  }

  it("P28: a refusal says what may stand there, and repeats no more than the beginning of a stranger's name", async () => {
    assert.include(await refused("by=user", "by"), "turn, session, provider, model, day, source")
    assert.include(await refused("source=guessed", "source"), "reported, estimated, deterministic")
    assert.include(await refused("from=2026-01-03&to=2026-01-02", "from"), "must not be after to")
    assert.include(await refused("sesion=a", "sesion"), "session")
    await refused(`${"x".repeat(500)}=1`, "x".repeat(64))
  })

  it("a day is taken exactly where the calendar has it", async () => {
    await FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.integer({ min: 1, max: 9_999 }),
        FastCheck.integer({ min: 1, max: 12 }),
        FastCheck.integer({ min: 1, max: 31 }),
        async (year, month, day) => {
          const text = [String(year).padStart(4, "0"), String(month).padStart(2, "0"), String(day).padStart(2, "0")]
            .join("-")
          // the clock's own calendar makes another day of one that there is not
          const there = DateTime.formatIsoDateUtc(DateTime.unsafeMake({ year, month, day })) === text
          const { status } = await get(server, `/v1/usage?from=${text}&to=${text}`)
          assert.strictEqual(status, there ? 200 : 400, text)
        }
      ),
      { numRuns: 200, examples: [[2024, 2, 29], [2026, 2, 29], [2100, 2, 29], [2000, 2, 29], [2026, 4, 31]] }
    )
  })

  it("is described with every parameter and the whole item", async () => {
    const { body } = await get(server, "/openapi.json")
    const paths = body.paths as Record<string, { get: { parameters: ReadonlyArray<Item> } }>
    const parameters = paths["/v1/usage"]?.get.parameters ?? []
    assert.deepStrictEqual(
      parameters.map(({ name }) => name),
      ["by", "session", "turn", "provider", "model", "source", "from", "to", "cursor", "limit"]
    )
    for (const { description, name } of parameters) assert.isString(description, String(name))
    const { UsageTotal } = (body.components as { schemas: Record<string, { properties: object; required: unknown }> })
      .schemas
    assert.deepStrictEqual(UsageTotal?.required, ["turns", "usage"])
    assert.containsAllKeys(UsageTotal?.properties, [
      ...["turn", "session", "provider", "model", "day", "source", "contextPercent", "cost", "unpricedAttempts"]
    ])
  })
})

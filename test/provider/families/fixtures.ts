/**
 * Recordings of other people, where this checkout has them beside it. Each gives the normal form that an adapter must
 * come to; nothing of them is kept here.
 */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as UsageSum from "../../../src/domain/UsageSum.ts"
import type { WireFamily } from "../../../src/provider/Family.ts"
import { decode, type Decoded, pieces } from "./decoding.ts"

const folder = fileURLToPath(new URL("../../../../shared/fixtures/wire/", import.meta.url))

interface Expected {
  readonly text: string
  readonly reasoningText?: string
  readonly toolCalls: ReadonlyArray<{ readonly id: string; readonly name: string; readonly arguments: string }>
  readonly finishReason: string
  readonly rawFinishReason?: string | null
  readonly usage?: Readonly<Record<string, number | null>>
  readonly derivedTotalTokens?: number | null
  readonly rawUsage?: unknown
  readonly usageOptional?: boolean
  readonly error?: { readonly kind: string }
}

const check = (decoded: Decoded, expected: Expected) => {
  assert.strictEqual(decoded.text, expected.text)
  assert.strictEqual(decoded.reasoning, expected.reasoningText ?? "")
  assert.deepStrictEqual(
    decoded.toolCalls,
    expected.toolCalls.map(({ arguments: json, id, name }) => ({ id, name, arguments: JSON.parse(json) }))
  )
  if (expected.error === undefined) {
    assert.isUndefined(decoded.fault)
    assert.strictEqual(decoded.finishReason, expected.finishReason)
    assert.strictEqual(decoded.rawFinishReason ?? null, expected.rawFinishReason ?? null)
  } else assert.strictEqual(decoded.fault?.kind, expected.error.kind)
  if (expected.usage === undefined || (expected.usageOptional === true && decoded.usage === undefined)) return
  const { totalTokens: _, ...counts } = expected.usage
  const usage = decoded.usage ?? UsageSum.unknown
  assert.deepInclude(usage, counts)
  assert.strictEqual(usage.totalTokens, expected.derivedTotalTokens ?? null)
  if (expected.error === undefined) assert.deepStrictEqual(decoded.rawUsage ?? null, expected.rawUsage ?? null)
}

/** One skipped test, with its reason, where recordings are not there. */
export const unlessThere = (there: boolean, what: string, suite: () => void): void => {
  describe(`${what} beside this checkout`, () => {
    if (there) suite()
    else it("are read", (context) => context.skip("../shared/fixtures/wire is not beside this checkout"))
  })
}

/** Every recorded stream of a family, whole, in single bytes and in odd pieces. */
export const recordings = (name: string, family: Pick<WireFamily, "decoder">, extension: "sse" | "bin") => {
  const own = `${folder}${name}/`
  const cases = existsSync(own) ? readdirSync(own).filter((file) => file.endsWith(`.${extension}`)) : []
  unlessThere(cases.length > 0, `recordings of ${name}`, () => {
    for (const file of cases) {
      it(file, () => {
        const body = new Uint8Array(readFileSync(own + file))
        const expected = JSON.parse(readFileSync(`${own}${file.slice(0, -extension.length)}expect.json`, "utf8"))
        for (const size of [body.length, 1, 7, 4_096]) check(decode(family, pieces(body, size)), expected)
      })
    }
  })
}

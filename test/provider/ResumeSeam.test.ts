import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { ProviderEvent } from "../../src/provider/Provider.ts"
import * as ResumeSeam from "../../src/provider/ResumeSeam.ts"

const text = (said: string): ProviderEvent => ({ _tag: "Delta", kind: "text", text: said })
const finish: ProviderEvent = { _tag: "Finish", reason: "stop" }

const joined = (trimmed: string, deltas: ReadonlyArray<string>): string => {
  const events: Array<ProviderEvent> = []
  const emit = ResumeSeam.make(trimmed, (event) => events.push(event))
  for (const delta of deltas) emit(text(delta))
  emit(finish)
  assert.deepStrictEqual(events.at(-1), finish)
  return events.map((event) => (event._tag === "Delta" ? event.text : "")).join("")
}

describe("P8: where a resumed answer meets its prefix", () => {
  it("white space that was cut off the prefix and is said again counts once", () => {
    assert.strictEqual(joined(" ", [" two"]), "two")
    assert.strictEqual(joined("\n", ["\n", "\n", "two"]), "\ntwo")
    assert.strictEqual(joined(" \n", ["\n two"]), " two")
    assert.strictEqual(joined(" ", ["two ", "  three"]), "two   three")
  })

  it("what was not cut off stays, and so does an answer that says nothing else", () => {
    assert.strictEqual(joined("", ["  two"]), "  two")
    assert.strictEqual(joined(" ", ["\ntwo"]), "\ntwo")
    assert.strictEqual(joined(" ", ["\n"]), "\n")
    assert.strictEqual(joined(" ", [" "]), "")
  })

  it("takes off nothing but white space, whatever the deltas' borders", () => {
    const blank = FastCheck.array(FastCheck.constantFrom(" ", "\n", "\t"), { maxLength: 4 }).map((parts) =>
      parts.join("")
    )
    FastCheck.assert(
      FastCheck.property(
        blank,
        blank,
        FastCheck.string({ minLength: 1 }),
        FastCheck.nat(),
        (trimmed, lead, rest, at) => {
          const whole = `${lead}x${rest}`
          const cut = at % whole.length
          const one = joined(trimmed, [whole])
          assert.strictEqual(
            joined(trimmed, [whole.slice(0, cut), whole.slice(cut)].filter((part) => part !== "")),
            one
          )
          assert.isTrue(whole.endsWith(one))
          assert.strictEqual(one.trimStart(), whole.trimStart())
        }
      )
    )
  })

  it("no more is held back than was cut off", () => {
    const events: Array<ProviderEvent> = []
    const emit = ResumeSeam.make(" \n", (event) => events.push(event))
    emit(text("\t"))
    assert.strictEqual(events.length, 0)
    emit(text("\t"))
    assert.deepStrictEqual(events, [text("\t\t")])
  })

  it("reasoning and usage are not held back", () => {
    const events: Array<ProviderEvent> = []
    const emit = ResumeSeam.make(" ", (event) => events.push(event))
    emit({ _tag: "Delta", kind: "reasoning", text: "hm" })
    assert.strictEqual(events.length, 1)
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Scrub from "../../src/provider/Scrub.ts"

const secret = "0a1b2c3d-4e5f6a7b8c9d"
const shown = (text: string, ...hidden: ReadonlyArray<Scrub.Hidden>) => Scrub.without(text, hidden)

describe("P25: a key", () => {
  it("is masked whole, cut, repeated and glued to other text", () => {
    const cases: ReadonlyArray<readonly [said: string, expected: string]> = [
      [secret, "***"],
      [`key ${secret}!`, "key ***!"],
      [`Bearer ${secret},${secret}`, "Bearer ***,***"],
      [`${secret}${secret}`, "******"],
      [`x${secret}x`, "x***x"],
      [`it began with ${secret.slice(0, 8)}...`, "it began with ***..."],
      [`it ended with ...${secret.slice(-8)}`, "it ended with ...***"],
      [`in the middle ${secret.slice(5, 16)} it was`, "in the middle *** it was"],
      [`${secret.slice(0, 10)} and ${secret.slice(10)}`, "*** and ***"]
    ]
    for (const [said, expected] of cases) assert.strictEqual(shown(said, Scrub.key(secret)), expected, said)
  })

  it("leaves what is too short to tell it, and other text, as they are", () => {
    for (const said of ["", "ok", secret.slice(0, 7), `ends in ${secret.slice(-4)}`, secret.toUpperCase()]) {
      assert.strictEqual(shown(said, Scrub.key(secret)), said)
    }
  })

  it("of fewer than eight characters is masked whole only; of fewer than four it is a word like any other", () => {
    assert.strictEqual(shown("it was abcde", Scrub.key("abcde")), "it was ***")
    assert.strictEqual(shown("it was abcd", Scrub.key("abcde")), "it was abcd")
    assert.strictEqual(shown("the cat", Scrub.key("cat")), "the cat")
    assert.strictEqual(shown("anything", Scrub.key("")), "anything")
  })

  it("shows no eight of its characters in a row, whatever stands around them", () => {
    const letter = FastCheck.constantFrom(..."ab01-_")
    const key = FastCheck.string({ unit: letter, minLength: 8, maxLength: 30 })
    FastCheck.assert(
      FastCheck.property(
        key,
        FastCheck.array(
          FastCheck.tuple(FastCheck.nat(30), FastCheck.nat(30), FastCheck.string({ unit: letter, maxLength: 6 }))
        ),
        FastCheck.array(key, { maxLength: 3 }),
        (text, parts, others) => {
          const said = parts.map(([from, length, noise]) => text.slice(from, from + length) + noise).join("")
          const out = Scrub.without(said, [text, ...others].map(Scrub.key))
          for (const one of [text, ...others]) {
            for (let at = 0; at + 8 <= one.length; at++) assert.notInclude(out, one.slice(at, at + 8))
          }
          if (!out.includes("***")) assert.strictEqual(out, said)
        }
      ),
      { numRuns: 500 }
    )
  })

  it("that looks like a vendor's is masked although nobody named it, also half masked", () => {
    const cases: ReadonlyArray<string> = [
      "sk-proj-0123456789abcdef",
      "sk-ant-api03-0123456789abcdef_-",
      "sk-proj-********************cdef",
      "gsk_0123456789abcdef",
      "csk-0123456789abcdef",
      "xai-0123456789abcdef",
      "pplx-0123456789abcdef",
      "nvapi-0123456789abcdef",
      "hf_0123456789abcdef",
      "AIza0123456789abcdef_-",
      "AKIA0123456789ABCDEF",
      "ASIA0123456789ABCDEF"
    ]
    for (const key of cases) assert.strictEqual(shown(`bad key "${key}" given`), 'bad key "***" given', key)
    for (const text of ["a risk-assessment-of-everything", "sk-short", "task-0123456789abcdef", "skip the rest"]) {
      assert.strictEqual(shown(text), text)
    }
  })
})

describe("P25: a prompt", () => {
  const said = "The keeper of the lighthouse wrote every ship into a ledger before he lit the lamp."

  it("is masked where 32 of its characters stand in a row, and not where fewer do", () => {
    const hidden = Scrub.prompt(said)
    assert.strictEqual(shown(`cannot read: ${said}`, hidden), "cannot read: ***")
    assert.strictEqual(shown(`cannot read: ${said.slice(10, 42)}?`, hidden), "cannot read: ***?")
    assert.strictEqual(shown(`cannot read: ${said.slice(10, 41)}?`, hidden), `cannot read: ${said.slice(10, 41)}?`)
    assert.strictEqual(shown("The keeper of this", hidden), "The keeper of this")
  })

  it("that is shorter than that hides nothing: a word of it says nothing", () => {
    assert.strictEqual(
      shown("hello there, said hello there", Scrub.prompt("hello there")),
      "hello there, said hello there"
    )
  })

  it("is looked through from its end, as far as a failure may cost", () => {
    const long = `${"old ".repeat(100_000)}${said}`
    assert.strictEqual(shown(said, Scrub.prompt(long)), "***")
    assert.isAtMost(Scrub.prompt(long).text.length, 262_144)
  })

  it("and several keys are masked in one text, each where it stands", () => {
    const out = shown(
      `${secret}: ${said} (${"z9".repeat(6)})`,
      Scrub.key(secret),
      Scrub.key("z9".repeat(6)),
      Scrub.prompt(said)
    )
    assert.strictEqual(out, "***: *** (***)")
  })
})

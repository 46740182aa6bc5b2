/**
 * The proof of the proofs: the checkers find nothing in the engine, and each of these deliberate faults. A checker that went
 * blind would be told here.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { probes } from "./battery.ts"
import { mutants } from "./mutants.ts"

describe("the engine as it is", () => {
  for (const [name, probe] of Object.entries(probes)) {
    it.scoped(`passes the probe "${name}"`, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* probe({}), [])
      }))
  }
})

describe("an engine with a deliberate fault", () => {
  it("there are at least twenty, each with a name of its own", () => {
    assert.isAtLeast(new Set(mutants.map(({ name }) => name)).size, 20)
  })

  for (const { between, name, probe, promise } of mutants) {
    it.scoped(`${promise}: ${name}`, () =>
      Effect.gen(function*() {
        const found = yield* probes[probe](between)
        assert.include(found.map((violation) => violation.promise), promise)
      }))
  }
})

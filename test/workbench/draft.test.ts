import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import * as Draft from "../../src/workbench/composer/Draft.ts"

const kept = new Map<string, string>()

beforeEach(() => {
  kept.clear()
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key)
  })
})
afterEach(() => void vi.unstubAllGlobals())

const draft: Draft.Draft = { ...Draft.empty, text: "hello", provider: "deterministic", model: "echo" }

describe("draft", () => {
  it("survives a reload, one for each session", () => {
    Draft.write("s1", draft)
    assert.include(kept.get("turnstream.draft.s1") ?? "", "hello")
    Draft.write(undefined, { ...draft, text: "other" })
    assert.deepStrictEqual(Draft.read("s1"), draft)
    assert.strictEqual(Draft.read(undefined).text, "other")
    assert.deepStrictEqual(Draft.read("s2"), Draft.empty)
  })

  it("an empty one leaves nothing, nor does a deleted session", () => {
    Draft.write("s1", draft)
    Draft.write("s1", Draft.empty)
    Draft.write("s2", draft)
    Draft.forget("s2")
    assert.strictEqual(kept.size, 0)
  })

  it("P9: the same body sent again without an answer, also after a reload, has the same key; another body another", () => {
    const sent = Draft.sending(draft, "body")
    Draft.write("s1", sent)
    const again = Draft.read("s1")
    assert.strictEqual(Draft.sending(again, "body").unanswered.key, sent.unanswered.key)
    assert.notStrictEqual(Draft.sending(again, "another").unanswered.key, sent.unanswered.key)
    assert.match(sent.unanswered.key, /^[0-9a-f]{32}$/)
  })

  it("what is kept may be anything", () => {
    for (const [index, json] of ["", "null", "[]", "{", `{"text":1,"unanswered":{"key":2}}`, `"x"`].entries()) {
      kept.set(`turnstream.draft.kept${index}`, json)
      assert.deepStrictEqual(Draft.read(`kept${index}`), Draft.empty)
    }
  })

  it("lives as long as the page where the browser keeps nothing", () => {
    vi.stubGlobal("sessionStorage", undefined)
    Draft.write("s3", draft)
    assert.deepStrictEqual(Draft.read("s3"), draft)
  })
})

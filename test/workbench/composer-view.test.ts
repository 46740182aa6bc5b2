import { assert, describe, it } from "@effect/vitest"
import * as ComposerView from "../../src/workbench/composer/ComposerView.ts"

const ready = { id: "deterministic", readiness: "ready", env: [], defaultModel: "echo" } as const
const blocked = {
  id: "acme",
  readiness: "blocked",
  reason: "environment variable ACME_KEY is not set",
  env: [{ name: "ACME_KEY", present: false }, { name: "ACME_ORG", present: true }]
} as const

const facts: ComposerView.Facts = {
  message: "hi",
  model: "",
  provider: ready,
  connection: "live",
  isSending: false
}

describe("composer view", () => {
  it("a message can be sent where nothing stands in its way", () => {
    for (const connection of ["ready", "live", "reconnecting"]) {
      assert.isUndefined(ComposerView.sendRefusal({ ...facts, connection }))
    }
  })

  it("each reason that stands in its way is told", () => {
    const reasons = [
      [{ isSending: true }, "Sending."],
      [{ connection: "loading" }, "Loading the session."],
      [{ connection: "offline" }, "Offline"],
      [{ connection: "unauthorized" }, "token"],
      [{ provider: undefined }, "Loading the providers."],
      [{ provider: blocked }, "Set ACME_KEY in the server's environment"],
      [{ provider: { ...ready, id: "any", defaultModel: undefined } }, "Name a model of any."],
      [{ message: " \n" }, "Write a message first."]
    ] as const
    for (const [change, words] of reasons) {
      assert.include(ComposerView.sendRefusal({ ...facts, ...change } as ComposerView.Facts) ?? "", words)
    }
  })

  it("a blocked provider names what is missing, and only that", () => {
    const note = ComposerView.providerNote(blocked)
    assert.notInclude(note, "ACME_ORG")
    assert.deepStrictEqual(ComposerView.missingEnv(blocked), ["ACME_KEY"])
    assert.include(ComposerView.providerNote({ ...blocked, env: [] }), "Change the configuration")
  })

  it("a session is titled by the first line of its first message", () => {
    assert.strictEqual(ComposerView.titleOf("  one\ntwo"), "one")
    assert.strictEqual(ComposerView.titleOf("x".repeat(100)).length, 60)
    // no character is cut in two
    assert.isTrue(ComposerView.titleOf(`${"x".repeat(58)}😀${"x".repeat(20)}`).endsWith("😀…"))
  })

  it("a session is listed by its title and its time", () => {
    assert.strictEqual(
      ComposerView.sessionLabel({ createdAt: "2026-01-02T03:04:05.678Z" }),
      "Untitled · 01-02 03:04"
    )
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as ComposerView from "../../src/workbench/ComposerView.ts"

const ready = { id: "deterministic", readiness: "ready", env: [], defaultModel: "echo" } as const
const blocked = {
  id: "openai",
  readiness: "blocked",
  reason: "environment variable OPENAI_API_KEY is not set",
  env: [{ name: "OPENAI_API_KEY", present: false }, { name: "OPENAI_ORG", present: true }]
} as const
const open = { id: "local", readiness: "unproven", env: [] } as const

const facts = {
  message: "hello",
  model: "echo",
  provider: ready,
  runningTurn: undefined,
  connection: "live",
  sending: false
}

describe("composer", () => {
  it("a message can be sent to a usable provider, with or without an open session", () => {
    assert.isUndefined(ComposerView.sendRefusal(facts))
    assert.isUndefined(ComposerView.sendRefusal({ ...facts, connection: "ready" }))
    assert.isUndefined(ComposerView.sendRefusal({ ...facts, connection: "reconnecting" }))
  })

  it("each reason that stands in the way of sending is told", () => {
    const reasons = [
      [{ sending: true }, "Sending"],
      [{ connection: "loading" }, "Loading"],
      [{ connection: "offline" }, "Offline"],
      [{ connection: "unauthorized" }, "token"],
      [{ provider: undefined }, "No provider"],
      [{ provider: blocked }, "Set OPENAI_API_KEY and start"],
      [{ provider: open, model: "" }, "Name a model of local"],
      [{ runningTurn: 3 }, "Turn 3 is running"],
      [{ message: " \n" }, "Write a message"]
    ] as const
    for (const [change, reason] of reasons) {
      assert.include(ComposerView.sendRefusal({ ...facts, ...change }), reason)
    }
  })

  it("P25: a blocked provider is told by the names of its missing variables", () => {
    assert.strictEqual(
      ComposerView.providerNote(blocked),
      "openai is blocked: environment variable OPENAI_API_KEY is not set. Set OPENAI_API_KEY and start the server again."
    )
    assert.include(ComposerView.providerNote({ ...blocked, env: [] }), "Change the configuration")
    assert.strictEqual(ComposerView.providerLabel(blocked), "openai (blocked)")
    assert.strictEqual(ComposerView.providerNote(ready), "Works offline, without a key.")
  })

  it("a session is titled by the first line of its first message, within the length", () => {
    assert.strictEqual(ComposerView.titleOf("\n One line \nand more"), "One line ")
    assert.strictEqual(ComposerView.titleOf("x".repeat(200)).length, 60)
  })

  it("a session is listed by its title and the server's time", () => {
    const createdAt = "2026-01-02T03:04:05.678Z"
    assert.strictEqual(ComposerView.sessionLabel({ title: "Ships", createdAt }), "Ships · 2026-01-02 03:04 UTC")
    assert.strictEqual(ComposerView.sessionLabel({ createdAt }), "Untitled · 2026-01-02 03:04 UTC")
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gunzipSync } from "node:zlib"
import { type Answer, ask, folder, run, serve } from "../process/harness.ts"

const golden = fileURLToPath(new URL("../golden/", import.meta.url))
const versions = readdirSync(golden).filter((name) => /^v\d+$/.test(name))

/** What `golden/make.mjs` wrote; the resources are compared, not looked into. */
interface Expected {
  readonly sessions: ReadonlyArray<{
    readonly session: { readonly id: string }
    readonly messages: ReadonlyArray<Record<string, unknown>>
    readonly exported: Record<string, unknown>
    readonly usage: ReadonlyArray<object>
  }>
  readonly turns: ReadonlyArray<{
    readonly turn: { readonly id: string; readonly text: string }
    readonly events: string
    readonly checkpoints: ReadonlyArray<Record<string, unknown>>
  }>
  readonly orphans: ReadonlyArray<{ readonly id: string; readonly lastSeq: number }>
}

/** A later version may say more of something, never less and never anything else. */
const assertHolds = (answer: unknown, expected: object, what: string) => {
  for (const [name, value] of Object.entries(expected)) {
    assert.deepStrictEqual((answer as Record<string, unknown>)[name], value, `${what}: ${name}`)
  }
}

const assertAllHold = ({ body }: Answer, expected: ReadonlyArray<object>, what: string) => {
  const items = body["items"] as ReadonlyArray<unknown>
  assert.lengthOf(items, expected.length, what)
  expected.forEach((item, i) => assertHolds(items[i], item, `${what}[${i}]`))
}

const text = (address: string) => Effect.promise(async () => (await fetch(address)).text())

describe("golden databases", () => {
  it("there is one of each released schema that this test was written for", () => {
    assert.includeMembers(versions, ["v2", "v3", "v4", "v5", "v6", "v7"])
  })

  for (const version of versions) {
    it.scopedLive(`P30: a database of schema ${version} opens, and everything in it reads as it did`, () =>
      Effect.gen(function*() {
        const dataDir = yield* folder
        const expected = JSON.parse(readFileSync(join(golden, version, "expected.json"), "utf8")) as Expected
        writeFileSync(
          join(dataDir, "turnstream.db"),
          gunzipSync(readFileSync(join(golden, version, "turnstream.db.gz")))
        )
        const { url } = yield* serve({ dataDir })

        for (const { exported, messages, session, usage } of expected.sessions) {
          const at = `${url}/v1/sessions/${session.id}`
          assertHolds((yield* ask(at)).body, session, "session")
          assertAllHold(yield* ask(`${at}/messages`), messages, "messages")
          assertHolds((yield* ask(`${at}/export`)).body, exported, "export")
          const ledger = yield* ask(`${url}/v1/usage?by=session,provider,model,day&session=${session.id}`)
          assertAllHold(ledger, usage, "usage")
        }
        for (const { checkpoints, events, turn } of expected.turns) {
          const at = `${url}/v1/turns/${turn.id}`
          assertHolds((yield* ask(at)).body, turn, turn.id)
          assert.strictEqual(yield* text(`${at}/events?limit=10000`), events, "the bytes of an event never change")
          assertAllHold(yield* ask(`${at}/checkpoints`), checkpoints, `checkpoints of ${turn.id}`)
          const { code, stdout } = yield* run(["inspect", turn.id, "--json"], { dataDir })
          assert.strictEqual(code, 0)
          assert.strictEqual((JSON.parse(stdout) as Expected["turns"][number]).turn.text, turn.text)
        }
        for (const { id, lastSeq } of expected.orphans) {
          const { body } = yield* ask(`${url}/v1/turns/${id}`)
          assert.deepInclude(body["error"], { _tag: "Interrupted", cause: "crash" })
          assert.isAbove(Number(body["lastSeq"]), lastSeq)
          const resumed = yield* ask(`${url}/v1/turns/${id}/resume`, "POST")
          assert.strictEqual(resumed.status, 202)
          yield* ask(`${url}/v1/turns/${String(resumed.body["id"])}/cancel`, "POST")
        }
      }))
  }
})

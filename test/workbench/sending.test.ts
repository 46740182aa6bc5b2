import { assert, describe, it, vi } from "@effect/vitest"
import { signal } from "@preact/signals"
import { TurnstreamError } from "../../src/client/TurnstreamError.ts"
import * as Sending from "../../src/workbench/composer/Sending.ts"
import * as Looking from "../../src/workbench/session/Looking.ts"
import { summary } from "./resources.ts"

interface Start {
  readonly sessionId: string
  readonly message: string
  readonly key: string
  readonly answer: () => void
  readonly refuse: (error: unknown) => void
}

const settle = async () => {
  for (let step = 0; step < 20; step++) await Promise.resolve()
}

const stage = (open: string | undefined) => {
  vi.stubGlobal("sessionStorage", undefined)
  const sessionId = signal(open)
  const starts: Array<Start> = []
  const made: Array<string> = []
  const previews: Array<() => void> = []
  const looking = Looking.make(signal(undefined))
  const sending = Sending.make({
    sessionId,
    looking,
    onMade: (id, isOpened) => {
      made.push(id)
      if (isOpened) go(id)
    },
    server: {
      createSession: () =>
        Promise.resolve(
          { id: `new${made.length + 1}` } as Awaited<
            ReturnType<Parameters<typeof Sending.make>[0]["server"]["createSession"]>
          >
        ),
      start: (id, { message }, key) =>
        new Promise((resolve, reject) =>
          starts.push({
            sessionId: id,
            message: String(message),
            key,
            answer: () => resolve(summary("t1", 1)),
            refuse: reject
          })
        ),
      preview: () =>
        new Promise((resolve) =>
          previews.push(() =>
            resolve({ total: 1 } as Awaited<ReturnType<Parameters<typeof Sending.make>[0]["server"]["preview"]>>)
          )
        )
    }
  })
  const go = (id: string | undefined) => {
    sessionId.value = id
    sending.opened()
  }
  const send = (message: string) => sending.send({ message, provider: "deterministic" })
  return { sending, looking, starts, made, previews, go, send }
}

/** Each test has sessions of its own: drafts live as long as the page. */
let count = 0
const fresh = () => `s${++count}`

describe("sending", () => {
  it("a message that was taken leaves its box; what was written meanwhile stays", async () => {
    const at = stage(fresh())
    at.sending.setDraft({ text: "one" })
    const sent = at.send("one")
    await settle()
    at.starts[0]?.answer()
    await sent
    assert.deepStrictEqual([at.sending.draft.value.text, at.sending.sent.value], ["", 1])
    at.sending.setDraft({ text: "two" })
    const next = at.send("two")
    await settle()
    at.sending.setDraft({ text: "three" })
    at.starts[1]?.answer()
    await next
    assert.deepStrictEqual([at.sending.draft.value.text, at.sending.draft.value.unanswered], ["three", undefined])
  })

  it("P9: one without an answer keeps its text and its key, one that was refused its text alone", async () => {
    const at = stage(fresh())
    at.sending.setDraft({ text: "one" })
    for (
      const [error, isKept] of [[new TurnstreamError(0, "x", "x"), true], [new TurnstreamError(503, "x", "x"), true], [
        new TurnstreamError(422, "x", "x"),
        false
      ]] as const
    ) {
      const sent = at.send("one").then(() => assert.fail("it was taken"), () => {})
      await settle()
      at.starts.at(-1)?.refuse(error)
      await sent
      assert.strictEqual(at.sending.draft.value.text, "one")
      assert.strictEqual(at.sending.draft.value.unanswered !== undefined, isKept)
    }
    assert.strictEqual(new Set(at.starts.map(({ key }) => key)).size, 1)
  })

  it("P9: what comes of a message belongs to the session that it was sent to, whichever is open by then", async () => {
    const [first, second] = [fresh(), fresh()]
    const at = stage(first)
    at.go(second)
    at.sending.setDraft({ text: "other", unanswered: { body: "b", key: "k" } })
    at.go(first)
    at.sending.setDraft({ text: "one" })
    const sent = at.send("one")
    await settle()
    at.go(second)
    at.starts[0]?.answer()
    await sent
    assert.deepStrictEqual([at.sending.draft.value.text, at.sending.draft.value.unanswered?.key], ["other", "k"])
    at.go(first)
    assert.deepStrictEqual([at.sending.draft.value.text, at.sending.draft.value.unanswered], ["", undefined])
  })

  it("one message at a time is sent", async () => {
    const at = stage(fresh())
    const sent = [at.send("one"), at.send("one")]
    await settle()
    assert.lengthOf(at.starts, 1)
    at.starts[0]?.answer()
    await Promise.all(sent)
  })

  it("a session is made once, by a message and a preview alike, and the draft goes with it, also where it is refused", async () => {
    const at = stage(undefined)
    at.sending.setDraft({ text: "first", provider: "acme" })
    void at.sending.preview({ message: "first", provider: "acme" })
    const sent = at.send("first").catch(() => {})
    await settle()
    assert.deepStrictEqual(at.made, ["new1"])
    at.starts[0]?.refuse(new TurnstreamError(503, "x", "x"))
    await sent
    assert.deepStrictEqual([at.sending.draft.value.text, at.sending.draft.value.provider], ["first", "acme"])
    at.go(undefined)
    assert.deepStrictEqual([at.sending.draft.value.text, at.sending.draft.value.provider], ["", "acme"])
  })

  it("who went elsewhere while a session was made is not brought back", async () => {
    const at = stage(undefined)
    at.sending.setDraft({ text: "first" })
    const sent = at.send("first")
    const elsewhere = fresh()
    at.go(elsewhere)
    await settle()
    at.starts[0]?.answer()
    await sent
    assert.deepStrictEqual([at.starts[0]?.sessionId, at.sending.draft.value.text], ["new1", ""])
    at.go("new1")
    assert.strictEqual(at.sending.draft.value.text, "")
  })

  it("a preview of what is not written any more is not shown", async () => {
    const at = stage(fresh())
    at.sending.setDraft({ text: "one" })
    const asked = at.sending.preview({ message: "one", provider: "deterministic" })
    await settle()
    assert.deepStrictEqual(at.looking.preview.value, { state: "asking" })
    at.sending.setDraft({ text: "two" })
    at.previews[0]?.()
    await asked
    assert.isUndefined(at.looking.preview.value)
  })
})

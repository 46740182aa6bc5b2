/** No text of two attempts, and none of two turns, is ever mixed. */
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import * as Chat from "./Chat.ts"
import * as Stage from "./Stage.ts"
import { browsing } from "./suite.ts"

browsing("failing and trying again", ({ cut, open }) => {
  let server: Stage.Stage
  beforeAll(async () => {
    server = await Stage.open()
  })
  afterAll(() => server.stop())

  const openSession = async () => {
    const { id } = await server.api.createSession()
    const opened = await open(Chat.addressOf(server.url, id))
    await Chat.seeLive(opened.page)
    return { ...opened, sessionId: id }
  }

  it("attempts that fail before a word show Retrying, then the answer, and what failed", async () => {
    const { page } = await openSession()
    await Chat.message(page).fill("Try until it works")
    await Chat.chooseModel(page, "flaky")
    // it waits for half a second only: who begins to look after the click may come too late
    await Promise.all([Chat.seeCard(page, 1, "Retrying"), Chat.button(page, "Send").click()])
    await Chat.seeCard(page, 1, "Completed")
    const text = await Chat.textOf(Chat.card(page, 1))
    assert.lengthOf(text.match(/Third time lucky: this answer needed two retries\./g) ?? [], 1)
    assert.include(text, "attempt 3")
    assert.include(text, "Attempt 1 failed")
    assert.include(text, "Attempt 2 failed")
  })

  it("P8: while it waits to try again a card shows no answer, and then shows it once", async () => {
    const { page, sessionId } = await openSession()
    const turn = await server.api.start(sessionId, {
      message: "Wait a moment",
      script: {
        steps: [{ fail: { kind: "overloaded", attempts: 1, retryAfterMs: 5_000 } }, { say: "The one answer." }]
      }
    })
    await Chat.seeCard(page, 1, "Retrying")
    // while it waits there is no answer, and nothing that looks like one
    assert.notInclude(await Chat.textOf(Chat.card(page, 1)), "The one answer.")
    assert.include(await Chat.textOf(Chat.card(page, 1)), "attempt 2")
    await Chat.seeCard(page, 1, "Completed")
    assert.lengthOf((await Chat.textOf(Chat.card(page, 1))).match(/The one answer\./g) ?? [], 1)
    assert.strictEqual((await server.api.turn(turn.id)).attempts, 2)
  })

  it("P8: an answer that fails after a word is not tried again; Retry is a turn of its own, with its own text", async () => {
    const { page, sessionId } = await openSession()
    const turn = await server.api.start(sessionId, {
      message: "Fail in the middle",
      script: { steps: [{ say: "Words of one try. " }, { fail: { kind: "overloaded", status: 529 } }] }
    })
    await Chat.seeCard(page, 1, "Failed")
    const events = await server.api.events(turn.id)
    assert.lengthOf(events.filter(({ type }) => type === "attempt.started"), 1)
    const said = async (number: number) =>
      ((await Chat.textOf(Chat.card(page, number))).match(/Words of one try\./g) ?? []).length
    assert.strictEqual(await said(1), 1)
    const before = await Chat.textOf(Chat.card(page, 1))
    assert.notMatch(before, /attempt 2|Attempt 1 failed/)

    await Chat.button(Chat.card(page, 1), "Retry").click()
    await Chat.seeCard(page, 2, "Failed")
    await Chat.card(page, 2).getByText("retry of turn 1", { exact: true }).waitFor()
    await Chat.card(page, 1).getByText("retried in turn 2", { exact: true }).waitFor()
    assert.deepStrictEqual([await said(1), await said(2)], [1, 1])
    assert.strictEqual(await Chat.button(Chat.card(page, 1), "Retry").count(), 0)
    await Chat.button(Chat.card(page, 2), "Retry").waitFor()
    await page.reload()
    await Chat.seeCard(page, 2, "Failed")
    assert.deepStrictEqual([await said(1), await said(2)], [1, 1])
  })

  it("turns that stream one after the other, cut off and read again, keep their texts apart", async () => {
    const { id, page, proxy } = await Chat.behindCut({ cut, open }, server)
    const names = ["alpha", "beta", "gamma"]
    for (const name of names) {
      await server.api.start(id, {
        message: `Turn of ${name[0]}`,
        onBusy: "queue",
        script: {
          steps: Array.from({ length: 12 }, (_, i) => [{ wait: 40 }, { say: `${name}${i} ` }]).flat()
        }
      })
    }
    await page.getByText(/beta3/).first().waitFor()
    proxy.cut()
    await page.getByText(/gamma3/).first().waitFor()
    for (const [index, name] of names.entries()) {
      await Chat.seeCard(page, index + 1, "Completed")
      assert.deepStrictEqual(
        (await Chat.textOf(Chat.card(page, index + 1))).match(/(alpha|beta|gamma)\d+/g),
        Array.from({ length: 12 }, (_, i) => `${name}${i}`)
      )
    }
  })

  // no script makes the engine take text back: a journal may hold it, and here the proxy says it
  it("text that a model.reset takes back is gone from the card, and no part of the answer that follows", async () => {
    const proxy = await cut(server)
    const { id } = await server.api.createSession()
    const { page } = await open(Chat.addressOf(proxy.url, id))
    await Chat.seeLive(page)
    const retried = await server.api.run(id, { provider: "deterministic", model: "flaky" })
    const others = await server.api.events(retried.id)
    const dataOf = (type: string, nth = 0) => others.filter((event) => event.type === type)[nth]?.data ?? {}
    const turn = await server.api.start(id, { script: { steps: [{ say: "Taken back. " }, { hang: true }] } })
    const card = Chat.card(page, 2)
    await card.getByText(/Taken back\./).waitFor()
    const events = await server.api.events(turn.id)
    const said = events.findLast(({ type }) => type === "model.delta")
    if (said === undefined) throw new Error("unreachable")
    let { seq } = said
    const say = (type: string, data: object) => proxy.say(type, { ...said, seq: ++seq, type, data })
    say("telemetry.usage", dataOf("telemetry.usage"))
    say("attempt.failed", dataOf("attempt.failed"))
    say("model.reset", { fromSeq: said.seq, toSeq: said.seq })
    await Chat.seeCard(page, 2, "Retrying")
    assert.notInclude(await Chat.textOf(card), "Taken back.")
    say("attempt.started", dataOf("attempt.started", 1))
    say("model.delta", { kind: "text", text: "Said instead." })
    await card.getByText(/Said instead\./).waitFor()
    assert.notInclude(await Chat.textOf(card), "Taken back.")
    await Chat.button(card, `Events 1–${seq}`).waitFor()
  })
})

import { assert, it } from "@effect/vitest"
import * as Chat from "./Chat.ts"
import { browsing } from "./suite.ts"

const deltas = 400
const whole = Array.from({ length: deltas }, (_, i) => String(i).padStart(7, "0"))

browsing("a server that dies", ({ open, stage }) => {
  it("P5, P6, P8: killed in mid-stream and started again: Reconnecting, Interrupted, and Resume says the rest", async () => {
    const server = await stage()
    const { api } = server
    const { id } = await api.createSession()
    const opened = await open(Chat.addressOf(server.url, id))
    opened.allow(Chat.brokenLoad)
    const { page } = opened
    await Chat.seeLive(page)
    const turn = await api.start(id, { message: "Go on and on", script: { deltas, delayMs: 15 } })
    await Chat.seeTokens(page, 1, 20)
    await server.kill9()
    await page.getByText(/Reconnecting/).first().waitFor()
    // nobody ended it: what is shown is what came
    await Chat.card(page, 1).waitFor()
    assert.strictEqual(await page.getByText(/Interrupted|Failed|Cancelled|Completed/).count(), 0)
    const seen = await Chat.tokensOf(Chat.card(page, 1))
    assert.deepStrictEqual(seen, whole.slice(0, seen.length))

    await server.restart()
    // it comes back by itself
    await Chat.seeCard(page, 1, "Interrupted")
    const kept = Chat.tokensIn((await api.turn(turn.id)).text)
    assert.isAtLeast(kept.length, seen.length, "P5: something that was seen is gone")
    assert.isBelow(kept.length, deltas)
    assert.deepStrictEqual(await Chat.tokensOf(Chat.card(page, 1)), kept)

    await Chat.button(Chat.card(page, 1), "Resume").click()
    await Chat.seeCard(page, 2, "Completed")
    await Chat.seeLive(page)
    const first = await Chat.tokensOf(Chat.card(page, 1))
    const rest = await Chat.tokensOf(Chat.card(page, 2))
    assert.deepStrictEqual(first, kept)
    assert.isAbove(rest.length, 0)
    assert.deepStrictEqual([...first, ...rest], whole, "P8: the continuation does not continue")
    // each names the other, and the first is resumed once
    await Chat.card(page, 2).getByText("continues turn 1", { exact: true }).waitFor()
    await Chat.card(page, 1).getByText("resumed in turn 2", { exact: true }).waitFor()
    assert.strictEqual(await Chat.button(page, "Resume").count(), 0)
  })

  it("P6: a page that is opened after the restart shows the same turn, and Retry begins it anew", async () => {
    const server = await stage()
    const { api } = server
    const { id } = await api.createSession()
    const turn = await api.start(id, { script: { deltas: 40, delayMs: 50 } })
    await api.until(turn.id, ({ type }) => type === "model.delta")
    await server.kill9()
    await server.restart()
    const { page } = await open(Chat.addressOf(server.url, id))
    await Chat.seeCard(page, 1, "Interrupted")
    const kept = Chat.tokensIn((await api.turn(turn.id)).text)
    assert.deepStrictEqual(await Chat.tokensOf(Chat.card(page, 1)), kept)
    await Chat.button(Chat.card(page, 1), "Retry").click()
    await Chat.seeCard(page, 2, "Completed")
    assert.deepStrictEqual(await Chat.tokensOf(Chat.card(page, 2)), whole.slice(0, 40))
    assert.deepStrictEqual(await Chat.tokensOf(Chat.card(page, 1)), kept)
  })
})

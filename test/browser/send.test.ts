import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import type { Page } from "playwright-core"
import * as Words from "../../src/workbench/kit/Words.ts"
import * as TurnView from "../../src/workbench/turn/TurnView.ts"
import * as Chat from "./Chat.ts"
import * as Stage from "./Stage.ts"
import { browsing } from "./suite.ts"

const isTerminal = (type: string) => type === "turn.completed" || type === "turn.failed"

browsing("sending a message", ({ cut, open }) => {
  let server: Stage.Stage
  beforeAll(async () => {
    server = await Stage.open()
  })
  afterAll(() => server.stop())

  const sessionOf = async (page: Page): Promise<string> => {
    await page.waitForURL(/session=/)
    return new URL(page.url()).searchParams.get("session") ?? ""
  }

  const onlyTurn = async (sessionId: string) => {
    const turns = await server.api.turns(sessionId)
    assert.lengthOf(turns, 1)
    const [turn] = turns
    if (turn === undefined) throw new Error("unreachable")
    return turn
  }

  it("P1: Ctrl+Enter sends, the first delta is seen before there is an end, and a reload keeps all of the answer", async () => {
    const { page } = await open(server.url)
    await Chat.message(page).fill("Tell me a story")
    await Chat.chooseModel(page, "story")
    await Chat.message(page).press("Control+Enter")
    await Chat.card(page, 1).getByText(/The keeper/).waitFor()
    const sessionId = await sessionOf(page)
    const { id } = await onlyTurn(sessionId)
    const soFar = await server.api.events(id)
    assert.isFalse(soFar.some(({ type }) => isTerminal(type)), "the answer is seen only when all of it has come")
    assert.strictEqual(await Chat.message(page).inputValue(), "")

    await Chat.seeCard(page, 1, "Completed")
    const turn = await server.api.turn(id)
    const events = await server.api.events(id)
    const first = events.find(({ type }) => type === "model.delta")
    const ms = (at: string | undefined) => Words.milliseconds(Date.parse(at ?? "") - Date.parse(turn.startedAt))
    assert.isAbove(events.length, 100)
    const shows = async () => {
      await Chat.seeCard(page, 1, "Completed")
      await Chat.seeSeq(page, turn.lastSeq)
      const card = Chat.card(page, 1)
      // only the events know when the first token came: they are read when the card is seen
      await card.getByText(`first token ${ms(first?.at)}`, { exact: true }).waitFor()
      await Chat.button(card, `Events 1–${turn.lastSeq}`).waitFor()
      const text = await Chat.textOf(card)
      assert.include(text, Chat.plain(turn.text))
      assert.include(text, "Completed")
      assert.include(text, `${turn.provider} / story`)
      assert.include(text, `total ${ms(turn.endedAt)}`)
      assert.notStrictEqual(TurnView.usageText(turn.usage), "")
      assert.include(text, TurnView.usageText(turn.usage))
      return text
    }
    const before = await shows()
    await page.reload()
    assert.strictEqual(await shows(), before)
    // the card reads its events for itself, and not the stream: the header has the seq all the same
    assert.strictEqual(await sessionOf(page), sessionId)
  })

  it("the button sends what is written, to the model that is chosen", async () => {
    const { page } = await open(server.url)
    await Chat.message(page).fill("Say these words again")
    await Chat.chooseModel(page, "echo")
    await Chat.button(page, "Send").click()
    await Chat.seeCard(page, 1, "Completed")
    const text = await Chat.textOf(Chat.card(page, 1))
    assert.lengthOf(text.match(/Say these words again/g) ?? [], 2, "the question, and its echo")
    assert.strictEqual((await onlyTurn(await sessionOf(page))).model, "echo")
  })

  it("a draft, with its provider and model, survives a reload", async () => {
    const { id } = await server.api.createSession()
    const { page } = await open(Chat.addressOf(server.url, id))
    await Chat.seeLive(page)
    await Chat.message(page).fill("Not finished y")
    await Chat.chooseModel(page, "slow")
    await page.reload()
    await Chat.seeLive(page)
    assert.strictEqual(await Chat.message(page).inputValue(), "Not finished y")
    assert.strictEqual(await page.getByRole("combobox", { name: "Model" }).inputValue(), "slow")
    assert.lengthOf(await server.api.turns(id), 0)
  })

  it("a refused message is still in its box, also after a reload, and is then one turn", async () => {
    const { id, page, proxy } = await Chat.behindCut({ cut, open }, server)
    proxy.answer(/^POST .*\/turns$/, { status: 503, code: "StorageUnavailable", detail: "The disk is full." })
    await Chat.message(page).fill("Keep this")
    await Chat.button(page, "Send").click()
    await page.getByText("The disk is full.").filter({ visible: true }).first().waitFor()
    assert.strictEqual(await Chat.message(page).inputValue(), "Keep this")
    assert.lengthOf(await server.api.turns(id), 0)
    await page.reload()
    await Chat.seeLive(page)
    assert.strictEqual(await Chat.message(page).inputValue(), "Keep this")
    await proxy.pass()
    await Chat.button(page, "Send").click()
    await Chat.seeCard(page, 1, "Completed")
    assert.strictEqual(await Chat.message(page).inputValue(), "")
    await onlyTurn(id)
  })

  it("a message that is sent while the server is down is kept until it is back", async () => {
    const { id, page, proxy } = await Chat.behindCut({ cut, open }, server)
    await proxy.refuse()
    await Chat.message(page).fill("Is anybody there?")
    await Chat.message(page).press("Control+Enter")
    await page.getByText(/does not answer|the message is kept here/).filter({ visible: true }).first().waitFor()
    assert.strictEqual(await Chat.message(page).inputValue(), "Is anybody there?")
    await page.getByText(/Offline/).first().waitFor()
    assert.include(await Chat.descriptionOf(page, "button", "Send"), "the message is kept here")
    await proxy.pass()
    // it comes back by itself: a button for it may be gone before it is pressed
    await page.evaluate(() => dispatchEvent(new Event("online")))
    await Chat.seeLive(page)
    assert.strictEqual(await Chat.message(page).inputValue(), "Is anybody there?")
    await Chat.button(page, "Send").click()
    await Chat.seeCard(page, 1, "Completed")
    await onlyTurn(id)
  })

  it("P9: a message whose answer was lost, sent again after a reload, is one turn", async () => {
    const { id } = await server.api.createSession()
    const opened = await open(Chat.addressOf(server.url, id))
    opened.allow(Chat.brokenLoad)
    const { page } = opened
    await Chat.seeLive(page)
    const keys: Array<string | undefined> = []
    // the server has it, and its answer never comes
    await page.route(/\/turns$/, async (route) => {
      keys.push(route.request().headers()["idempotency-key"])
      await route.fetch()
      await route.abort()
    }, { times: 1 })
    await Chat.message(page).fill("Once and no more")
    await Chat.button(page, "Send").click()
    await page.getByText(/does not answer/).filter({ visible: true }).first().waitFor()
    await Chat.seeCard(page, 1, "Completed")
    assert.strictEqual(await Chat.message(page).inputValue(), "Once and no more")
    await page.reload()
    await Chat.seeCard(page, 1, "Completed")
    assert.strictEqual(await Chat.message(page).inputValue(), "Once and no more")
    const again = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/turns"))
    await Chat.button(page, "Send").click()
    keys.push((await again).headers()["idempotency-key"])
    await page.waitForFunction(() => document.querySelector("textarea")?.value === "")
    assert.isDefined(keys[0])
    assert.strictEqual(keys[0], keys[1])
    await onlyTurn(id)
    // the next message, though it says the same, is another turn
    await Chat.message(page).fill("Once and no more")
    await Chat.button(page, "Send").click()
    await Chat.seeCard(page, 2, "Completed")
    assert.lengthOf(await server.api.turns(id), 2)
  })
})

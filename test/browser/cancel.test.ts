import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import type { Page } from "playwright-core"
import type { Step } from "../../src/provider/Script.ts"
import * as Chat from "./Chat.ts"
import type { Cut } from "./Cut.ts"
import * as Stage from "./Stage.ts"
import { browsing } from "./suite.ts"

/** The session's stream, and nothing else that is asked. */
const stream = /^GET \/v1\/sessions\/[^/]+\/events/

const endless: Step = { endless: "and on ", everyMs: 50 }

interface Way {
  readonly when: string
  readonly steps: ReadonlyArray<Step>
  /** The state in which it is cancelled. */
  readonly word: string
  readonly cancel: (page: Page) => Promise<void>
  readonly by: string
}

const byCard = (page: Page) => Chat.button(Chat.card(page, 1), "Cancel").click()
const byComposer = (page: Page) => Chat.button(page, "Cancel turn").click()
const byEscape = (page: Page) => page.keyboard.press("Escape")

const ways: ReadonlyArray<Way> = [
  {
    when: "before the first byte",
    by: "its card",
    steps: [{ hang: true }],
    word: "Calling the model",
    cancel: byCard
  },
  { when: "in mid-stream", by: "the composer", steps: [endless], word: "Streaming", cancel: byComposer },
  {
    when: "in backoff",
    by: "Escape",
    steps: [{ fail: { kind: "overloaded", status: 529, retryAfterMs: 60_000 } }],
    word: "Retrying",
    cancel: byEscape
  }
]

browsing("cancelling a turn", ({ cut, open }) => {
  let server: Stage.Stage
  beforeAll(async () => {
    server = await Stage.open()
  })
  afterAll(() => server.stop())

  const begin = async (steps: ReadonlyArray<Step>) => {
    const proxy = await cut(server)
    const { id } = await server.api.createSession()
    const { page } = await open(Chat.addressOf(proxy.url, id))
    await Chat.seeLive(page)
    const turn = await server.api.start(id, { message: "Stop me", script: { steps } })
    return { page, proxy, sessionId: id, turn }
  }

  /** The server has ended it and says so; the event is on its way. */
  const seeConfirmed = async (page: Page, proxy: Cut, number: number, word: string) => {
    await Chat.card(page, number).getByText(/The server confirmed the cancel/).waitFor()
    assert.match(await Chat.textOf(Chat.card(page, number, word)), new RegExp(word))
    assert.strictEqual(await page.getByText(/Cancelled/).count(), 0)
    proxy.release()
    await Chat.seeCard(page, number, "Cancelled")
  }

  for (const { by, cancel, steps, when, word } of ways) {
    it(`P12: ${when}, by ${by}: it is shown only when the terminal event has come`, async () => {
      const { page, proxy, turn } = await begin(steps)
      await Chat.seeCard(page, 1, word)
      proxy.hold(stream)
      await cancel(page)
      assert.strictEqual((await server.api.ended(turn.id)).error?._tag, "Cancelled")
      await seeConfirmed(page, proxy, 1, word)
      const { lastSeq } = await server.api.turn(turn.id)
      await Chat.button(Chat.card(page, 1), `Events 1–${lastSeq}`).waitFor()
      // for good, and no other end
      await page.reload()
      await Chat.seeCard(page, 1, "Cancelled")
    })
  }

  it("P12: while it is queued, by its card, and the one before it goes on", async () => {
    const { page, proxy, sessionId, turn } = await begin([endless])
    await Chat.seeCard(page, 1, "Streaming")
    const second = await server.api.start(sessionId, { message: "And then?", onBusy: "queue" })
    await Chat.seeCard(page, 2, "Queued")
    // what is looked at stays so
    await Chat.button(Chat.card(page, 1), /^Events 1–/).click()
    const looked = page.getByText("Turn 1 of 2 · chosen", { exact: true })
    await looked.waitFor()
    proxy.hold(stream)
    await Chat.button(Chat.card(page, 2), "Cancel").click()
    assert.strictEqual((await server.api.ended(second.id)).error?._tag, "Cancelled")
    await seeConfirmed(page, proxy, 2, "Queued")
    assert.isTrue(await looked.isVisible())
    await Chat.seeCard(page, 1, "Streaming")
    assert.strictEqual((await server.api.turn(turn.id)).status, "running")
  })

  it("a cancel that the server has not seen yet shows that it was asked, and a turn that still runs", async () => {
    const { page, proxy, turn } = await begin([endless])
    await Chat.seeCard(page, 1, "Streaming")
    proxy.hold(/\/cancel$/)
    const asked = proxy.next(/^POST .*\/cancel$/)
    const card = Chat.card(page, 1)
    const cancel = Chat.button(card, "Cancel")
    await cancel.click()
    await asked
    await card.getByText(/The server was asked to cancel/).first().waitFor()
    assert.strictEqual(await cancel.getAttribute("aria-disabled"), "true")
    assert.strictEqual(await Chat.button(page, "Cancel turn").getAttribute("aria-disabled"), "true")
    // asked again in every way, it asks the server no second time
    await cancel.press("Enter")
    await page.keyboard.press("Escape")
    // the answer still grows
    const before = (await Chat.textOf(card)).length
    await page.waitForFunction(
      ([selector, before]) => (document.querySelector<HTMLElement>(selector)?.innerText.length ?? 0) > before + 100,
      [Chat.cardSelector(1), before] as const
    )
    await Chat.seeCard(page, 1, "Streaming")
    assert.strictEqual((await server.api.turn(turn.id)).status, "running")
    proxy.release()
    await Chat.seeCard(page, 1, "Cancelled")
    assert.lengthOf(proxy.requests.filter((line) => line.endsWith("/cancel")), 1)
  })

  it("P10: a second message waits in the queue while one runs, and then runs", async () => {
    const { page, sessionId } = await begin([endless])
    await Chat.seeCard(page, 1, "Streaming")
    await Chat.chooseModel(page, "echo")
    await Chat.message(page).fill("What comes second")
    assert.strictEqual(await Chat.button(page, "Send").count(), 0)
    await Chat.button(page, "Queue").click()
    await Chat.seeCard(page, 2, "Queued")
    await Chat.seeCard(page, 1, "Streaming")
    await Chat.button(page, "Cancel turn").click()
    await Chat.seeCard(page, 1, "Cancelled")
    await Chat.seeCard(page, 2, "Completed")
    assert.lengthOf((await Chat.textOf(Chat.card(page, 2))).match(/What comes second/g) ?? [], 2)
    assert.deepStrictEqual((await server.api.turns(sessionId)).map(({ status }) => status), ["failed", "completed"])
    await Chat.button(page, "Send").waitFor()
  })

  it("P12: a cancel that comes too late says that the turn had completed", async () => {
    const { page, proxy, turn } = await begin([{ say: "Said " }, { wait: 5_000 }, { say: "and done." }])
    await Chat.seeCard(page, 1, "Streaming")
    proxy.hold(stream)
    await server.api.ended(turn.id)
    await Chat.button(Chat.card(page, 1), "Cancel").click()
    await Chat.card(page, 1).getByText(/had completed before the cancel/).waitFor()
    proxy.release()
    await Chat.seeCard(page, 1, "Completed")
  })
})

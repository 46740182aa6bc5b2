/** What is told to who does not see the page: transitions, by one polite node, and never the words of an answer. */
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import type { Page } from "playwright-core"
import * as Chat from "./Chat.ts"
import * as Stage from "./Stage.ts"
import { browsing } from "./suite.ts"

/** Transitions of the longest story told here. */
const textsMax = 6

const liveNodes = (page: Page) =>
  page.evaluate(() =>
    [
      ...document.querySelectorAll(
        "[role=status], [role=alert], [role=log], [role=timer], [role=marquee], output, [aria-live]:not([aria-live=off])"
      )
    ].map((node) => node.role ?? node.tagName)
  )

declare global {
  /** Every text of the status node since `listen`. */
  var turnstreamTold: Array<string>
}

const listen = (page: Page) =>
  page.evaluate(() => {
    globalThis.turnstreamTold = []
    const node = document.querySelector("[role=status]")
    if (node === null) throw new Error("There is no status node.")
    new MutationObserver(() => {
      const text = node.textContent ?? ""
      if (text !== globalThis.turnstreamTold.at(-1)) globalThis.turnstreamTold.push(text)
    }).observe(node, { childList: true, characterData: true, subtree: true })
  })

const told = (page: Page) => page.evaluate(() => globalThis.turnstreamTold)

browsing("what the page tells listeners", ({ cut, open }) => {
  let server: Stage.Stage
  beforeAll(async () => {
    server = await Stage.open()
  })
  afterAll(() => server.stop())

  const openSession = async () => {
    const proxy = await cut(server)
    const { id } = await server.api.createSession()
    const opened = await open(Chat.addressOf(proxy.url, id))
    opened.allow(Chat.brokenLoad)
    await Chat.seeLive(opened.page)
    await listen(opened.page)
    return { ...opened, proxy, sessionId: id }
  }

  it("of 200 deltas it tells the begin and the end, and none of the words", async () => {
    const { page, sessionId } = await openSession()
    assert.deepStrictEqual(await liveNodes(page), ["status"])
    const turn = await server.api.start(sessionId, { script: { deltas: 200, delayMs: 10 } })
    await Chat.seeTokens(page, 1, 100)
    assert.deepStrictEqual(await liveNodes(page), ["status"])
    await Chat.seeCard(page, 1, "Completed")
    await server.api.ended(turn.id)
    assert.deepStrictEqual(await told(page), ["Turn 1: streaming.", "Turn 1: completed."])
    assert.deepStrictEqual(await liveNodes(page), ["status"])
  })

  it("tells what fails and is tried again, what waits, and what is cancelled", async () => {
    const { page, sessionId } = await openSession()
    const first = await server.api.start(sessionId, {
      script: {
        steps: [{ fail: { kind: "overloaded", attempts: 1 } }, { say: "secret words of the answer" }, { hang: true }]
      }
    })
    await Chat.seeCard(page, 1, "Streaming")
    await server.api.start(sessionId, { onBusy: "queue", script: { deltas: 2 } })
    await Chat.seeCard(page, 2, "Queued")
    await server.api.cancel(first.id)
    await Chat.seeCard(page, 2, "Completed")
    const texts = await told(page)
    const all = texts.join("\n")
    assert.isAtMost(texts.length, textsMax, all)
    for (
      const words of [
        "Turn 1: retrying",
        "Turn 1: streaming",
        "Turn 2: queued",
        "Turn 1: cancelled",
        "Turn 2: completed"
      ]
    ) {
      assert.include(all, words)
    }
    assert.notInclude(all, "secret words")
    assert.notMatch(all, /\d{7}/)
  })

  it("tells that the connection broke and is back, not each attempt", async () => {
    const { page, proxy } = await openSession()
    await proxy.refuse()
    await page.getByText(/Offline/).filter({ visible: true }).first().waitFor()
    await proxy.pass()
    await Chat.button(page, "Try now").click()
    await Chat.seeLive(page)
    const texts = await told(page)
    assert.lengthOf(texts, 3, texts.join("\n"))
    assert.match(texts[0] ?? "", /^Reconnecting/)
    assert.match(texts[1] ?? "", /^Offline/)
    assert.match(texts[2] ?? "", /^Connected again/)
  })

  it("does not read out a session that is opened", async () => {
    const { id } = await server.api.createSession({ title: "Told before" })
    for (let i = 0; i < 3; i++) await server.api.run(id, { script: { deltas: 2 } })
    const { page } = await openSession()
    await page.getByRole("combobox", { name: "Session" }).selectOption(id)
    await Chat.seeCard(page, 3, "Completed")
    await Chat.seeLive(page)
    assert.deepStrictEqual(await told(page), [])
  })
})

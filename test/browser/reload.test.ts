/**
 * A page that comes, goes and loses its connection while an answer streams. Where it does so is chance: each run has its
 * own seed, which is printed, and which TURNSTREAM_SEED sets.
 */
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import { randomInt } from "node:crypto"
import { makeDice } from "../races/engine.ts"
import * as Chat from "./Chat.ts"
import * as Stage from "./Stage.ts"
import { browsing } from "./suite.ts"

const reloads = 20
const cuts = 8
/** On a slow machine the answer is over before all of them. */
const cutsMin = 3

/** Tokens that come between two points at most: a third of a second. */
const stepMax = 25

const seed = Number(process.env["TURNSTREAM_SEED"] ?? randomInt(2 ** 32))

browsing("a page in mid-stream", ({ cut, open }) => {
  let server: Stage.Stage
  beforeAll(async () => {
    console.log(`seed ${seed}`)
    server = await Stage.open()
  })
  afterAll(() => server.stop())

  const begin = async (deltas: number, delayMs: number) => {
    const { id } = await server.api.createSession()
    const turn = await server.api.start(id, { script: { deltas, delayMs } })
    return { sessionId: id, turnId: turn.id }
  }

  /** Fails where the page shows what the server does not hold, or does not hold in that place. */
  const agrees = async (turnId: string, seen: ReadonlyArray<string>, where: string) => {
    const { text } = await server.api.turn(turnId)
    assert.deepStrictEqual(seen, Chat.tokensIn(text).slice(0, seen.length), where)
  }

  it(
    "P15: reloaded at 20 chance points, it shows what the server holds, no seq missing or twice, and can cancel",
    async () => {
      const below = makeDice(seed)
      const { sessionId, turnId } = await begin(100_000, 12)
      const { page } = await open(Chat.addressOf(server.url, sessionId))
      let before = 0
      for (let i = 1; i <= reloads; i++) {
        const where = `reload ${i} of seed ${seed}`
        await Chat.card(page, 1, "Streaming").waitFor()
        assert.isNull(await Chat.button(Chat.card(page, 1), "Cancel").getAttribute("aria-disabled"), where)
        assert.isNull(await Chat.button(page, "Cancel turn").getAttribute("aria-disabled"), where)
        // what was seen once is seen again
        before = await Chat.seeTokens(page, 1, before + below(stepMax))
        await agrees(turnId, await Chat.tokensOf(Chat.card(page, 1)), where)
        // some are left while they are still loading
        await page.reload({ waitUntil: below(4) === 0 ? "commit" : "load" })
      }
      await Chat.seeTokens(page, 1, before)
      await Chat.button(Chat.card(page, 1), "Cancel").click()
      await Chat.seeCard(page, 1, "Cancelled")
      const shows = async () => {
        const turn = await server.api.turn(turnId)
        await Chat.button(Chat.card(page, 1), `Events 1–${turn.lastSeq}`).waitFor()
        await Chat.seeSeq(page, turn.lastSeq)
        assert.deepStrictEqual(
          await Chat.tokensOf(Chat.card(page, 1)),
          Chat.tokensIn(turn.text),
          `at the end of seed ${seed}`
        )
      }
      await shows()
      await page.reload()
      await Chat.seeCard(page, 1, "Cancelled")
      await shows()
    },
    60_000
  )

  it("P15: cut off at chance points, it goes on from there, and ends with all of the answer", async () => {
    const below = makeDice(seed + 1)
    const deltas = 400
    const { sessionId, turnId } = await begin(deltas, 20)
    const proxy = await cut(server)
    const opened = await open(Chat.addressOf(proxy.url, sessionId))
    opened.allow(Chat.brokenLoad)
    const { page } = opened
    let before = 0
    let made = 0
    for (; made < cuts && before < deltas - stepMax; made++) {
      before = await Chat.seeTokens(page, 1, Math.min(deltas, before + 1 + below(stepMax)))
      await agrees(turnId, await Chat.tokensOf(Chat.card(page, 1)), `cut ${made + 1} of seed ${seed}`)
      const again = proxy.next(/\/events\?live=false$/)
      // for as long as it is looked for: the page comes back by itself within half a second
      await proxy.refuse()
      await page.getByText(/^(Connection: )?Reconnecting/).first().waitFor()
      await proxy.pass()
      await page.evaluate(() => dispatchEvent(new Event("online")))
      await again
      await page.getByText(/Live · seq|Replayed [\d,]+/).first().waitFor()
    }
    assert.isAtLeast(made, cutsMin, `the answer was over before the cuts of seed ${seed}`)
    await Chat.seeCard(page, 1, "Completed")
    const turn = await server.api.turn(turnId)
    await Chat.button(Chat.card(page, 1), `Events 1–${turn.lastSeq}`).waitFor()
    const all = await Chat.tokensOf(Chat.card(page, 1))
    assert.lengthOf(all, deltas, `seed ${seed}`)
    await agrees(turnId, all, `at the end of seed ${seed}`)
  }, 60_000)

  it("what came while it was cut off is replayed, and the page says how many events that were", async () => {
    const { id } = await server.api.createSession()
    const proxy = await cut(server)
    const opened = await open(Chat.addressOf(proxy.url, id), { reducedMotion: false })
    opened.allow(Chat.brokenLoad)
    const { page } = opened
    await Chat.seeLive(page)
    await proxy.refuse()
    await page.getByText(/Reconnecting/).first().waitFor()
    // the header waits without the look of a card that waits
    assert.strictEqual(
      await page.getByRole("banner").evaluate((header) => header.getAnimations({ subtree: true }).length),
      0
    )
    const turn = await server.api.run(id, { script: { deltas: 40 } })
    await proxy.pass()
    await page.getByText(new RegExp(`Replayed ${turn.lastSeq}$`)).first().waitFor()
    await Chat.seeCard(page, 1, "Completed")
    assert.deepStrictEqual(await Chat.tokensOf(Chat.card(page, 1)), Chat.tokensIn(turn.text))
    // then it is an ordinary live page again
    await Chat.seeSeq(page, turn.lastSeq)
  })
})

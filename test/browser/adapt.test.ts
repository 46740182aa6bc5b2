/** The page for who needs it otherwise: without motion, in the colours of the system, at twice the size. */
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import type { Page } from "playwright-core"
import * as Accessibility from "./Accessibility.ts"
import * as Acme from "./Acme.ts"
import * as Chat from "./Chat.ts"
import * as Stage from "./Stage.ts"
import { browsing } from "./suite.ts"
import * as Texts from "./Texts.ts"

/** What 1280 by 800 px hold at 200 %. */
const zoomed = { width: 640, height: 400 }

const running = (page: Page) =>
  page.evaluate(() => document.getAnimations().filter(({ playState }) => playState === "running").length)

/** Runs in the page: controls that are seen by nothing but what forced colours take away. */
const findUnseen = () => {
  const controls = document.querySelectorAll<HTMLElement>(
    "button, input:not([type=range]), select, textarea, summary, a[href], [role=tab]"
  )
  const findings: Array<string> = []
  for (const element of controls) {
    if (!element.checkVisibility({ visibilityProperty: true })) continue
    const name = element.ariaLabel ?? (element.textContent ?? "").trim().slice(0, 24)
    const { backgroundColor, color } = getComputedStyle(element)
    let behind: Element | null = element
    const isClear = (colour: string) => colour === "transparent" || /^rgba.*, 0\)$/.test(colour)
    while (behind !== null && isClear(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement
    const back = behind === null ? "rgb(255, 255, 255)" : getComputedStyle(behind).backgroundColor
    if (color === back || color === backgroundColor) findings.push(`${name} has the colour of its ground: ${color}`)
  }
  return findings
}

browsing("the page for who needs it otherwise", ({ open }) => {
  let server: Stage.Stage
  beforeAll(async () => {
    server = await Stage.open({ config: Acme.config })
  })
  afterAll(() => server.stop())

  /** A session with a turn of each kind: long, blocked, and one that runs and says nothing yet. */
  const openTalk = async (view: Parameters<typeof open>[1]) => {
    const { id } = await server.api.createSession({ title: "In other ways" })
    await server.api.run(id, { message: Texts.question, script: { steps: [{ say: Texts.answer, bytes: 24 }] } })
    await server.api.start(id, { message: "Will this go?", provider: "acme", model: "acme-large" })
    const turn = await server.api.start(id, { message: "Say nothing", script: { steps: [{ hang: true }] } })
    const { page } = await open(Chat.addressOf(server.url, id), view)
    await Chat.seeLive(page)
    await Chat.card(page, 3, "Calling the model").waitFor()
    return { page, turn }
  }

  it("nothing moves for who wants no motion, while a turn waits and while it streams", async () => {
    const { page } = await openTalk({ reducedMotion: true })
    assert.strictEqual(await running(page), 0)
    const moving = await openTalk({ reducedMotion: false })
    // else nothing is known by the line above
    assert.isAbove(await running(moving.page), 0)
    const { id } = await server.api.createSession()
    const { page: streaming } = await open(Chat.addressOf(server.url, id), { reducedMotion: true })
    await server.api.start(id, { script: { steps: [{ endless: "and on ", everyMs: 50 }] } })
    await Chat.seeCard(streaming, 1, "Streaming")
    assert.strictEqual(await running(streaming), 0)
  })

  it("in the colours of the system every control is seen, and so are the focus, the choice and each state", async () => {
    for (const theme of ["light", "dark"] as const) {
      const { page } = await openTalk({ forcedColors: true, theme })
      assert.isTrue(await page.evaluate(() => matchMedia("(forced-colors: active)").matches))
      assert.deepStrictEqual(await page.evaluate(findUnseen), [])
      const message = Chat.message(page)
      const edges = await message.evaluate((element) => {
        element.focus()
        const { borderTopStyle, borderTopWidth, outlineStyle, outlineWidth } = getComputedStyle(element)
        return { borderTopStyle, borderTopWidth, outlineStyle, outlineWidth }
      })
      assert.notStrictEqual(edges.borderTopStyle, "none")
      assert.notStrictEqual(edges.outlineStyle, "none")
      assert.isAbove(parseFloat(edges.outlineWidth), 1)
      await Chat.button(page, /^Provider:/).click()
      assert.deepStrictEqual(await page.evaluate(findUnseen), [])
      // the chosen one differs by more than a colour
      const looks = await page.getByRole("dialog", { name: "Provider" }).getByRole("button").evaluateAll((rows) =>
        rows.map((row) => {
          // the grounds are all the system's own
          const { borderTopStyle, borderTopWidth, fontWeight, outlineStyle } = getComputedStyle(row)
          const look = [borderTopStyle, borderTopWidth, fontWeight, outlineStyle].join()
          return { isChosen: row.ariaPressed === "true", look }
        })
      )
      const chosen = looks.find(({ isChosen }) => isChosen)
      assert.isDefined(chosen)
      assert.isFalse(looks.some(({ isChosen, look }) => !isChosen && look === chosen?.look), JSON.stringify(looks))
    }
  })

  it("at 200 % nothing sticks out, and every control can be brought into view and pressed", async () => {
    const { page } = await openTalk(zoomed)
    assert.deepStrictEqual(await Accessibility.overflow(page), [])
    const transcript = page.getByRole("region", { name: "Transcript" })
    const box = await transcript.boundingBox()
    assert.isAbove(box?.height ?? 0, 80, "the conversation has no room")
    const unreachable = () =>
      page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>("button, select, textarea, input, summary, [role=tab]")]
          .filter((element) => element.checkVisibility({ visibilityProperty: true }))
          .flatMap((element) => {
            element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" })
            const { bottom, left, right, top } = element.getBoundingClientRect()
            const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2)
            const isHit = hit !== null && (element.contains(hit) || hit.contains(element))
            const name = element.ariaLabel ?? (element.textContent ?? "").trim().slice(0, 24)
            return isHit ? [] : [`${element.tagName} ${name} is covered or out of view`]
          })
      )
    assert.deepStrictEqual(await unreachable(), [])
    await Chat.button(page, "Inspector").click()
    await page.getByRole("complementary").waitFor()
    assert.deepStrictEqual(await Accessibility.overflow(page), [])
    assert.deepStrictEqual(await unreachable(), [])
    await Chat.button(page, "Chat").click()
    await Chat.button(page, /^Provider:/).click()
    assert.deepStrictEqual(await Accessibility.overflow(page), [])
    await page.keyboard.press("Escape")
    await Chat.button(page, "Session menu").click()
    await Chat.button(page, "Delete…").click()
    assert.deepStrictEqual(await Accessibility.overflow(page), [])
    await Chat.button(page, "Keep it").click()
    await Chat.seeCard(page, 3, "Calling the model")
  })

  it("at 200 % the focus goes along when the inspector takes the place of the conversation", async () => {
    const { page } = await openTalk(zoomed)
    const events = Chat.button(Chat.card(page, 3), /^Events 1–/)
    await events.focus()
    await page.keyboard.press("Enter")
    await events.waitFor({ state: "hidden" })
    const where = await page.evaluate(async () => {
      for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame)
      return document.activeElement?.closest("aside, body")?.tagName
    })
    assert.strictEqual(where, "ASIDE")
  })
})

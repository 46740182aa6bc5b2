/**
 * The page without a mouse. Every key goes through `press`, which fails where the focus is nowhere afterwards: on the
 * body, as after the removal of what had it.
 */
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import type { Locator, Page } from "playwright-core"
import * as Chat from "./Chat.ts"
import * as Stage from "./Stage.ts"
import { browsing } from "./suite.ts"

/** More controls than the page ever shows. */
const tabsMax = 80

const hasFocus = (locator: Locator): Promise<boolean> =>
  locator.evaluate((element) => element === document.activeElement).catch(() => false)

/** Fails where the focus is lost, once the browser has drawn what the last action caused. */
const keepsFocus = async (page: Page, after: string): Promise<void> => {
  const focused = await page.evaluate(async () => {
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame)
    return document.activeElement?.tagName
  })
  assert.notInclude([undefined, "BODY", "HTML"], focused, `the focus is lost after ${after}`)
}

const press = async (page: Page, key: string, what = ""): Promise<void> => {
  await page.keyboard.press(key)
  await keepsFocus(page, `${key} ${what}`)
}

/** Goes to a control by Tab alone. */
const tabTo = async (page: Page, locator: Locator, key = "Tab"): Promise<void> => {
  for (let i = 0; i < tabsMax; i++) {
    if (await hasFocus(locator)) return
    await page.keyboard.press(key)
  }
  assert.fail(`${String(locator)} is not reached by ${key}`)
}

/** Presses a control that Tab reaches. */
const activate = async (page: Page, locator: Locator, key = "Enter"): Promise<void> => {
  await tabTo(page, locator)
  await press(page, key, `on ${String(locator)}`)
}

/** Every control that is seen and takes part in the order of Tab, by where it is in the document. */
const tabbable = (page: Page) =>
  page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>("a[href], button, input, select, textarea, summary, [tabindex]")]
      .filter((element) => element.tabIndex >= 0 && element.checkVisibility({ visibilityProperty: true }))
      .map((element) =>
        element.ariaLabel ?? (element.id === "" ? (element.textContent ?? "").trim().slice(0, 30) : `#${element.id}`)
      )
  )

const nameFocused = (page: Page) =>
  page.evaluate(() => {
    const element = document.activeElement
    if (element === null || element === document.body) return undefined
    const { bottom, height, left, right, top } = element.getBoundingClientRect()
    return {
      name: element.ariaLabel ??
        (element.id === "" ? (element.textContent ?? "").trim().slice(0, 30) : `#${element.id}`),
      isInView: height > 0 && bottom > 0 && top < innerHeight && right > 0 && left < innerWidth,
      hasOutline: getComputedStyle(element).outlineStyle !== "none"
    }
  })

/** What Tab visits from the top of the page to its end. */
const walk = async (page: Page) => {
  await page.evaluate(() => {
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur()
    getSelection()?.removeAllRanges()
  })
  const visited = []
  for (let i = 0; i < tabsMax; i++) {
    await page.keyboard.press("Tab")
    const now = await nameFocused(page)
    if (now === undefined || (now.name === visited[0]?.name && i > 0)) return visited
    visited.push(now)
  }
  return assert.fail("Tab does not come back")
}

browsing("the page by keys alone", ({ open, stage }) => {
  let server: Stage.Stage
  beforeAll(async () => {
    server = await Stage.open()
  })
  afterAll(() => server.stop())

  const openSession = async (view = {}) => {
    const { id } = await server.api.createSession({ title: "By keys" })
    const opened = await open(Chat.addressOf(server.url, id), view)
    await Chat.seeLive(opened.page)
    return { ...opened, sessionId: id }
  }

  it("Tab reaches every control, in the order of the page, and shows where it is", async () => {
    const { page, sessionId } = await openSession()
    await server.api.run(sessionId, { script: { deltas: 3 } })
    await Chat.seeCard(page, 1, "Completed")
    await Chat.button(Chat.card(page, 1), /^Events 1–/).waitFor()
    await page.reload()
    await Chat.seeCard(page, 1, "Completed")
    // the inspector has read them too
    await page.getByRole("complementary").getByText("turn.completed").first().waitFor()
    const expected = await tabbable(page)
    const visited = await walk(page)
    assert.deepStrictEqual(visited.map(({ name }) => name), expected)
    for (const { hasOutline, isInView, name } of visited) {
      assert.isTrue(isInView, `${name} has the focus out of sight`)
      assert.isTrue(hasOutline, `${name} does not show that it has the focus`)
    }
    const order = ["Skip to the message field", "#session", "New", "Session menu", "Retry", "Copy", "#message", "Send"]
    const places = order.map((name) => visited.findIndex((one) => one.name === name))
    assert.deepStrictEqual(places, [...places].sort((a, b) => a - b), visited.map(({ name }) => name).join(", "))
    assert.isAtLeast(places[0] ?? -1, 0)
  })

  it("the way past the header leads to the message", async () => {
    const { page } = await openSession()
    await page.keyboard.press("Tab")
    await press(page, "Enter", "on the skip link")
    assert.isTrue(await hasFocus(Chat.message(page)))
  })

  it("a message is written, a provider and a model chosen, sent, cancelled, tried again and cancelled again", async () => {
    const { page, sessionId } = await openSession()
    await tabTo(page, Chat.message(page))
    await page.keyboard.type("Without a mouse")
    await activate(page, Chat.button(page, /^Provider:/))
    const provider = page.getByRole("dialog", { name: "Provider" }).getByRole("button", { name: /^deterministic/ })
    await activate(page, provider)
    assert.isFalse(await provider.isVisible())
    await tabTo(page, page.getByRole("combobox", { name: "Model" }))
    await page.keyboard.type("stalls")
    assert.strictEqual(await page.getByRole("combobox", { name: "Model" }).inputValue(), "stalls")
    await tabTo(page, Chat.message(page), "Shift+Tab")
    await press(page, "Control+Enter")
    await Chat.seeCard(page, 1, "Streaming")
    await press(page, "Escape")
    await Chat.seeCard(page, 1, "Cancelled")
    await keepsFocus(page, "the end of the turn")
    assert.isTrue(await hasFocus(Chat.message(page)))

    await tabTo(page, Chat.button(Chat.card(page, 1), "Retry"), "Shift+Tab")
    await press(page, "Enter", "on Retry")
    await Chat.seeCard(page, 2, "Streaming")
    await keepsFocus(page, "the begin of the second turn")
    await activate(page, Chat.button(Chat.card(page, 2), "Cancel"))
    await Chat.seeCard(page, 2, "Cancelled")
    await keepsFocus(page, "the end of the second turn")
    assert.deepStrictEqual((await server.api.turns(sessionId)).map(({ error }) => error?._tag), [
      "Cancelled",
      "Cancelled"
    ])
  })

  it("a session is renamed, and deleted after a question, from its menu", async () => {
    const { page, sessionId } = await openSession()
    const menu = Chat.button(page, "Session menu")
    await activate(page, menu)
    await press(page, "Escape", "in the menu")
    assert.isTrue(await hasFocus(menu))
    await press(page, "Enter", "on the menu")
    await activate(page, Chat.button(page, "Rename…"))
    const title = page.getByRole("textbox", { name: "Title" })
    assert.isTrue(await hasFocus(title))
    await page.keyboard.press("Control+A")
    await page.keyboard.type("Another name")
    await press(page, "Enter", "in the title")
    await page.waitForFunction(() =>
      document.querySelector<HTMLSelectElement>("#session")?.selectedOptions[0]?.text.startsWith("Another name") ===
        true
    )
    await keepsFocus(page, "the dialog's end")
    assert.strictEqual(await title.count(), 0)

    await activate(page, menu)
    await activate(page, Chat.button(page, "Delete…"))
    const dialog = page.getByRole("dialog", { name: "Delete this session?" })
    await press(page, "Escape", "in the question")
    assert.strictEqual(await dialog.count(), 0)
    assert.strictEqual((await server.api.ask("GET", `/v1/sessions/${sessionId}`)).status, 200)
    await activate(page, menu)
    await activate(page, Chat.button(page, "Delete…"))
    // what undoes nothing comes first
    assert.isTrue(await hasFocus(Chat.button(dialog, "Keep it")))
    await activate(page, Chat.button(dialog, "Delete the session"))
    await page.waitForFunction(() => !location.search.includes("session="))
    await page.getByText("Another name").waitFor({ state: "detached" })
    await keepsFocus(page, "the session's end")
    assert.strictEqual((await server.api.ask("GET", `/v1/sessions/${sessionId}`)).status, 404)
  })

  it("another session is opened, and a new one begun", async () => {
    const { id } = await server.api.createSession({ title: "Yet another" })
    const { page } = await openSession()
    await tabTo(page, page.getByRole("combobox", { name: "Session" }))
    await page.keyboard.type("Yet")
    await page.waitForURL(new RegExp(id))
    await Chat.seeLive(page)
    await keepsFocus(page, "another session")
    await activate(page, Chat.button(page, "New"))
    await page.waitForFunction(() => location.search === "")
    assert.isTrue(await hasFocus(Chat.message(page)))
    await page.getByText(/works offline/).waitFor()
    await tabTo(page, Chat.button(page, /^Echo a message/), "Shift+Tab")
    await press(page, "Enter", "on a suggestion")
    assert.isTrue(await hasFocus(Chat.message(page)))
    await press(page, "Control+Enter")
    await Chat.seeCard(page, 1, "Completed")
    await keepsFocus(page, "the first turn")
  })

  it("the inspector's tabs go by the arrows, and one of them at a time is on the way of Tab", async () => {
    const { page, sessionId } = await openSession()
    await server.api.run(sessionId, { script: { deltas: 3 } })
    await Chat.seeCard(page, 1, "Completed")
    const tab = (name: string) => page.getByRole("tab", { name, exact: true })
    await tabTo(page, tab("Events"))
    for (const name of ["Context", "Checkpoint", "Usage"]) {
      await press(page, "ArrowRight")
      assert.isTrue(await hasFocus(tab(name)))
      assert.strictEqual(await tab(name).getAttribute("aria-selected"), "true")
      assert.strictEqual(await page.getByRole("tabpanel", { name }).count(), 1)
    }
    await press(page, "Home")
    assert.isTrue(await hasFocus(tab("Events")))
  })

  const focused = (page: Page, locator: Locator) =>
    locator.focus().then(() => hasFocus(locator)).then((has) => assert.isTrue(has)).then(() =>
      keepsFocus(page, "focus")
    )

  it("the focus is kept when the turn ends whose Cancel has it, in the card and in the composer", async () => {
    for (const where of ["card", "composer"]) {
      const { page, sessionId } = await openSession()
      const turn = await server.api.start(sessionId, { script: { steps: [{ say: "And " }, { hang: true }] } })
      await Chat.seeCard(page, 1, "Streaming")
      const cancel = where === "card" ? Chat.button(Chat.card(page, 1), "Cancel") : Chat.button(page, "Cancel turn")
      await focused(page, cancel)
      await server.api.cancel(turn.id)
      await Chat.seeCard(page, 1, "Cancelled")
      await cancel.waitFor({ state: "detached" })
      await keepsFocus(page, `the end of the turn whose Cancel in the ${where} had it`)
      // and it is near to where it was
      const inCard = await page.evaluate(() => document.activeElement?.closest("[role=article]") !== null)
      assert.strictEqual(inCard, where === "card")
    }
  })

  it("the focus is kept when Resume, Retry and Dismiss go away", async () => {
    const { page, sessionId, allow } = await openSession()
    allow(Chat.brokenLoad)
    const turn = await server.api.start(sessionId, { script: { steps: [{ say: "Half" }, { hang: true }] } })
    await server.api.until(turn.id, ({ type }) => type === "model.delta")
    await server.api.cancel(turn.id)
    await Chat.seeCard(page, 1, "Cancelled")
    const card = Chat.card(page, 1)
    await focused(page, Chat.button(card, "Resume"))
    await press(page, "Enter", "on Resume")
    await Chat.seeCard(page, 2, "Completed")
    await Chat.button(card, "Resume").waitFor({ state: "detached" })
    await keepsFocus(page, "Resume")
    await focused(page, Chat.button(card, "Retry"))
    await press(page, "Enter", "on Retry")
    await Chat.button(card, "Retry").waitFor({ state: "detached" })
    await keepsFocus(page, "Retry")
    await Chat.seeCard(page, 3, "Streaming")
    await page.route(/\/turns$/, (route) => route.abort(), { times: 1 })
    await Chat.message(page).fill("Refuse this")
    await Chat.message(page).press("Control+Enter")
    await focused(page, Chat.button(page, "Dismiss"))
    await press(page, "Enter", "on Dismiss")
    assert.strictEqual(await Chat.button(page, "Dismiss").count(), 0)
  })

  it("the focus is kept when the connection is back and Try now goes away", async () => {
    const own = await stage()
    const { id } = await own.api.createSession()
    const opened = await open(Chat.addressOf(own.url, id))
    opened.allow(Chat.brokenLoad)
    const { page } = opened
    await Chat.seeLive(page)
    await own.kill9()
    await focused(page, Chat.button(page, "Try now"))
    await own.restart()
    await press(page, "Enter", "on Try now")
    await Chat.button(page, "Try now").waitFor({ state: "detached" })
    await keepsFocus(page, "the connection")
  })

  it("a token is given: a wrong one is asked for again with the reason, a right one opens the session", async () => {
    const token = "a-token-of-the-tests"
    const own = await stage({ env: { TURNSTREAM_TOKEN: token } })
    const { id } = await own.api.createSession()
    await own.api.run(id)
    const opened = await open(Chat.addressOf(own.url, id))
    opened.allow(Chat.brokenLoad)
    const { page } = opened
    const dialog = page.getByRole("dialog", { name: /needs a token/ })
    const field = page.getByLabel(/^Token/)
    await field.waitFor()
    assert.isTrue(await hasFocus(field))
    await page.keyboard.type("not this one")
    await press(page, "Enter", "in the token")
    await dialog.getByText(/did not accept/).waitFor()
    await keepsFocus(page, "the refusal")
    await press(page, "Escape", "in the question")
    await activate(page, Chat.button(page, "Enter the token"))
    await tabTo(page, field)
    await page.keyboard.type(token)
    await press(page, "Enter", "in the token")
    await Chat.seeCard(page, 1, "Completed")
    await keepsFocus(page, "the token")
  })
})

import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import type { Page } from "playwright-core"
import * as Acme from "./Acme.ts"
import * as Chat from "./Chat.ts"
import * as Stage from "./Stage.ts"
import { browsing } from "./suite.ts"

/** A key as a vendor would give it; no part of it may be found anywhere. */
const canary = "sk-canary-5b1d9c40e2a74f6c8a3e"

const settings: Stage.Settings = { env: { OTHER_API_KEY: canary }, config: Acme.config }

/** Everything that the page holds and shows, but what it has in its memory. */
const everythingOf = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const values = [...document.querySelectorAll<HTMLInputElement>("input, textarea, select")].map(({ value }) => value)
    const stores = [localStorage, sessionStorage].map((store) => JSON.stringify({ ...store }))
    return [document.documentElement.outerHTML, ...values, ...stores, document.cookie, location.href].join("\n")
  })

browsing("a provider without its key", ({ open }) => {
  let server: Stage.Stage
  beforeAll(async () => {
    server = await Stage.open(settings)
  })
  afterAll(() => server.stop())

  const chooseProvider = async (page: Page, name: string) => {
    await Chat.button(page, /^Provider:/).click()
    await page.getByRole("dialog", { name: "Provider" }).getByRole("button", { name: new RegExp(`^${name}`) }).click()
  }

  it("the card of a blocked turn names the exact variable, and the way on keeps the message", async () => {
    const { id } = await server.api.createSession({ provider: "acme" })
    const opened = await open(Chat.addressOf(server.url, id))
    const { page } = opened
    await Chat.seeLive(page)
    const turn = await server.api.start(id, { message: "Will this be sent?", provider: "acme", model: "acme-large" })
    assert.strictEqual(turn.error?._tag, "ProviderBlocked")
    await Chat.seeCard(page, 1, "Blocked")
    const card = Chat.card(page, 1)
    await card.getByText("ACME_API_KEY", { exact: true }).first().waitFor()
    assert.notInclude(await Chat.textOf(card), "OTHER_API_KEY")
    await card.getByText("Will this be sent?", { exact: true }).waitFor()
    await Chat.button(card, "Use deterministic").click()
    assert.strictEqual(await Chat.message(page).inputValue(), "Will this be sent?")
    await Chat.button(page, "Send").click()
    await Chat.seeCard(page, 2, "Completed")
    assert.strictEqual((await server.api.turns(id))[1]?.provider, "deterministic")
  })

  it("chosen in the composer, it cannot be sent to: Send says which variable to set, and Use deterministic sends the same message", async () => {
    const { id } = await server.api.createSession()
    const { page } = await open(Chat.addressOf(server.url, id))
    await Chat.seeLive(page)
    await Chat.message(page).fill("Kept over the choice")
    await chooseProvider(page, "acme")
    const send = Chat.button(page, "Send")
    assert.strictEqual(await send.getAttribute("aria-disabled"), "true")
    assert.match(await Chat.descriptionOf(page, "button", "Send"), /\bACME_API_KEY\b/)
    await page.getByText("ACME_API_KEY", { exact: true }).filter({ visible: true }).first().waitFor()
    await send.press("Enter")
    await Chat.message(page).press("Control+Enter")
    assert.strictEqual(await Chat.message(page).inputValue(), "Kept over the choice")
    // a reload changes nothing of it
    await page.reload()
    await Chat.seeLive(page)
    assert.match(await Chat.descriptionOf(page, "button", "Send"), /\bACME_API_KEY\b/)
    assert.lengthOf(await server.api.turns(id), 0)
    await Chat.button(page, "Use deterministic").press("Enter")
    assert.strictEqual(await Chat.message(page).inputValue(), "Kept over the choice")
    assert.isTrue(await Chat.message(page).evaluate((element) => element === document.activeElement))
    assert.isNull(await send.getAttribute("aria-disabled"))
    await send.click()
    await Chat.seeCard(page, 1, "Completed")
  })

  it("P25: a key that the server has is nowhere in the page, in what it keeps or in what it was answered", async () => {
    const bodies: Array<Promise<string>> = []
    const { id } = await server.api.createSession()
    const opened = await open(Chat.addressOf(server.url, id), {}, (page) => {
      page.on("response", (response) => {
        const isStream = response.headers()["content-type"]?.startsWith("text/event-stream") === true
        const head = `${response.url()} ${JSON.stringify(response.headers())}`
        // a stream has no end yet: what it says is read below
        bodies.push(isStream ? Promise.resolve(head) : response.text().then((text) => head + text, () => head))
      })
      return Promise.resolve()
    })
    const { page } = opened
    await Chat.seeLive(page)
    // a turn that holds the key in its hand: port 9 takes no call
    const failed = await server.api.run(id, { message: "Call them", provider: "other", model: "other-large" })
    assert.strictEqual(failed.status, "failed")
    await Chat.seeCard(page, 1, "Failed")
    await server.api.start(id, { message: "And them", provider: "acme", model: "acme-large" })
    await Chat.seeCard(page, 2, "Blocked")
    await chooseProvider(page, "other")
    await Chat.message(page).fill("Preview this")
    await Chat.button(page, "Preview context").click()
    await page.getByText(/Would send/).first().waitFor()
    await Chat.button(page, /^Provider:/).click()
    const journal = await Promise.all((await server.api.turns(id)).map((turn) => server.api.events(turn.id)))
    const all = [await everythingOf(page), JSON.stringify(journal), server.stderr(), ...await Promise.all(bodies)]
    const found = (needle: string) => all.filter((text) => text.includes(needle)).length
    // this search finds what is there: the page, the network and the journal each name the other's variable
    assert.isAtLeast(found("ACME_API_KEY"), 3)
    for (const form of [canary, canary.slice(0, 16), canary.slice(-12), btoa(canary), encodeURIComponent(canary)]) {
      assert.strictEqual(found(form), 0)
    }
  })
})

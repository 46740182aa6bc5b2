import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as Chat from "./Chat.ts"
import { see } from "./Scene.ts"
import { browsing } from "./suite.ts"

browsing("the sessions of the page", ({ cut, open, stage }) => {
  it("a session is exported as the server gives it", async () => {
    const { api, url } = await stage()
    const { id } = await api.createSession({ title: "To be kept" })
    await api.run(id, { message: "Hello" })
    const { page } = await open(`${url}/?session=${id}`)
    await see(page, "Completed")
    await page.getByRole("button", { name: "Session menu" }).click()
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export as JSON" }).click()
    ])
    assert.strictEqual(download.suggestedFilename(), `${id}.json`)
    const { body } = await api.ask("GET", `/v1/sessions/${id}/export`)
    assert.deepStrictEqual(JSON.parse(readFileSync(await download.path(), "utf8")), body)
  })

  it("a delete that the server refuses says why and leaves the session open; one that it takes leaves nothing", async () => {
    const server = await stage()
    const proxy = await cut(server)
    const { id } = await server.api.createSession({ title: "To be deleted" })
    await server.api.run(id, { message: "Hello" })
    const { allow, page } = await open(`${proxy.url}/?session=${id}`)
    allow(Chat.brokenLoad)
    await see(page, "Completed")
    const remove = async () => {
      await page.getByRole("button", { name: "Session menu" }).click()
      await page.getByRole("button", { name: "Delete…" }).click()
      await page.getByRole("button", { name: "Delete the session" }).click()
    }
    proxy.answer(/^DELETE /, { status: 503, code: "StorageUnavailable", detail: "The disk is full." })
    await remove()
    await see(page, "The disk is full.")
    await see(page, "Completed")
    proxy.pass()
    await remove()
    await see(page, /Send a message to run a turn/)
    assert.strictEqual((await server.api.ask("GET", `/v1/sessions/${id}`)).status, 404)
    assert.notInclude(await page.evaluate(() => JSON.stringify(localStorage)), id)
  })

  it("a session that is deleted elsewhere ends here with a word", async () => {
    const { api, url } = await stage()
    const { id } = await api.createSession({ title: "Gone soon" })
    await api.run(id, { message: "Hello" })
    const { allow, page } = await open(`${url}/?session=${id}`)
    allow(Chat.brokenLoad)
    await see(page, "Completed")
    await see(page, /Live|Replayed/)
    await api.ask("DELETE", `/v1/sessions/${id}`)
    await see(page, /not on this server/)
    assert.strictEqual(new URL(page.url()).search, "")
  })

  it("two pages of one session show the same, whichever of them sends", async () => {
    const { api, url } = await stage()
    const { id } = await api.createSession()
    const [first, second] = [await open(`${url}/?session=${id}`), await open(`${url}/?session=${id}`)]
    for (const [number, from, text] of [[1, first, "from the first"], [2, second, "from the second"]] as const) {
      await from.page.getByRole("textbox", { name: "Message" }).fill(text)
      await from.page.keyboard.press("Control+Enter")
      for (const { page } of [first, second]) await Chat.seeCard(page, number, "Completed")
    }
    const texts = await Promise.all(
      [first, second].map(({ page }) => page.getByRole("region", { name: "Transcript" }).innerText())
    )
    assert.strictEqual(texts[0]?.replaceAll(/\d+ ms/g, ""), texts[1]?.replaceAll(/\d+ ms/g, ""))
  })

  it("six pages of one server, which take all connections that a browser has to it, still cancel and send", async () => {
    const { api, url } = await stage()
    const { id } = await api.createSession()
    const { page } = await open(`${url}/?session=${id}`)
    await Chat.seeLive(page)
    for (let others = 0; others < 5; others++) {
      // of one browser context: another one has connections of its own
      const other = await page.context().newPage()
      await other.goto(page.url())
      await Chat.seeLive(other)
    }
    await api.start(id, { script: { deltas: 10_000, delayMs: 20 } })
    await Chat.seeCard(page, 1, "Streaming")
    // by key: the button moves with the text that grows above it, and six pages leave few frames for it to rest in
    await Chat.button(Chat.card(page, 1), "Cancel").press("Enter")
    await Chat.seeCard(page, 1, "Cancelled")
    await Chat.message(page).fill("and on")
    await Chat.button(page, "Send").click()
    await Chat.seeCard(page, 2, "Completed")
    await Chat.seeLive(page)
  })

  it("the theme that was chosen is kept", async () => {
    const { url } = await stage()
    const { page } = await open(url, { width: 1_280, theme: "light" })
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const light = await ground()
    await page.getByRole("button", { name: "Theme: system" }).click()
    await page.getByRole("button", { name: "Theme: light" }).click()
    await page.getByRole("button", { name: "Theme: dark" }).waitFor()
    const dark = await ground()
    assert.notStrictEqual(dark, light)
    await page.reload()
    await page.getByRole("button", { name: "Theme: dark" }).waitFor()
    assert.strictEqual(await ground(), dark)
  })
})

/** The client's example for browsers, as a page beside the API of a real server: one origin, whose connections are cut. */
import { assert, it } from "@effect/vitest"
import { fileURLToPath } from "node:url"
import { browsing } from "./suite.ts"

const fileOf = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

browsing("the client's example in a browser", ({ cut, open, stage }) => {
  it("P15: shows the whole answer of a turn whose stream is cut, and says where it goes on", async () => {
    const server = await stage()
    const proxy = await cut(server)
    const { allow, page } = await open(`${proxy.url}/example`, {}, async (page) => {
      await page.route("**/example", (route) => route.fulfill({ path: fileOf("examples/client.html") }))
      await page.route("**/turnstream/client.js", (route) => route.fulfill({ path: fileOf("dist/client/Client.js") }))
      await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }))
    })
    allow(/^console: Failed to load resource: net::ERR_/)
    await page.getByRole("button", { name: "Send" }).click()
    await page.getByText(/lighthouse/).waitFor()
    proxy.cut()
    await page.getByText(/^reconnecting from \d+$/).waitFor()
    await page.getByText(/^completed$/).waitFor()
    const [session] = (await server.api.ask("GET", "/v1/sessions")).body["items"] as ReadonlyArray<
      { readonly id: string }
    >
    const turns = await server.api.turns(session?.id ?? "")
    assert.lengthOf(turns, 1)
    assert.strictEqual(await page.locator("output").textContent(), turns[0]?.text)
    assert.lengthOf(proxy.requests.filter((line) => /^GET .*\/events/.test(line)), 2)
  })
})

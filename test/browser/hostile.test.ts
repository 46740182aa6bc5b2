import { assert, it } from "@effect/vitest"
import * as Accessibility from "./Accessibility.ts"
import * as Chat from "./Chat.ts"
import { see } from "./Scene.ts"
import { browsing } from "./suite.ts"

/** Sets `window.ran` where anything of it runs. */
const run = "window.ran=1"

const markdown = [
  `<script>${run}</script>`,
  `<img src=x onerror="${run}">`,
  `<svg onload="${run}"><a xlink:href="javascript:${run}">svg</a></svg>`,
  `<iframe srcdoc="<script>parent.ran=1</script>"></iframe>`,
  `<style>body{display:none}</style><form action="/v1/sessions"><button>Send</button></form>`,
  `[click](javascript:${run}) [click](JaVaScRiPt:${run}) [click](java&#x09;script:${run}) [click](&#106;avascript:${run})`,
  `[click](data:text/html,<script>${run}</script>) [click](vbscript:${run}) [click](//evil.example/x) [click](/v1/bootstrap)`,
  `<javascript:${run}> ![image](https://evil.example/pixel.png) ![image](javascript:${run})`,
  `[ref]: javascript:${run}\n\n[ref]`,
  `| ${"a | ".repeat(300)}\n| ${"- | ".repeat(300)}\n${`| ${"x | ".repeat(300)}\n`.repeat(30)}`,
  `${"> ".repeat(5_000)}deep`,
  `${"- ".repeat(5_000)}deep`,
  "*".repeat(5_000),
  "[".repeat(5_000),
  `<div ${"a=b ".repeat(500)}`,
  "```html\n<script>window.ran=1</script>\n"
].join("\n\n")

/** Piece by piece, as a model would say it. */
const script = { steps: [{ say: markdown, bytes: 600 }] }

browsing("hostile markdown", ({ open, stage }) => {
  it("is inert: nothing runs, loads, links or leaves its place, as it comes and once it is there", async () => {
    const { api, url } = await stage()
    const { id } = await api.createSession()
    const { page } = await open(Chat.addressOf(url, id))
    await see(page, "Live")
    const turn = await api.run(id, { message: markdown, script })
    assert.strictEqual(turn.text, markdown)
    await see(page, "Completed")
    for (let look = 0; look < 2; look++) {
      const found = await page.evaluate(() => {
        const answer = document.querySelector(".transcript")
        const tags = new Set([...answer?.querySelectorAll("*") ?? []].map(({ tagName }) => tagName.toLowerCase()))
        const forbidden = ["script", "style", "iframe", "img", "svg", "object", "embed", "link", "form", "input"]
        return {
          ran: "ran" in window,
          forbidden: forbidden.filter((tag) => tags.has(tag)),
          links: [...answer?.querySelectorAll("a") ?? []].map((link) => link.href)
            .filter((href) => !/^(https?:\/\/(?!127\.)|mailto:)/.test(href)),
          handlers: [...answer?.querySelectorAll("*") ?? []].flatMap((element) =>
            element.getAttributeNames().filter((name) => name.startsWith("on"))
          ),
          isShown: getComputedStyle(document.body).display !== "none"
        }
      })
      assert.deepStrictEqual(found, { ran: false, forbidden: [], links: [], handlers: [], isShown: true })
      assert.deepStrictEqual(await Accessibility.overflow(page), [])
      // a page that was not there while it came
      await page.reload()
      await see(page, "Completed")
    }
  })
})

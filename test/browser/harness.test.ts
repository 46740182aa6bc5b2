import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import * as Accessibility from "./Accessibility.ts"
import type { Opened } from "./Browser.ts"
import * as Chat from "./Chat.ts"
import * as Scene from "./Scene.ts"
import * as Stage from "./Stage.ts"
import * as States from "./States.ts"
import { browsing } from "./suite.ts"

const foreign = "http://203.0.113.1/"

/** What a page is closed with. */
const closing = (opened: Opened): Promise<string> => opened.close().then(() => "", (error: unknown) => String(error))

const script = { deltas: 20, bytes: 8 }

browsing("the harness of the browser tests", ({ cut, open, show, stage }) => {
  let server: Stage.Stage
  beforeAll(async () => {
    server = await Stage.open()
  })
  afterAll(() => server.stop())

  const openPage = () => open(server.url)

  it("opens the page of a real server, in which nothing is wrong", async () => {
    const { faults, page } = await openPage()
    await page.getByRole("heading", { level: 1 }).waitFor()
    assert.deepStrictEqual(await Accessibility.overflow(page), [])
    assert.deepStrictEqual(faults, [])
  })

  it("fails a page that writes an error on its console, unless that is allowed", async () => {
    const opened = await openPage()
    await opened.page.evaluate(() => console.error("planted"))
    assert.match(await closing(opened), /console: planted/)
    const allowed = await openPage()
    allowed.allow(/^console: planted/)
    await allowed.page.evaluate(() => console.error("planted"))
    assert.strictEqual(await closing(allowed), "")
  })

  it("fails a page that throws", async () => {
    const opened = await openPage()
    const thrown = opened.page.waitForEvent("pageerror")
    await opened.page.evaluate(() => {
      queueMicrotask(() => {
        throw new Error("planted")
      })
    })
    await thrown
    assert.match(await closing(opened), /error: Error: planted/)
  })

  it("fails a page that asks another origin, which no request reaches", async () => {
    const opened = await openPage()
    const failed = opened.page.waitForEvent("requestfailed")
    await opened.page.evaluate((address) => location.assign(address), foreign)
    assert.strictEqual((await failed).failure()?.errorText, "net::ERR_NAME_NOT_RESOLVED")
    assert.include(await closing(opened), `request: GET ${foreign}`)
  })

  it("fails a page that violates its content security policy", async () => {
    const opened = await openPage()
    await opened.page.evaluate((address) =>
      new Promise((resolve) => {
        addEventListener("securitypolicyviolation", resolve)
        fetch(address).catch(() => {})
      }), foreign)
    await opened.page.evaluate(() =>
      new Promise((resolve) => {
        addEventListener("securitypolicyviolation", resolve)
        try {
          document.body.innerHTML = "<p>"
        } catch {
          // trusted types refused it
        }
      })
    )
    const lines = await closing(opened)
    assert.include(lines, `policy: connect-src refused ${foreign}`)
    assert.include(lines, "policy: require-trusted-types-for refused trusted-types-sink")
  })

  it("finds what axe-core finds, and violates no policy by it", async () => {
    const { page } = await openPage()
    await page.getByRole("heading", { level: 1 }).waitFor()
    await page.evaluate(() => {
      document.body.append(document.createElement("button"))
    })
    const found = await Accessibility.violations(page)
    assert.lengthOf(found.filter((line) => line.startsWith("button-name (critical) ")), 1, found.join("\n"))
  })

  it("finds what is wider than the window, and what is cut off", async () => {
    const { page } = await openPage()
    const plant = (outer: string, inner: string) =>
      page.evaluate(([outer, inner]) => {
        const box = document.createElement("div")
        const child = document.createElement("p")
        child.textContent = "planted"
        // a style sheet of the page would be refused, its object model is not
        box.style.cssText = outer ?? ""
        child.style.cssText = inner ?? ""
        box.append(child)
        document.body.replaceChildren(box)
      }, [outer, inner] as const)
    await plant("", "width: 3000px")
    const [whole, element] = await Accessibility.overflow(page)
    assert.match(whole ?? "", /the document is 3000 px wide in \d+ px/)
    assert.match(element ?? "", /^p "planted" ends at 3000 of \d+ px$/)
    await plant("overflow-x: auto", "width: 3000px")
    assert.deepStrictEqual(await Accessibility.overflow(page), [])
    await plant("overflow-x: hidden", "width: 3000px")
    assert.match((await Accessibility.overflow(page)).join(), /^div "planted" hides \d+ px of its content$/)
  })

  it("finds targets that are too small for a finger, by where a press lands", async () => {
    const { page } = await open(server.url, { width: 360, height: 740, touch: true })
    assert.isTrue(await page.evaluate(() => matchMedia("(pointer: coarse)").matches))
    await page.evaluate(() => {
      const sheet = new CSSStyleSheet()
      sheet.replaceSync(`
        button { box-sizing: border-box; width: 20px; height: 20px; min-height: 0; padding: 0; border: 0; margin: 30px; position: relative }
        .large { width: 40px; height: 40px }
        .reaching::after { content: ""; position: absolute; inset: -10px }`)
      document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]
      const buttons = ["tiny", "large", "reaching"].map((name) => {
        const button = document.createElement("button")
        button.className = name
        button.textContent = name.charAt(0)
        return button
      })
      const text = document.createElement("p")
      const link = document.createElement("a")
      link.href = "#"
      link.textContent = "a link"
      text.append("In running text there is ", link, ".")
      document.body.replaceChildren(...buttons, text)
    })
    assert.deepStrictEqual(await Accessibility.smallTargets(page), ['button "t" is 20 x 20 px'])
  })

  it("switches an open page between mouse and finger", async () => {
    const { page } = await openPage()
    const isCoarse = () => page.evaluate(() => matchMedia("(pointer: coarse)").matches)
    await Accessibility.emulateTouch(page, true)
    assert.isTrue(await isCoarse())
    await Accessibility.emulateTouch(page, false)
    assert.isFalse(await isCoarse())
  })

  it("draws text in real letters", async () => {
    const { page } = await openPage()
    const widths = await page.evaluate(() => {
      const context = document.createElement("canvas").getContext("2d")
      if (context === null) return []
      context.font = "20px sans-serif"
      return ["i", "W", "–", "·"].map((letter) => context.measureText(letter).width)
    })
    // where no font has them, every letter is the same box
    assert.strictEqual(new Set(widths).size, 4, widths.join())
  })

  it("a server that is killed comes back on its port and folder, its turn interrupted", async () => {
    const { api, kill9, restart, url } = await stage()
    const { id } = await api.createSession()
    const turn = await api.start(id, { script: { steps: [{ say: "one" }, { hang: true }] } })
    await api.until(turn.id, ({ type }) => type === "model.delta")
    await kill9()
    await restart()
    assert.strictEqual((await api.turn(turn.id)).error?._tag, "Interrupted")
    assert.strictEqual((await api.run(id, { script })).status, "completed")
    assert.lengthOf(await api.turns(id), 2)
    const { page } = await open(Chat.addressOf(url, id))
    await Chat.seeCard(page, 1, "Interrupted")
    await Chat.seeCard(page, 2, "Completed")
  })

  it("brings a page into a state, on a server and session of its own", async () => {
    const state = States.states.find(({ name }) => name === "interrupted")
    assert.isDefined(state)
    const { page, stage } = await show(state, { width: 360, height: 740 })
    await Scene.see(page, "Interrupted")
    assert.lengthOf((await stage.api.ask("GET", "/v1/sessions")).body["items"] as ReadonlyArray<unknown>, 1)
  })

  it("a proxy passes a page and its event stream, and the server takes both for its own", async () => {
    const proxy = await cut(server)
    const { page } = await open(proxy.url)
    const { id } = await server.api.createSession()
    const { id: turnId } = await server.api.run(id, { script })
    const read = () =>
      page.evaluate(async (turnId) =>
        (await fetch(`/v1/turns/${turnId}/events`, {
          headers: { accept: "text/event-stream" }
        })).text(), turnId)
    const seqs = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq))
    const all = seqs(await read())
    assert.deepStrictEqual(all, Array.from({ length: all.length }, (_, i) => i + 1))
    const created = await page.evaluate(async () => (await fetch("/v1/sessions", { method: "POST" })).status)
    assert.strictEqual(created, 201)
    proxy.drop(5, 1)
    assert.deepStrictEqual(seqs(await read()), all.filter((seq) => seq !== 5))
    assert.deepStrictEqual(seqs(await read()), all)
  })

  it("a proxy refuses, answers instead, holds and cuts", async () => {
    const proxy = await cut(server)
    const opened = await open(proxy.url)
    const ask = () =>
      opened.page.evaluate(() =>
        fetch("/v1/bootstrap").then(async (response) => `${response.status} ${(await response.json()).code}`, String)
      )
    assert.match(await ask(), /^200/)
    proxy.answer(/^GET \/v1\/bootstrap/, { status: 503, code: "StorageUnavailable", detail: "The disk is full." })
    assert.strictEqual(await ask(), "503 StorageUnavailable")
    await proxy.pass()
    await proxy.refuse()
    assert.strictEqual(await ask(), "TypeError: Failed to fetch")
    await proxy.pass()
    proxy.hold(/bootstrap/)
    const came = proxy.next(/bootstrap/)
    const held = ask()
    await came
    proxy.release()
    assert.match(await held, /^200/)
    proxy.hold(/bootstrap/)
    const coming = proxy.next(/bootstrap/)
    const broken = ask()
    await coming
    proxy.cut()
    assert.strictEqual(await broken, "TypeError: Failed to fetch")
    opened.allow(Chat.brokenLoad)
  })
})

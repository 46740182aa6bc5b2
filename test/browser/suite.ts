/**
 * A suite of tests in a browser: one browser for the file, and for each test the pages, servers and proxies that it asks
 * for, closed after it. A page that did what it must not fails its test. Where no browser is found the suite is one
 * skipped test that says so; with TURNSTREAM_BROWSER=required it is one that fails.
 */
import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Browser from "./Browser.ts"
import * as Cut from "./Cut.ts"
import * as Scene from "./Scene.ts"
import * as Stage from "./Stage.ts"

export interface Tools {
  readonly open: Browser.Browser["open"]
  readonly stage: (settings?: Stage.Settings) => Promise<Stage.Stage>
  /** Brings a page into a state, on a server of its own. */
  readonly show: (state: Scene.State, view?: Browser.View) => Promise<Scene.Shown>
  readonly cut: (stage: Stage.Stage) => Promise<Cut.Cut>
  /** Runs when the test has ended and its pages are closed. */
  readonly later: (close: () => Promise<unknown>) => void
}

const isRequired = process.env["TURNSTREAM_BROWSER"] === "required"

export const browsing = (name: string, define: (tools: Tools) => void): void => {
  describe(name, () => {
    const { cannotBrowse } = Browser
    if (cannotBrowse !== undefined) {
      it("runs in a browser", (context) => isRequired ? assert.fail(cannotBrowse) : context.skip(cannotBrowse))
      return
    }
    let browser: Browser.Browser | undefined
    const closers: Array<() => Promise<unknown>> = []
    const later = (close: () => Promise<unknown>) => void closers.push(close)

    beforeAll(async () => {
      browser = await Browser.launch()
    })
    afterAll(() => browser?.close())
    afterEach(async () => {
      try {
        await browser?.closePages()
      } finally {
        await Promise.all(closers.splice(0).map((close) => close()))
      }
    })

    const launched = () => {
      if (browser === undefined) throw new Error("A page can be opened within a test alone.")
      return browser
    }

    define({
      later,
      open: async (...args) => launched().open(...args),
      show: async (state, view) => {
        const shown = await Scene.show(launched(), state, view)
        later(shown.close)
        return shown
      },
      stage: async (settings) => {
        const stage = await Stage.open(settings)
        later(stage.stop)
        return stage
      },
      cut: async (stage) => {
        const cut = await Cut.open(() => stage.url)
        later(cut.close)
        return cut
      }
    })
  })
}

import { assert, it } from "@effect/vitest"
import * as Accessibility from "./Accessibility.ts"
import * as Browser from "./Browser.ts"
import * as States from "./States.ts"
import { browsing } from "./suite.ts"

/** Six looks at a page, each with a whole run of axe-core; one state waits for a stall. */
const timeoutMs = 60_000

browsing("accessibility of the page", ({ show }) => {
  for (const state of States.states) {
    it(
      `${state.name}: axe-core finds nothing, nothing overflows and every target can be touched, in each width and theme`,
      async () => {
        const { page, settle } = await show(state)
        const found: Array<string> = []
        for (const width of Browser.widths) {
          await Accessibility.emulateTouch(page, Browser.isTouched(width))
          await page.setViewportSize({ width, height: Browser.heights[width] })
          for (const theme of Browser.themes) {
            await page.emulateMedia({ colorScheme: theme })
            await settle()
            const faults = [
              ...await Accessibility.violations(page),
              ...await Accessibility.overflow(page),
              ...Browser.isTouched(width) ? await Accessibility.smallTargets(page) : []
            ]
            found.push(...faults.map((fault) => `${width} ${theme}: ${fault}`))
          }
        }
        assert.deepStrictEqual(found, [])
      },
      timeoutMs
    )
  }
})

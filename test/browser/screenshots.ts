/**
 * `npm run screenshots`: a picture of each state of the page at each width, in light and dark, as
 * `<state>-<width>-<theme>.png`. `--only <state>`, `--width <px>` and `--theme <name>` choose, each as often as wanted;
 * `--out <folder>` says where to. Ends with 1 where a state was not reached, or its page did what it must not.
 */
import { mkdirSync } from "node:fs"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import * as Accessibility from "./Accessibility.ts"
import * as Browser from "./Browser.ts"
import * as Scene from "./Scene.ts"
import * as States from "./States.ts"

const many = { type: "string", multiple: true, default: [] as Array<string> } as const

const { values } = parseArgs({
  options: { only: many, width: many, theme: many, out: { type: "string", default: "screenshots" } }
})

/** Those that are named; all where none is. Ends the program for a name that there is not. */
const chosen = <A>(what: string, all: ReadonlyArray<A>, names: ReadonlyArray<string>, nameOf: (a: A) => string) => {
  const unknown = names.filter((name) => !all.some((one) => nameOf(one) === name))
  if (unknown.length > 0) {
    console.error(`No ${what} "${unknown.join(", ")}". Known: ${all.map(nameOf).join(", ")}.`)
    process.exit(2)
  }
  return names.length === 0 ? all : all.filter((one) => names.includes(nameOf(one)))
}

const states = chosen("state", States.states, values.only, ({ name }) => name)
const widths = chosen("width", Browser.widths, values.width, String)
const themes = chosen("theme", Browser.themes, values.theme, String)
const folder = resolve(values.out)

const shoot = async (browser: Browser.Browser, state: Scene.State): Promise<number> => {
  const [first = 1_280] = widths
  const shown = await Scene.show(browser, state, { width: first, height: Browser.heights[first] })
  let files = 0
  try {
    for (const width of widths) {
      await Accessibility.emulateTouch(shown.page, Browser.isTouched(width))
      await shown.page.setViewportSize({ width, height: Browser.heights[width] })
      for (const theme of themes) {
        await shown.page.emulateMedia({ colorScheme: theme })
        await shown.settle()
        await shown.page.screenshot({ path: join(folder, `${state.name}-${width}-${theme}.png`), caret: "initial" })
        files++
      }
    }
  } finally {
    await shown.close()
  }
  return files
}

mkdirSync(folder, { recursive: true })
const browser = await Browser.launch()
const begun = performance.now()
let files = 0
let failed = 0
try {
  for (const [index, state] of states.entries()) {
    const before = performance.now()
    const result = await shoot(browser, state).catch((error: unknown) => {
      failed++
      console.error(`FAILED ${state.name}: ${String(error)}`)
      return 0
    })
    files += result
    const tookMs = Math.round(performance.now() - before)
    console.log(`${index + 1}/${states.length} ${state.name}: ${result} pictures, ${tookMs} ms`)
  }
} finally {
  await browser.close()
}
console.log(`${files} pictures in ${folder}, ${failed} states failed, ${Math.round(performance.now() - begun)} ms`)
process.exitCode = failed === 0 ? 0 : 1

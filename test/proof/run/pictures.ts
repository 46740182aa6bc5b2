/** Pictures of the page's states as the repository can keep them: one sheet a state, a phone, a tablet and a desk beside each other. */
import { mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Browser from "../../browser/Browser.ts"

/** Which pictures stand on a sheet; both themes are on it. */
const looks = ["360-light", "768-dark", "1280-light"]
const sheetHeight = 520
const quality = 52

const sheetOf = (folder: string, state: string): string => {
  const pictures = looks.map((look) => readFileSync(join(folder, `${state}-${look}.png`)).toString("base64"))
  const images = pictures.map((data) => `<img src="data:image/png;base64,${data}">`).join("")
  return `<style>body{margin:0;display:inline-flex;gap:8px;background:#888}img{height:${sheetHeight}px}</style>${images}`
}

/** Makes `<out>/<state>.jpg` of the pictures in `folder`. */
export const shrink = async (folder: string, states: ReadonlyArray<string>, out: string): Promise<void> => {
  mkdirSync(out, { recursive: true })
  const browser = await Browser.launch()
  try {
    for (const state of states) {
      const { close, page } = await browser.open("about:blank", { width: 1_600, height: 600 })
      await page.setContent(sheetOf(folder, state))
      await page.locator("body").screenshot({ path: join(out, `${state}.jpg`), type: "jpeg", quality })
      await close()
    }
  } finally {
    await browser.close()
  }
}

/**
 * Pictures of the page's states as the repository can keep them: one sheet a state, a phone, a tablet and a desk beside each
 * other, in few colours. `npm run screenshots` makes them whole.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Browser from "../../browser/Browser.ts"

/** Which pictures stand on a sheet; both themes are on it. */
const looks = ["360-light", "768-dark", "1280-light"]
const sheet = { height: 400, gap: 8, levels: 16 }

/** Runs in a page: the pictures beside each other, each channel in so many levels, as a PNG in base64. */
const draw = async ({ gap, height, levels, pictures }: typeof sheet & { readonly pictures: ReadonlyArray<string> }) => {
  const images = await Promise.all(pictures.map(async (data) => {
    const image = new Image()
    image.src = `data:image/png;base64,${data}`
    await image.decode()
    return { image, width: Math.round((image.width * height) / image.height) }
  }))
  const canvas = document.createElement("canvas")
  canvas.height = height
  canvas.width = images.reduce((sum, { width }) => sum + width + gap, -gap)
  const context = canvas.getContext("2d")
  if (context === null) throw new Error("this browser draws nothing")
  context.imageSmoothingQuality = "high"
  let x = 0
  for (const { image, width } of images) {
    context.drawImage(image, x, 0, width, height)
    x += width + gap
  }
  const pixels = context.getImageData(0, 0, canvas.width, height)
  const step = 255 / (levels - 1)
  pixels.data.forEach((value, index) => {
    if (index % 4 !== 3) pixels.data[index] = Math.round(Math.round(value / step) * step)
  })
  context.putImageData(pixels, 0, 0)
  return canvas.toDataURL("image/png").replace(/^.*,/, "")
}

/** Makes `<out>/<state>.png` of the pictures in `folder`. */
export const shrink = async (folder: string, states: ReadonlyArray<string>, out: string): Promise<void> => {
  mkdirSync(out, { recursive: true })
  const browser = await Browser.launch()
  try {
    const { close, page } = await browser.open("about:blank")
    for (const state of states) {
      const pictures = looks.map((look) => readFileSync(join(folder, `${state}-${look}.png`)).toString("base64"))
      writeFileSync(join(out, `${state}.png`), Buffer.from(await page.evaluate(draw, { ...sheet, pictures }), "base64"))
    }
    await close()
  } finally {
    await browser.close()
  }
}

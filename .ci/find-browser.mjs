/** Where this machine has a browser that speaks Chromium's protocol; nothing is downloaded. */
import { accessSync, constants, statSync } from "node:fs"
import { delimiter, join } from "node:path"

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]

/** Beside PATH. */
const places = [
  ...names.flatMap((name) => [`/usr/bin/${name}`, `/snap/bin/${name}`]),
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe"
]

const isProgram = (path) => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** `{ path }`, or `{ reason }`: what is not there and how to get it. A browser that was named and is not there is no other. */
export const findBrowser = (env = process.env) => {
  const named = env["TURNSTREAM_CHROMIUM"] ?? ""
  if (named !== "") {
    return isProgram(named) ? { path: named } : { reason: `TURNSTREAM_CHROMIUM names no program: ${named}` }
  }
  const onPath = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "")
    .flatMap((folder) => names.map((name) => join(folder, name)))
  const path = [...onPath, ...places].find(isProgram)
  return path === undefined
    ? { reason: "no browser: install chromium (Debian: apt-get install chromium) or name one in TURNSTREAM_CHROMIUM" }
    : { path }
}

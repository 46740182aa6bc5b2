/** Where this machine has a browser that speaks Chromium's protocol, and that starts; nothing is downloaded. */
import { spawnSync } from "node:child_process"
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

const versionMsMax = 10_000

const isProgram = (path) => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/**
 * Whether it says which version it is. Ubuntu's `chromium` is a script that starts a snap, and in a container there is
 * none. On Windows a browser opens a window instead, and is believed.
 */
const starts = (path) => {
  if (process.platform === "win32") return true
  const { status, stdout } = spawnSync(path, ["--version"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    timeout: versionMsMax,
    killSignal: "SIGKILL"
  })
  return status === 0 && /\d+\.\d+/.test(stdout)
}

/**
 * `{ path }`, or `{ reason }`: what is not there and how to get it. A browser that was named and is not there, or does
 * not start, is no other.
 */
export const findBrowser = (env = process.env) => {
  const named = env["TURNSTREAM_CHROMIUM"] ?? ""
  if (named !== "") {
    if (!isProgram(named)) return { reason: `TURNSTREAM_CHROMIUM names no program: ${named}` }
    return starts(named)
      ? { path: named }
      : { reason: `the browser that TURNSTREAM_CHROMIUM names does not start; try: ${named} --version` }
  }
  const onPath = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "")
    .flatMap((folder) => names.map((name) => join(folder, name)))
  const programs = [...new Set([...onPath, ...places])].filter(isProgram)
  const path = programs.find(starts)
  if (path !== undefined) return { path }
  const get = "install chromium (Debian: apt-get install chromium; Ubuntu's package needs snapd, take google-chrome " +
    "there) or name one in TURNSTREAM_CHROMIUM"
  return {
    reason: programs.length === 0 ? `no browser: ${get}` : `no browser that starts (not ${programs.join(", ")}): ${get}`
  }
}

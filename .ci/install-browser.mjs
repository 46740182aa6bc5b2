/**
 * Makes sure that there is a browser for the tests of the page: where none starts, and this is root on Debian, installs
 * Debian's own (Ubuntu's package of that name is no browser, but a way to a snap). Prints one line about what it does or
 * found; ends with 1 where there is none afterwards.
 */
import { spawnSync } from "node:child_process"
import { findBrowser } from "./find-browser.mjs"
import { readIfThere } from "./fingerprint.mjs"

const say = (line) => console.log(`turnstream: ${line}`)

const apt = (...args) =>
  spawnSync("apt-get", args, {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  }).status === 0

/** Fonts are only recommended by it, and a page without one is drawn in empty boxes. */
const packages = ["chromium", "fonts-dejavu-core"]

const isDebian = /^ID="?debian"?$/m.test(readIfThere("/etc/os-release") ?? "")
const canInstall = (process.env["TURNSTREAM_CHROMIUM"] ?? "") === "" && isDebian && process.getuid?.() === 0
if ("reason" in findBrowser() && canInstall) {
  say(`installing ${packages.join(" and ")} from Debian for the tests of the page ...`)
  if (!apt("update", "-qq") || !apt("install", "-qq", "-y", "--no-install-recommends", ...packages)) {
    say("apt-get failed; its messages are above")
  }
}
const found = findBrowser()
say("path" in found ? `tests of the page use ${found.path}` : `tests of the page cannot run: ${found.reason}`)
process.exitCode = "path" in found ? 0 : 1

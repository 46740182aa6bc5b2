/**
 * Makes a clone ready to start or test: installs what is missing, builds what is old, prints one line for each thing it
 * does. Needs Node alone. Where nothing is to do it prints nothing and takes a tenth of a second.
 */
import { spawnSync } from "node:child_process"
import { existsSync, statSync } from "node:fs"
import {
  buildFingerprint,
  buildStamp,
  installFingerprint,
  installStamp,
  readIfThere,
  root,
  stamp
} from "./fingerprint.mjs"

const say = (line) => console.log(`turnstream: ${line}`)
const stop = (line) => {
  console.error(`turnstream: ${line}`)
  process.exit(1)
}

const run = (command, args) =>
  spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] }).status === 0

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
if (major < 20 || (major === 20 && minor < 11)) {
  stop(`Node ${process.versions.node} is too old. Install Node 20.11 or later and run this again.`)
}

/** Installed by a person's own `npm ci`: no stamp of ours, but npm's record is newer than the lock. */
const installedByHand = () => {
  const record = `${root}node_modules/.package-lock.json`
  return readIfThere(installStamp) === undefined && existsSync(record) &&
    statSync(record).mtimeMs >= statSync(`${root}package-lock.json`).mtimeMs
}

const wanted = installFingerprint()
if (readIfThere(installStamp) !== wanted) {
  if (!installedByHand()) {
    say("installing packages with npm ci (SQLite may be compiled: a minute or two) ...")
    const npm = process.env.npm_execpath
    const args = ["ci", "--include=dev", "--no-audit", "--no-fund"]
    const done = npm?.endsWith(".js") ? run(process.execPath, [npm, ...args]) : run("npm", args)
    if (!done) {
      stop(
        "npm ci failed. If better-sqlite3 did not compile, install python3, make and g++ " +
          "(Debian: apt-get install python3 make g++; macOS: xcode-select --install), then run this again."
      )
    }
  }
  stamp(installStamp, wanted)
}

if (!existsSync(`${root}dist/main.js`) || readIfThere(buildStamp) !== buildFingerprint()) {
  say("building dist ...")
  if (!run(process.execPath, [`${root}.ci/build.mjs`])) {
    stop("the build failed. The compiler's messages are above; mend them and run this again.")
  }
}

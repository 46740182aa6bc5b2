/**
 * What the installed packages and the build were made from, as short strings that change whenever a new install or build
 * is due. Contents for the lock (git gives every file of a clone a new time), path, time and size for sources (cheap).
 */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("..", import.meta.url))
export const installStamp = `${root}node_modules/.turnstream-install`
export const buildStamp = `${root}dist/.turnstream-build`

/** The file's text, or undefined where there is none. */
export const readIfThere = (path) => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

/** The lock's content and the ABI that native packages are compiled for. */
export const installFingerprint = () =>
  createHash("sha256").update(readFileSync(`${root}package-lock.json`)).update(process.versions.modules).digest("hex")

const filesOf = (folder) =>
  readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => entry.isDirectory() ? filesOf(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`])

/** Every source, and what decides how it is compiled. Notices deleted files too. */
export const buildFingerprint = () => {
  const hash = createHash("sha256").update(readIfThere(installStamp) ?? "")
  const others = [
    "tsconfig.json",
    "tsconfig.build.json",
    ".ci/build.mjs",
    ".ci/build-page.mjs",
    ".ci/lexer-of-marked.mjs"
  ].map((name) => root + name)
  for (const path of [...filesOf(`${root}src`).sort(), ...others]) {
    const { mtimeMs, size } = statSync(path)
    hash.update(`${path.slice(root.length)} ${mtimeMs} ${size}\n`)
  }
  return hash.digest("hex")
}

export const stamp = (path, value) => writeFileSync(path, value)

/** The files that evidence is about, behind an interface, so that a change to them can be tried without making it. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"

export interface Tree {
  /** Paths are from the root of the project. */
  readonly bytes: (path: string) => Uint8Array | undefined
  /** Every file below a folder, as paths from the root. */
  readonly below: (folder: string) => ReadonlyArray<string>
}

export const textOf = (tree: Tree, path: string): string | undefined => {
  const bytes = tree.bytes(path)
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
}

const filesBelow = (root: string, folder: string): ReadonlyArray<string> =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? filesBelow(root, path) : [path]
  })

export const onDisk = (root: string): Tree => ({
  bytes: (path) => {
    const full = join(root, path)
    return existsSync(full) && statSync(full).isFile() ? readFileSync(full) : undefined
  },
  below: (folder) => existsSync(join(root, folder)) ? [...filesBelow(root, folder)].sort() : []
})

/** Files in memory. */
export const of = (files: Readonly<Record<string, string>>): Tree => ({
  bytes: (path) => {
    const text = files[path]
    return text === undefined ? undefined : new TextEncoder().encode(text)
  },
  below: (folder) => Object.keys(files).filter((path) => path.startsWith(`${folder}/`)).sort()
})

/**
 * The workbench page and its files, read once at start from the folder where the build put them. Only files that were
 * there are served, by exact path; a request never reaches the file system. Where nothing was built, `GET /` is a 404.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdirSync, readFileSync } from "node:fs"
import { extname, join, relative, sep } from "node:path"

export interface PageFile {
  readonly body: Uint8Array
  readonly contentType: string
}

/** Files by request path; `/` is the page itself. */
export class Page extends Context.Tag("turnstream/http/Page")<Page, ReadonlyMap<string, PageFile>>() {}

/** What a page may consist of; other files are left out. */
const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon"
}

const load = (path: string): PageFile | undefined => {
  const contentType = contentTypes[extname(path)]
  return contentType === undefined ? undefined : { body: readFileSync(path), contentType }
}

const list = (directory: string): ReadonlyArray<string> => {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.path, entry.name))
  } catch {
    return []
  }
}

/** The files below `directory` by their relative paths, `index.html` as `/`. */
export const layer = (options: { readonly directory: string }) =>
  Layer.effect(
    Page,
    Effect.sync(() => {
      const found = new Map<string, PageFile>()
      for (const path of list(options.directory)) {
        const file = load(path)
        const name = relative(options.directory, path).split(sep).join("/")
        if (file !== undefined) found.set(name === "index.html" ? "/" : `/${name}`, file)
      }
      return found
    })
  )

export const layerEmpty = Layer.succeed(Page, new Map<string, PageFile>())

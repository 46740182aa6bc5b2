/** Whatever a page refers to is there: files, headings, the folders of the picture with their arrows. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { assert, describe, it } from "vitest"

const filesBelow = (folder: string, name: RegExp): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => name.test(file)).sort()
    .map((file) => join(folder, file))

const pages = [
  "README.md",
  "AGENTS.md",
  "CHANGELOG.md",
  "bench/README.md",
  ...filesBelow("docs", /\.md$/),
  ...filesBelow(".buildprint/setup", /\.md$/)
]

/** Where what is said of each phase's documents can be looked up. */
const phase = ".buildprint/phase-runs/02-provider-streaming-runtime"

const read = (path: string): string => readFileSync(path, "utf8")

const withoutCode = (page: string): string => page.replace(/```[\s\S]*?```/g, "")

/** The anchor that a heading is given by whoever shows the page. */
const anchorOf = (heading: string): string =>
  heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replace(/\s/g, "-")

const anchorsOf = (page: string): ReadonlyArray<string> =>
  [...withoutCode(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading))

describe("every page", () => {
  for (const path of pages) {
    it(`${path} links to what is there`, () => {
      const broken = [...withoutCode(read(path)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link)
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => {
          const [file = "", anchor] = link.split("#")
          const target = file === "" ? path : normalize(join(dirname(path), file))
          if (!existsSync(target)) return true
          return anchor !== undefined && !anchorsOf(read(target)).includes(anchor)
        })
      assert.deepStrictEqual(broken, [])
    })

    it(`${path} names files that are there`, () => {
      const named = [
        ...withoutCode(read(path)).matchAll(/`((?:[A-Za-z.][\w.-]*\/)+[\w.-]+\.(?:tsx?|mjs|cjs|md|json))`/g)
      ]
        .map(([, file = ""]) => file)
      const places = ["", "src", "test", "docs", "bench", phase, dirname(path)]
      // of other trees, and what is written where the program runs
      const elsewhere = /^(\.\.\/|dist\/|\.turnstream\/)/
      const gone = named.filter((file) =>
        !elsewhere.test(file) && !places.some((place) => existsSync(join(place, file)))
      )
      assert.deepStrictEqual(gone, [])
    })
  }
})

describe("the picture in docs/architecture.md", () => {
  const folderOf = (path: string): string => {
    const [, folder = "", ...rest] = path.split("/")
    return rest.length === 0 ? folder.replace(/\.tsx?$/, "") : folder
  }

  const imported = (path: string): ReadonlyArray<string> =>
    [...read(path).matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map(([, to = ""]) =>
      normalize(join(dirname(path), to))
    )

  const edges = new Set(
    filesBelow("src", /\.tsx?$/).flatMap((path) =>
      imported(path).map((to) => [folderOf(path), folderOf(to)] as const)
        .filter(([from, to]) => from !== to)
        .map(([from, to]) => `${from} --> ${to}`)
    )
  )

  it("has an arrow for each pair of folders of which one imports the other, and no other arrow", () => {
    const picture = /```mermaid\nflowchart[\s\S]*?```/.exec(read("docs/architecture.md"))?.[0] ?? ""
    const drawn = [...picture.matchAll(/^ *(\w[\w &]*) --> (\w[\w &]*)$/gm)].flatMap(([, from = "", to = ""]) =>
      from.split(" & ").flatMap((one) => to.split(" & ").map((other) => `${one} --> ${other}`))
    )
    assert.isAbove(drawn.length, 20)
    assert.deepStrictEqual(drawn.sort(), [...edges].sort())
  })
})

/** What a user of `turnstream/client` gets: its size, and that nothing of Effect, and no package at all, comes along. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { build } from "esbuild"
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import ts from "typescript"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Bytes after gzip. */
const sizeMax = 6_000

/** A program with the package as it is published, and no other one. */
let folder = ""
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "turnstream-client-"))
  const installed = join(folder, "node_modules/turnstream")
  for (const name of ["package.json", "dist/client", "dist/domain"]) {
    cpSync(join(root, name), join(installed, name), { recursive: true })
  }
  writeFileSync(
    join(folder, "program.ts"),
    `import { createClient, type Turn, TurnstreamError, type TurnState } from "turnstream/client"
export const client = createClient({ baseUrl: "http://127.0.0.1:4790" })
export const run = async (): Promise<TurnState> => {
  const turn = await client.startTurn("s", { text: "x", model: "echo" })
  const started: Turn = turn.turn
  for await (const event of turn.follow({ from: 3 })) {
    if (event.type === "turn.failed" && event.data.error._tag === "ProviderFailure") {
      const kind: string = event.data.error.kind
      throw new TurnstreamError(0, kind, started.id)
    }
  }
  return turn.end()
}
`
  )
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("the client's bundle", () => {
  it(`is at most ${sizeMax / 1_000} kB after gzip, and holds no Effect`, async () => {
    const { metafile, outputFiles } = await build({
      entryPoints: [join(root, "src/client/Client.ts")],
      bundle: true,
      minify: true,
      format: "esm",
      target: "es2022",
      metafile: true,
      write: false,
      absWorkingDir: root
    })
    const inputs = Object.keys(metafile.inputs)
    assert.isNotEmpty(inputs)
    for (const input of inputs) assert.match(input, /^src\/(client\/\w+|domain\/TurnState)\.ts$/)
    const [file] = outputFiles
    assert.notMatch(file?.text ?? "", /effect/i)
    const size = gzipSync(file?.contents ?? "", { level: 9 }).length
    console.log(`client: ${size} bytes after gzip of ${sizeMax}`)
    assert.isAtMost(size, sizeMax)
  })

  it("is one file that loads by itself", async () => {
    const { metafile } = await build({
      stdin: { contents: 'export * from "turnstream/client"', resolveDir: folder },
      bundle: true,
      format: "esm",
      metafile: true,
      write: false
    })
    assert.lengthOf(Object.keys(metafile.inputs).filter((name) => name !== "<stdin>"), 1)
  })

  it("its declarations need no package", () => {
    const program = ts.createProgram([join(folder, "program.ts")], {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
      strict: true,
      exactOptionalPropertyTypes: true,
      types: [],
      noEmit: true
    })
    const found = ts.getPreEmitDiagnostics(program).map(({ messageText }) =>
      ts.flattenDiagnosticMessageText(messageText, "\n")
    )
    assert.deepStrictEqual(found, [])
    const declarations = program.getSourceFiles().map(({ fileName }) => fileName).filter((name) =>
      name.includes("/dist/")
    )
    assert.include(declarations.join(), "dist/client/Client.d.ts")
    for (const name of declarations) assert.match(name, /\/dist\/(client\/\w+|domain\/(Protocol|TurnState))\.d\.ts$/)
  })
})

import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import * as Http from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"

/** What a program prints, by line, with a data folder of its own. */
const run = async (example: string, env: Readonly<Record<string, string>> = {}): Promise<ReadonlyArray<string>> => {
  const dataDir = await mkdtemp(join(tmpdir(), "turnstream-example-"))
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [`examples/${example}`], {
      env: { ...process.env, ...env, DATA_DIR: dataDir }
    })
    return stdout.trim().split("\n")
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

describe("an example runs as it stands", () => {
  it("embed.mjs: a turn in ten lines of a program of its own", async () => {
    const types = (await run("embed.mjs")).map((line) => line.split(" ")[1])
    assert.deepStrictEqual([types[0], types.at(-1)], ["turn.started", "turn.completed"])
    assert.include(types, "model.delta")
  })

  it("custom-provider.mjs: a provider of its own answers", async () => {
    assert.deepStrictEqual((await run("custom-provider.mjs")).map((line) => line.trim()), ["HELLO,", "ENGINE"])
  })

  it("custom-context.mjs: a source of its own is sent", async () => {
    const lines = await run("custom-context.mjs")
    assert.isTrue(lines.some((line) => /^memory profile included [1-9]/.test(line)), lines.join("\n"))
  })
})

describe("the README shows", () => {
  for (const example of ["embed.mjs", "custom-provider.mjs"]) {
    it(`${example} as it is run here`, async () => {
      const [readme, source] = await Promise.all([
        readFile("README.md", "utf8"),
        readFile(`examples/${example}`, "utf8")
      ])
      assert.include(readme, source.slice(source.indexOf("import")).trim())
    })
  }
})

describe("docs/tutorials/adapter.md", () => {
  it("is the example, piece by piece and whole", async () => {
    const page = await readFile("docs/tutorials/adapter.md", "utf8")
    const blocks = [...page.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code = ""]) => code.trim())
    const programs = await Promise.all(
      ["adapter.mjs", "adapter-turn.mjs"].map(async (name) => {
        const source = await readFile(`examples/${name}`, "utf8")
        return source.slice(source.indexOf("\n")).trim()
      })
    )
    assert.strictEqual(blocks.join("\n\n"), programs.join("\n\n"))
  })

  type Answer = (response: Http.ServerResponse, call: number) => void

  /** A turn against a server that answers so, as the program prints it; and how often the server was called. */
  const turn = async (answer: Answer) => {
    let calls = 0
    const closed: Array<Promise<void>> = []
    const server = Http.createServer((request, response) => {
      request.resume()
      closed.push(new Promise((resolve) => response.on("close", resolve)))
      answer(response, ++calls)
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    const port = typeof address === "object" ? address?.port : 0
    try {
      const lines = await run("adapter-turn.mjs", { LINES_URL: `http://127.0.0.1:${port}/chat` })
      await Promise.all(closed)
      const text = lines.filter((line) => line.startsWith("model.delta "))
        .map((line) => JSON.parse(line.slice("model.delta ".length)).text).join("")
      return { lines, last: lines.at(-1) ?? "", text, calls }
    } finally {
      server.closeAllConnections()
      server.close()
    }
  }

  const says = (response: Http.ServerResponse, ...values: ReadonlyArray<unknown>) =>
    response.write(values.map((value) => `${JSON.stringify(value)}\n`).join(""))
  const done = { end: "done", tokens: { in: 12, out: 2 } }

  it("completes with what was said and counted, however the bytes are cut", async () => {
    const { calls, last, lines, text } = await turn((response) => {
      const bytes = Buffer.from(
        `${JSON.stringify({ text: "Grüße" })}\n${JSON.stringify({ text: " 🌊" })}\n${JSON.stringify(done)}\n`
      )
      const next = (at: number): void => {
        if (at === bytes.length) return void response.end()
        response.write(bytes.subarray(at, at + 1), () => next(at + 1))
      }
      next(0)
    })
    assert.match(last, /^turn\.completed .*"finishReason":"stop".*"inputTokens":12,"outputTokens":2/)
    assert.strictEqual(text, "Grüße 🌊")
    assert.strictEqual(calls, 1)
    assert.include(lines[2] ?? "", "attempt.started")
  })

  it("tells an answer that was cut by its limit from one that ended", async () => {
    const { last } = await turn((response) => {
      says(response, { text: "Hel" }, { end: "cut" })
      response.end()
    })
    assert.match(last, /^turn\.completed .*"finishReason":"length"/)
  })

  it("is tried again where nothing was said, and not where it would not help", async () => {
    const again = await turn((response, call) => {
      if (call === 1) return void response.writeHead(429, { "retry-after": "0" }).end("busy")
      says(response, { text: "now" }, done)
      response.end()
    })
    assert.deepStrictEqual([again.calls, again.text], [2, "now"])
    const refused = await turn((response) => void response.writeHead(401).end("no"))
    assert.strictEqual(refused.calls, 1)
    assert.match(refused.last, /^failed .*authentication \(HTTP 401\)/)
  })

  it("takes no truncated answer for a whole one, and no line that it does not know for nothing", async () => {
    const ended = await turn((response) => {
      says(response, { text: "Hello" })
      response.end()
    })
    assert.match(ended.last, /^failed .*incomplete_stream/)
    const cut = await turn((response) => {
      response.write(`${JSON.stringify({ text: "Hello" })}\n`, () => response.destroy())
    })
    assert.match(cut.last, /^failed .*(incomplete_stream|network)/)
    for (const odd of [{ refused: true }, { end: "toString" }, [1]]) {
      const strange = await turn((response) => {
        says(response, { text: "Hello" }, odd, done)
        response.end()
      })
      assert.match(strange.last, /^failed .*protocol/, JSON.stringify(odd))
    }
  })
})

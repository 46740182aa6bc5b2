/** The scan finds each kind of fake where one is planted, and leaves its innocent twin alone. */
import { assert, describe, it } from "@effect/vitest"
import ts from "typescript"
import { without } from "../core/NoOp.ts"
import { assertions } from "./assertions.ts"
import { controls } from "./controls.ts"
import { ignored } from "./ignored.ts"
import { placeholders } from "./placeholders.ts"
import { results } from "./results.ts"
import { skipped } from "./skipped.ts"
import { type Finding, parse, type Source } from "./Source.ts"
import { stubs } from "./stubs.ts"

type Check = (sources: ReadonlyArray<Source>) => ReadonlyArray<Finding>

interface Planted {
  readonly what: string
  readonly check: Check
  readonly kind: string
  readonly path: string
  readonly fake: string
  readonly twin: string
}

const component = (props: string, body: string) => `export const Part = (${props}) => (<p>${body}</p>)`

const planted: ReadonlyArray<Planted> = [
  {
    what: "a mark in a comment",
    check: placeholders,
    kind: "placeholder",
    path: "src/turn/A.ts",
    fake: "export const a = 1 // TODO: the real one",
    twin: 'export const a = "TODO is a word of the data" // to do it twice is harmless'
  },
  {
    what: "an error that says nobody wrote it yet",
    check: placeholders,
    kind: "placeholder",
    path: "src/turn/A.ts",
    fake: 'export const a = () => { throw new Error("resume is not implemented") }',
    twin: 'export const a = () => { throw new Error("resume of a completed turn is refused") }'
  },
  {
    what: "an exported function that does nothing",
    check: stubs,
    kind: "stub",
    path: "src/turn/A.ts",
    fake: "export const flush = (): void => {}",
    twin:
      "let wake = (): void => {}\nexport const flush = (): void => { /* nothing is kept here */ }\nstream.on('error', () => {})"
  },
  {
    what: "a method that does nothing",
    check: stubs,
    kind: "stub",
    path: "src/turn/A.ts",
    fake: "export const journal = { append(events: unknown) {} }",
    twin: "export const journal = { append(events: unknown) { write(events) } }"
  },
  {
    what: "a test that is skipped",
    check: skipped,
    kind: "skipped-test",
    path: "test/turn/a.test.ts",
    fake: 'it.effect.skip("cancels", () => assert.isTrue(cancelled()))',
    twin: 'it.skipIf(process.platform === "win32")("cancels", () => assert.isTrue(cancelled()))'
  },
  {
    what: "a suite that always skips itself",
    check: skipped,
    kind: "skipped-test",
    path: "test/turn/a.test.ts",
    fake: 'describe.skipIf(true)("cancel", () => {})',
    twin: 'describe.runIf(hasBrowser)("cancel", () => {})'
  },
  {
    what: "a test that skips itself without a word",
    check: skipped,
    kind: "skipped-test",
    path: "test/turn/a.test.ts",
    fake: 'it("cancels", (context) => context.skip())',
    twin: 'it("cancels", (context) => context.skip("no disk to fill here"))'
  },
  {
    what: "a test that calls and asserts nothing",
    check: assertions,
    kind: "assertion-free-test",
    path: "test/turn/a.test.ts",
    fake: 'it("cancels", () => { cancel(); assertive() })\nconst assertive = () => cancel()',
    twin: 'it("cancels", () => check(cancel()))\nconst check = (end) => assert.strictEqual(end, "cancelled")'
  },
  {
    what: "a test whose helper asserts nothing",
    check: assertions,
    kind: "assertion-free-test",
    path: "test/turn/a.test.ts",
    fake: 'const check = (title, body: () => void) => it(title, () => body())\ncheck("cancels", () => cancel())',
    twin:
      'const check = (title, body: () => void) => it(title, () => body())\ncheck("cancels", () => assert.isTrue(cancel()))'
  },
  {
    what: "an assertion that always holds",
    check: assertions,
    kind: "vacuous-assertion",
    path: "test/turn/a.test.ts",
    fake: 'it("cancels", () => { assert.strictEqual(end, end) })',
    twin: 'it("cancels", () => { assert.strictEqual(end, expected) })'
  },
  {
    what: "an assertion of a constant",
    check: assertions,
    kind: "vacuous-assertion",
    path: "test/turn/a.test.ts",
    fake: 'it("cancels", () => { cancel(); expect(true).toBe(true) })',
    twin: 'it("cancels", () => { expect(cancel()).toBe(true) })'
  },
  {
    what: "an answer to fixed words",
    check: results,
    kind: "hard-coded-result",
    path: "src/turn/A.ts",
    fake: 'export const answer = (message: string) => message === "What is a turn?" ? "A message." : say(message)',
    twin: 'export const answer = (message: string) => message === "" ? refuse() : say(message)'
  },
  {
    what: "source that knows it is being tested",
    check: results,
    kind: "hard-coded-result",
    path: "src/turn/A.ts",
    fake: 'export const quick = process.env["VITEST"] !== undefined',
    twin: 'export const quick = process.env["TURNSTREAM_DURABILITY"] === "relaxed"'
  },
  {
    what: "source that reads what the tests expect",
    check: results,
    kind: "hard-coded-result",
    path: "src/turn/A.ts",
    fake: 'export const answer = () => read("test/golden/expected.json")',
    twin: 'export const answer = () => read("turnstream.json")'
  },
  {
    what: "a button that nothing listens to",
    check: controls,
    kind: "control-without-behaviour",
    path: "src/workbench/A.tsx",
    fake: component("", '<button type="button">Resume</button>'),
    twin: component("", '<button type="button" onClick={resume}>Resume</button>')
  },
  {
    what: "a listener that does nothing",
    check: controls,
    kind: "control-without-behaviour",
    path: "src/workbench/A.tsx",
    fake: component("", "<button onClick={() => {}}>Resume</button>"),
    twin: component("", "<button onClick={() => resume()}>Resume</button>")
  },
  {
    what: "a button that is disabled without a reason",
    check: controls,
    kind: "control-without-behaviour",
    path: "src/workbench/A.tsx",
    fake: component("", "<button disabled>Resume</button>"),
    twin: component("", '<button disabled title="Nothing was cut off.">Resume</button>')
  },
  {
    what: "a choice that changes nothing",
    check: controls,
    kind: "control-without-behaviour",
    path: "src/workbench/A.tsx",
    fake: component("", "<select value={model} />"),
    twin: component("", "<select value={model} onChange={choose} />")
  },
  {
    what: "a submit in a form that nobody sends",
    check: controls,
    kind: "control-without-behaviour",
    path: "src/workbench/A.tsx",
    fake: component("", "<form><button>Send</button></form>"),
    twin: component("", "<form onSubmit={send}><button>Send</button></form>")
  },
  {
    what: "a component that is given no listener",
    check: controls,
    kind: "control-without-behaviour",
    path: "src/workbench/A.tsx",
    fake: `const Action = ({ onClick }: { readonly onClick?: () => void }) => <button onClick={() => onClick?.()} />\n${
      component("", "<Action>Resume</Action>")
    }`,
    twin: `const Action = ({ onClick }: { readonly onClick?: () => void }) => <button onClick={() => onClick?.()} />\n${
      component("", "<Action onClick={resume}>Resume</Action>")
    }`
  }
]

/** A program of one contract and one implementation, without a library. */
const programOf = (implementation: string): ts.Program => {
  const files = new Map([
    ["src/Tokens.ts", "export interface Tokens { readonly count: (text: string) => number; readonly name: string }"],
    ["src/TokensFixed.ts", `import type { Tokens } from "./Tokens.ts"\n${implementation}`]
  ])
  const host: ts.CompilerHost = {
    getSourceFile: (name) => {
      const text = files.get(name)
      return text === undefined ? undefined : ts.createSourceFile(name, text, ts.ScriptTarget.ES2022, true)
    },
    getDefaultLibFileName: () => "lib.d.ts",
    writeFile: () => {},
    getCurrentDirectory: () => "",
    getCanonicalFileName: (name) => name,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => "\n",
    fileExists: (name) => files.has(name),
    readFile: (name) => files.get(name)
  }
  return ts.createProgram([...files.keys()], { noLib: true, allowImportingTsExtensions: true, noEmit: true }, host)
}

const whatIsIgnored = (implementation: string) => {
  const { excused, findings } = ignored(programOf(implementation), "")
  return { findings: findings.map(({ what }) => what), excused: excused.map(({ what }) => what) }
}

describe("the scan for fakes", () => {
  for (const { check, fake, kind, path, twin, what } of planted) {
    it(`finds ${what}, and not its twin`, () => {
      const found = check([parse(path, fake)])
      assert.isNotEmpty(found)
      for (const one of found) assert.deepInclude(one, { kind, path })
      assert.deepStrictEqual(check([parse(path, twin)]), [])
    })
  }

  it("finds an assertion-free test behind an import, and follows the import to a helper that asserts", () => {
    const test = parse(
      "test/turn/a.test.ts",
      'import * as Chat from "./chat.ts"\nit("cancels", () => Chat.see(cancel()))'
    )
    const helper = (body: string) => parse("test/turn/chat.ts", `export const see = (end) => { ${body} }`)
    assert.deepStrictEqual(assertions([test, helper('if (end !== "cancelled") throw new Error(end)')]), [])
    assert.deepStrictEqual(assertions([test, helper("seen.push(end)")]).map(({ kind }) => kind), [
      "assertion-free-test"
    ])
  })

  it("finds a port that answers the same whatever it is asked, unless it says why", () => {
    const fixed = 'export const fixed: Tokens = { name: "fixed", count: () => 42 }'
    assert.deepStrictEqual(whatIsIgnored(fixed).findings, ["count answers the same whatever it is asked"])
    const counted = 'export const counted: Tokens = { name: "counted", count: (text) => text.length }'
    assert.deepStrictEqual(whatIsIgnored(counted), { findings: [], excused: [] })
    const reasoned = 'export const none: Tokens = {\n  name: "none",\n  // nothing costs nothing\n  count: () => 0\n}'
    assert.deepStrictEqual(whatIsIgnored(reasoned).findings, [])
    assert.include(whatIsIgnored(reasoned).excused[0], "nothing costs nothing")
  })

  it("replaces the core where it is, and refuses where the file is written in another way", () => {
    const core = "  const converse = Effect.flatMap(context, (built) => {\n})"
    assert.include(without("/x/src/turn/TurnRun.ts", core), "turnstreamCoreCalls")
    assert.strictEqual(without("/x/src/turn/Attempt.ts", core), core)
    assert.throws(() => without("/x/src/turn/TurnRun.ts", "export const run = 1"), /mend it there/)
  })
})

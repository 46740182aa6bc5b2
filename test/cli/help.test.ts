import { assert, describe, it } from "@effect/vitest"
import { helpFirst, mend } from "../../src/cli/Cli.ts"

describe("help", () => {
  it("a document is shown with the program's name, without noise and without colours off a terminal", () => {
    const document =
      "\u001b[0;1mOPTIONS\u001b[0m\n\n--url address\n\n  A user-defined piece of text.\n\n  Where.\n\n  This setting is optional.\n\n$ turn <text>\n\n  - one  \n\n  - two\n"
    assert.strictEqual(
      mend(document, false),
      "OPTIONS\n\n--url address\n\n  Where.\n\n$ turnstream turn <text>\n\n  - one\n  - two"
    )
    assert.include(mend(document, true), "\u001b[0;1m")
  })

  it("--help is understood anywhere but behind --", () => {
    const argv = (...args: ReadonlyArray<string>) => ["node", "main.js", ...args]
    assert.deepStrictEqual(helpFirst(argv("serve", "--port", "1", "--help")), argv("serve", "--help"))
    assert.deepStrictEqual(helpFirst(argv("-h")), argv("--help"))
    assert.deepStrictEqual(helpFirst(argv("turn", "--", "--help")), argv("turn", "--", "--help"))
    assert.deepStrictEqual(helpFirst(argv("turn", "x")), argv("turn", "x"))
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { h } from "preact"
import { renderToString } from "preact-render-to-string"
import { Markdown } from "../../src/workbench/turn/Markdown.tsx"
import { type Blocks, empty, update } from "../../src/workbench/turn/MarkdownBlocks.ts"
import { mend } from "../../src/workbench/turn/MarkdownTail.ts"
import { decode, safeAddress } from "../../src/workbench/turn/MarkdownText.ts"
import * as MarkdownTexts from "./markdown-texts.ts"

const draw = (text: string, streaming = false): string => renderToString(h(Markdown, { text, streaming }))

const unescape = (html: string): string =>
  html.replace(/&(lt|gt|quot|amp);/g, (_, name: string) => ({ lt: "<", gt: ">", quot: '"', amp: "&" })[name] ?? "")

/** What a person reads. */
const textOf = (html: string): string => unescape(html.replace(/<button[^>]*>.*?<\/button>|<[^>]*>/g, ""))

const elements = new Set(
  "div span p h3 pre code ol ul li blockquote hr br table thead tbody tr th td strong em del a button".split(
    " "
  )
)
const attributes = new Set([
  "class",
  "tabindex",
  "role",
  "aria-label",
  "href",
  "rel",
  "target",
  "type",
  "scope",
  "start",
  "style"
])

/** The renderer escapes what is text, so that every `<` is an element of the page. */
const assertInert = (html: string): void => {
  for (const [, name = "", rest = ""] of html.matchAll(/<\/?([^\s>/]+)((?:\s[^\s=>]+(?:="[^"]*")?)*)\s*\/?>?/g)) {
    assert.isTrue(elements.has(name), name)
    for (const [, attribute = "", value = ""] of rest.matchAll(/\s([^\s=>]+)(?:="([^"]*)")?/g)) {
      assert.isTrue(attributes.has(attribute), `${name} ${attribute}`)
      if (attribute === "href") assert.match(value, /^(?:https?|mailto):/)
      if (attribute === "style") assert.match(value, /^contain-intrinsic-block-size:\s*auto \d+lh;$/)
    }
  }
}

const stream = (chunks: ReadonlyArray<string>): Blocks => {
  let text = ""
  let state = empty
  for (const chunk of chunks) state = update(state, text += chunk, true)
  return state
}

const chunked = (text: string, size: number): ReadonlyArray<string> =>
  Array.from({ length: Math.ceil(text.length / size) }, (_, index) => text.slice(index * size, (index + 1) * size))

describe("markdown is drawn from a stranger's text", () => {
  it("any text makes only known elements, attributes and addresses, and nothing throws", () => {
    FastCheck.assert(
      FastCheck.property(
        MarkdownTexts.markdown,
        FastCheck.boolean(),
        (text, streaming) => assertInert(draw(text, streaming))
      ),
      { numRuns: 1_500 }
    )
  })

  it("raw HTML is text", () => {
    const html = draw(
      '<script>alert(1)</script>\n\nand <b onclick="x">bold</b>\n\n<div>\n<img src=x onerror=y>\n</div>'
    )
    assertInert(html)
    assert.include(textOf(html), "<script>alert(1)</script>")
    assert.include(textOf(html), '<b onclick="x">bold</b>')
    assert.include(textOf(html), "<img src=x onerror=y>")
  })

  it.each([
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java&#115;cript:alert(1)",
    "javascript&colon;alert(1)",
    "javascript&#58;alert(1)",
    "&#1;javascript:alert(1)",
    "<java\tscript:alert(1)>",
    "<\u0001javascript:alert(1)>",
    "<https://a.example/\u202egpj>",
    "vbscript:x",
    "data:text/html,<b>",
    "file:///etc/passwd",
    "blob:https://a.example/1",
    "//evil.example",
    "/\\evil.example",
    "\\\\\\\\evil.example",
    "https:evil.example",
    "https:///evil.example",
    "https:\\\\evil.example",
    "https://bank.example@evil.example",
    "https://[",
    "/v1/sessions",
    "#x",
    "page.html",
    "?a=b",
    ""
  ])("%s is not followed, and is shown", (address) => {
    const html = draw(`[words](${address}) ![alt](${address})\n\n[words][1]\n\n[1]: ${address}\n\n<${address}>`)
    assertInert(html)
    assert.notInclude(html.replaceAll('https://evil.example"', ""), "href=")
    assert.include(html, "words")
  })

  it("an address of the web or of mail is followed, apart from this page", () => {
    assert.strictEqual(
      draw('[a](https://b.example/c?d=1&amp;e=2 "title")'),
      '<div class="markdown"><p><a href="https://b.example/c?d=1&amp;e=2" rel="noreferrer noopener" target="_blank">a</a></p></div>'
    )
    assert.include(draw("www.a.example and x@a.example"), 'href="http://www.a.example/"')
    assert.include(draw("www.a.example and x@a.example"), 'href="mailto:x@a.example"')
    assert.strictEqual(safeAddress("HTTPS://A.example"), "https://a.example/")
  })

  it("an image is its words and its address, and is not loaded", () => {
    const html = draw("![a *cat*](https://b.example/c.png) and [![d](https://b.example/e.png)](https://f.example)")
    assert.notInclude(html, "<img")
    assert.strictEqual(textOf(html), "a *cat* (https://b.example/c.png) and d (https://b.example/e.png)")
    assert.strictEqual(html.split("<a ").length - 1, 2)
    assert.isBelow(draw(`![a](data:image/png;base64,${"A".repeat(1_000)})`).length, 400)
  })

  it.each([
    ["&amp;lt;", "&lt;"],
    [
      "&lt;b&gt; &amp; &#38;#60; &#60; &#x3C; &nbsp;&hellip; AT&T &copy &bogus; &#0;",
      "<b> & &#60; < < \u00a0… AT&T &copy &bogus; \ufffd"
    ],
    ["`&amp;` \\&amp;", "&amp; &amp;"],
    ["https://a.example/?a=1&lt=2", "https://a.example/?a=1&lt=2"],
    ["- [x] a &amp; b", "☑ a & b"]
  ])("%s reads %s", (text, read) => assert.strictEqual(textOf(draw(text)), read))

  it("plain prose keeps its words", () => {
    const word = FastCheck.stringMatching(/^[a-zA-Zäöüß][a-zäöüß]{0,12}[,.;?]?$/)
    const prose = FastCheck.array(word, { minLength: 1, maxLength: 400 })
    FastCheck.assert(FastCheck.property(prose, (words) => {
      assert.strictEqual(textOf(draw(words.join(" "))), words.join(" "))
    }))
  })
})

describe("markdown has the shape of its text", () => {
  it("headings go below those of the page", () => {
    assert.strictEqual(
      draw("# a\n## b\n##### c"),
      '<div class="markdown"><h3 class="depth-1">a</h3><h3 class="depth-2">b</h3><h3 class="depth-5">c</h3></div>'
    )
  })

  it("code and tables can be reached and scrolled by key", () => {
    assert.include(
      draw("```ts\na < b\n```"),
      '<pre tabindex="0" role="group" aria-label="Code, ts"><code>a &lt; b</code></pre>'
    )
    assert.include(draw("~~~\na\n~~~"), 'aria-label="Code, text"')
    assert.include(draw("    a"), "<code>a</code>")
    const html = draw("| a | b |\n|:-:|--:|\n| **c** | d |")
    assert.include(html, '<div class="table" tabindex="0" role="group" aria-label="Table">')
    assert.include(html, '<td class="center"><strong>c</strong></td><td class="right">d</td>')
  })

  it("lists nest, start where they start, and say what is done", () => {
    assert.include(draw("3. a\n4. b\n   - c"), '<ol start="3"><li>a</li><li>b<ul><li>c</li></ul></li></ol>')
    assert.include(draw("- [x] a\n- [ ] b"), '<li class="task"><span role="img" aria-label="to do">☐ </span>b</li>')
    assert.include(draw("~~a~~ **b** *c*  \nd"), "<del>a</del> <strong>b</strong> <em>c</em><br/>d")
  })

  it("a footnote is text", () => {
    assert.strictEqual(textOf(draw("a[^1]\n\n[^1]: b")), "a[^1][^1]: b")
  })

  it("a link definition is known before it comes, however far behind", () => {
    const text = `[a][1]\n\n${"word ".repeat(12_000)}\n\n[1]: https://b.example`
    assert.include(draw(text), '<a href="https://b.example/"')
    assert.strictEqual(drawnOf(stream(chunked(text, 900)), text), draw(text))
  })
})

/** What is drawn at the end of a stream. */
const drawnOf = (state: Blocks, text: string): string => {
  const whole = update(state, text, false)
  const alone = update(empty, text, false)
  assert.deepStrictEqual(whole.blocks, alone.blocks)
  return draw(text)
}

const drawnTokens = (state: Blocks): string => JSON.stringify(state.blocks)

describe("markdown that is still coming", () => {
  it("streamed in any pieces, it ends as the whole does", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(MarkdownTexts.markdown, { maxLength: 12 }), (chunks) => {
        const text = chunks.join("")
        assert.deepStrictEqual(update(stream(chunks), text, false).blocks, update(empty, text, false).blocks)
      }),
      { numRuns: 2_000 }
    )
  })

  it("a finished block stays the same object", () => {
    const first = stream(["# a\n\nb **c**\n\n```js\nx\n```\n", "d\n\ne f"])
    const second = update(first, `${first.source} g\n\nh`, true)
    assert.isAtLeast(first.finished, 3)
    for (let index = 0; index < first.finished; index++) assert.strictEqual(first.blocks[index], second.blocks[index])
    const ended = update(second, second.source, false)
    for (let index = 0; index < second.finished; index++) assert.strictEqual(ended.blocks[index], second.blocks[index])
  })

  it("a text that is no continuation starts anew", () => {
    const state = update(stream(["one\n\ntwo\n\nthree"]), "on", true)
    assert.deepStrictEqual(state.blocks.map(({ token }) => token.raw), ["on"])
    assert.deepStrictEqual(
      update(stream(["a\n\nb\n\nc"]), "x\n\ny", false).blocks,
      update(empty, "x\n\ny", false).blocks
    )
  })

  it("the links of one text are not those of another", () => {
    stream(["[a]: https://b.example\n\nc\n\n", "d"])
    assert.notInclude(drawnTokens(stream(["[a]\n\n", "b"])), "b.example")
  })

  it("a tag that is not closed changes nothing after it", () => {
    assert.include(draw("<a href=x>\n\nhttps://b.example"), 'href="https://b.example/"')
    assert.include(draw("a <a b\n\n# c <a>\n\nhttps://b.example"), 'href="https://b.example/"')
  })

  it("a line end in two pieces is one line end", () => {
    assert.strictEqual(stream(["a\r", "\nb\r", "\n\r", "\nc"]).source, "a\nb\n\nc")
  })

  it.each([
    ["a `b", "a `b`"],
    ["a `", "a "],
    ["a ``b`", "a ``b``"],
    ["a **", "a "],
    ["a **b", "a **b**"],
    ["a **b *", "a **b**"],
    ["a **b**", "a **b**"],
    ["a **b *c", "a **b *c***"],
    ["~~a ", "~~a~~"],
    ["2 * 3", "2 * 3"],
    ["a*b c_d", "a*b c_d"],
    ["see [the docs](http", "see the docs"],
    ["see [the docs", "see the docs"],
    ["see ![a cat](", "see a cat"],
    ["a[0", "a[0"],
    ["- [x", "- "],
    ["see [1", "see 1"],
    ["text\n-", "text\n"],
    ["text\n==", "text\n"],
    ["- a\n- **b", "- a\n- **b**"],
    ["# **a\nb", "# **a\nb"],
    ["**a**\n\n#", "**a**\n\n"],
    ["| a | b", "| a | b|\n|-|-|"],
    ["| a | b |\n|--", "| a | b |\n|-|-|"],
    ["|a|\n|-|\n|`b", "|a|\n|-|\n|`b`"],
    ["- a\n  ```js\n  b **c", "- a\n  ```js\n  b **c"]
  ])("%j is shown as %j", (text, shown) => assert.strictEqual(mend(text), shown))

  it("an open fence is code, without the half of its end", () => {
    assert.include(draw("```js\na\n``", true), "<code>a</code>")
    assert.include(draw("a\n```js", true), "<code></code>")
    assert.include(draw("```js\na\n``", false), "<code>a\n``</code>")
  })

  it("no mark of a common answer is seen on its way", () => {
    const text = MarkdownTexts.common
    for (let end = 1; end < text.length; end++) {
      assert.notMatch(textOf(draw(text.slice(0, end), true)), /[*`~|[\]#]|https|---/, text.slice(0, end))
    }
  })
})

describe("no text is too much", () => {
  /** The last number: the most often that a character is lexed. An endless block is lexed again up to its bound. */
  const endless: ReadonlyArray<readonly [name: string, delta: string, first: string, most: number]> = [
    ["paragraphs", "Some words, some **more**, and an end.\n\n", "", 3],
    ["one block of code", "const a = [1, 2, 3] // **and** so on..\n\n", "```ts\n", 0.01],
    ["many blocks of code", "```\n const a = [1, 2, 3] // and so on\n```\n", "", 3],
    ["a list", "- an item of a list that never ends....\n", "", 250]
  ]
  it.each(endless)("5,000 deltas of 40 characters cost in proportion to their number: %s", (_, delta, first, most) => {
    const half = stream([first, ...Array.from({ length: 2_500 }, () => delta)])
    let whole = half
    for (let count = 0; count < 2_500; count++) whole = update(whole, whole.source + delta, true)
    assert.isBelow(whole.lexed, Math.max(half.lexed * 2.2, 1_000))
    assert.isBelow(whole.lexed, whole.source.length * most)
  })

  it.each(MarkdownTexts.hostile)("%s", (_, text) => {
    const html = draw(text)
    assertInert(html)
    assertInert(draw(text, true))
    assert.isBelow(html.split("<").length, 100_000)
    // nothing that was written is hidden, but for marks
    const words = (some: string) => some.replace(/[^a-z]/g, "").length
    if (!text.startsWith("[a]:")) assert.isAtLeast(words(textOf(html)), words(text) * 0.95)
  })

  it("references are resolved in time", () => {
    assert.strictEqual(decode("&".repeat(100_000)).length, 100_000)
  })
})

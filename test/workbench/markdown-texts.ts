/** Markdown to try readers of it on. */
import * as FastCheck from "effect/FastCheck"

/** Markdown is mostly made of marks; random text would seldom have one. */
const part = FastCheck.oneof(
  FastCheck.constantFrom(
    ..."* ** _ __ ~~ ` `` ``` ~~~ [ ] ( ) ![ ]( <  > & &amp; &#60; &lt; \\ | || |- : # ## - + 1. 2) > \t http:// www. a@b.c"
      .split(" "),
    ..."javascript: data: &colon; &#x6a; vbscript: <script> <img src=x onerror=y> </ <!-- --> [a]: [^1]: - [ ] \r\n \r"
      .split(" "),
    "\n",
    "\n\n",
    " ",
    "    ",
    "|a|b|\n|-|-|\n",
    "é",
    "😀",
    "\u0000",
    "\u202e"
  ),
  FastCheck.string({ maxLength: 6 })
)
export const markdown = FastCheck.array(part, { maxLength: 60 }).map((parts) => parts.join(""))

/** What a model writes. */
export const common = "# Title\n\nSome **bold words** and `code` and [a link](https://a.example/b).\n\n"
  + "- one *two*\n- ~~three~~\n\n| a | b |\n|---|---|\n| c | **d** |\n\n```ts\nconst a = 1\n```\n\n1. x\n2. y\n"

/** What makes a lexer slow, deep or wrong, by name. */
export const hostile: ReadonlyArray<readonly [string, string]> = [
  ["quotes", ">".repeat(10_000) + "a"],
  ["lists", "- ".repeat(5_000) + "a"],
  ["indented lists", Array.from({ length: 400 }, (_, depth) => `${"  ".repeat(depth)}- a`).join("\n")],
  ["quotes and lists", "> - ".repeat(4_000) + "a\nb\nc"],
  ["lazy lines", "> - > - a\nb\n".repeat(2_000)],
  ["emphasis", "*a **b _c ".repeat(3_000)],
  ["nested emphasis", "*a _b ".repeat(3_000) + "b_ a* ".repeat(3_000)],
  ["accents", "*é“".repeat(8_000)],
  ["brackets", "[".repeat(30_000)],
  ["links", "[a](".repeat(8_000) + ")"],
  ["images", "![".repeat(16_000)],
  ["backticks", Array.from({ length: 300 }, (_, length) => "`".repeat(length)).join(" ")],
  ["tags", "<a ".repeat(10_000)],
  ["an address", `http://a.example/${"?!.,".repeat(8_000)}`],
  ["a mail address", "a.".repeat(15_000) + "@"],
  ["a block", "word ".repeat(200_000)],
  ["a line", "a".repeat(1_000_000)],
  ["code", "```\n" + "code\n".repeat(200_000)],
  ["a table", "|a|b|\n|-|-|\n" + "|c|d|\n".repeat(5_000)],
  ["a wide table", `|${"a|".repeat(3_000)}\n|${"-|".repeat(3_000)}\n`],
  ["items", "- a\n".repeat(60_000)],
  ["definitions", "[a]: b\n".repeat(10_000)],
  ["empty lines", "\n \t".repeat(100_000)],
  ["zero", "\u0000".repeat(50_000)]
]

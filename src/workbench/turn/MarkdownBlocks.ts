/**
 * Markdown as a list of blocks, brought up to date as its text grows. A block that is finished stays the same object,
 * so that what is drawn of it is not drawn again; only the end of the text, from the last place where no further text
 * can change what is before it, is lexed again.
 *
 * - While text streams, a guess may be wrong: a link definition comes after its use. When it has ended all of it is
 *   read once more, and what is then shown depends on the text alone, not on how it came.
 * - Text that is no continuation of the one before starts anew.
 * - A call of the lexer gets `windowMax` characters at most. A block that is longer is cut before a line that is not
 *   indented (a list goes on as a second list); a table, and a line, that is longer goes on as it was written. A fenced
 *   block is found without the lexer and may have any length.
 * - What comes after `markdownMax` characters or `nodesMax` nodes is shown as it was written.
 */
import type { Links, Token, Tokens } from "marked"
import { lex, plain, windowMax } from "./BoundedLexer.ts"
import { mend } from "./MarkdownTail.ts"

export interface Block {
  readonly token: Token
}

export interface Blocks {
  /** With `\n` for every line end. */
  readonly source: string
  readonly streaming: boolean
  readonly blocks: ReadonlyArray<Block>
  /** How many of them are finished, and where the text of the first that is not begins. */
  readonly finished: number
  readonly offset: number
  /** Where in an open fenced block the search for its end goes on. */
  readonly searched: number
  readonly links: Links
  /** Nodes of the finished blocks. */
  readonly nodes: number
  /** Characters given to the lexer for this text so far. */
  readonly lexed: number
}

const markdownMax = 250_000
/** A page is still quick with as many; an answer of 100 kB of prose has some thousand. */
const nodesMax = 15_000

const noLinks = (): Links => Object.create(null) as Links

export const empty: Blocks = {
  source: "",
  streaming: true,
  blocks: [],
  finished: 0,
  offset: 0,
  searched: 0,
  links: noLinks(),
  nodes: 0,
  lexed: 0
}

const blankLines = /(?:[ \t]*\n)+/y
const fenceStart = /( {0,3})(?:(`{3,})([^`\n]*)|(~{3,})([^\n]*))(?:\n|$)/y

const isFence = (token: Token | undefined): boolean => token?.type === "code" && token["codeBlockStyle"] === undefined

type Node = Token | Tokens.TableCell

const within = (node: Node): ReadonlyArray<Node> => {
  const { tokens = [], type } = node as Tokens.Generic
  if (type === "list") return (node as Tokens.List).items
  return type === "table" ? [(node as Tokens.Table).header, ...(node as Tokens.Table).rows].flat() : tokens
}

const nodesOf = (nodes: ReadonlyArray<Node>): number => nodes.reduce((sum, node) => sum + 1 + nodesOf(within(node)), 0)

/** Where the last line begins that is not indented; 0 where there is none but the first. */
const lastLineStart = (text: string): number => {
  for (let end = text.lastIndexOf("\n"); end > 0; end = text.lastIndexOf("\n", end - 1)) {
    if (/\S/.test(text.charAt(end + 1))) return end + 1
  }
  return 0
}

type Draft = { -readonly [Name in keyof Blocks]: Blocks[Name] } & { blocks: Array<Block> }

/** One reading of the text from `state.offset` on. */
class Reading {
  readonly next: Draft

  constructor(state: Blocks, source: string, streaming: boolean) {
    this.next = { ...state, source, streaming, blocks: state.blocks.slice(0, state.finished) }
  }

  run(): void {
    while (this.next.offset < this.next.source.length) {
      blankLines.lastIndex = this.next.offset
      if (blankLines.test(this.next.source)) {
        this.next.offset = blankLines.lastIndex
        continue
      }
      if (!(this.#fence() ?? this.#window())) return
    }
  }

  #push(tokens: ReadonlyArray<Token>): void {
    for (const token of tokens) {
      // the lexer has the line ends after a block of code in it, or has not
      if (token.type === "code") token.raw = token.raw.trimEnd()
      if (token.type !== "space") this.next.blocks.push({ token })
    }
  }

  #finish(tokens: ReadonlyArray<Token>, end: number): true {
    for (const token of tokens) {
      if (token.type === "def") this.next.links[token["tag"]] ??= { href: token["href"], title: token["title"] }
    }
    this.#push(tokens)
    this.next.nodes += nodesOf(tokens)
    this.next.finished = this.next.blocks.length
    this.next.offset = end
    this.next.searched = end
    return true
  }

  /** The rest, which is not finished while text may follow. */
  #rest(tokens: ReadonlyArray<Token>): boolean {
    if (!this.next.streaming) return this.#finish(tokens, this.next.source.length)
    this.#push(tokens)
    return false
  }

  /** A fenced block at the offset; undefined where there is none, false where it is still open. */
  #fence(): boolean | undefined {
    const source = this.next.source
    fenceStart.lastIndex = this.next.offset
    const match = fenceStart.exec(source)
    if (match === null) return undefined
    const mark = match[2] ?? match[4] ?? ""
    const start = fenceStart.lastIndex
    const code = (end: number, raw: number): ReadonlyArray<Token> => {
      const written = source.slice(start, Math.max(start, end))
      const indent = match[1]?.length ?? 0
      const text = indent === 0 ? written : written.replace(new RegExp(`^ {1,${indent}}`, "gm"), "")
      return [{
        type: "code",
        raw: source.slice(this.next.offset, raw),
        lang: (match[3] ?? match[5] ?? "").trim(),
        text
      }]
    }
    const close = new RegExp(`^ {0,3}${mark[0]}{${mark.length},} *$`, "gm")
    close.lastIndex = Math.max(start, this.next.searched)
    const found = close.exec(source)
    const end = found === null ? source.length : found.index + found[0].length
    if (found !== null && (end < source.length || !this.next.streaming)) {
      return this.#finish(code(found.index - 1, end), Math.min(end + 1, source.length))
    }
    const lastLine = source.lastIndexOf("\n") + 1
    this.next.searched = Math.max(start, lastLine)
    const half = this.next.streaming && new RegExp(`^ {0,3}${mark[0]}+ *$`).test(source.slice(lastLine, lastLine + 100))
    return this.#rest(code(half || lastLine === source.length ? lastLine - 1 : source.length, source.length))
  }

  #window(): boolean {
    const source = this.next.source
    if (this.next.offset >= markdownMax || this.next.nodes >= nodesMax) {
      return this.#rest([plain(source.slice(this.next.offset))])
    }
    const end = Math.min(this.next.offset + windowMax, source.length)
    const window = source.slice(this.next.offset, end)
    const isLast = end === source.length
    const text = isLast && this.next.streaming ? mend(window) : window
    // a definition of which half is there must not stay
    const tokens = this.#lex(
      text,
      isLast && this.next.streaming ? Object.assign(noLinks(), this.next.links) : this.next.links
    )
    if (isLast && !this.next.streaming) return this.#finish(tokens, end)
    const cut = this.#cutOf(tokens, window, text)
    if (cut !== undefined) return this.#finish(tokens.slice(0, cut.count), this.next.offset + cut.length)
    return isLast ? this.#rest(tokens) : this.#force(window)
  }

  #lex(text: string, links: Links): ReadonlyArray<Token> {
    this.next.lexed += text.length
    try {
      return lex(text, links)
    } catch {
      // it took too long or nests too deep; or the lexer has a fault, and the text can still be read
      return [plain(text)]
    }
  }

  /**
   * The last token before which the text may be cut: nothing before it can change, and it is lexed alike on its own.
   * Its first line must be there, as "1" becomes "1. " and goes on with the list before it.
   */
  #cutOf(tokens: ReadonlyArray<Token>, window: string, lexed: string) {
    let length = lexed.length
    if (tokens.reduce((sum, token) => sum + token.raw.length, 0) !== length) return undefined
    for (let count = tokens.length - 1; count > 0; count--) {
      const token = tokens[count]
      const before = tokens[count - 1]
      if (token === undefined || before === undefined) return undefined
      length -= token.raw.length
      const isApart = isFence(token) || isFence(before) || ["space", "heading", "hr"].includes(before.type)
      if (isApart && token.type !== "space") {
        const lineEnd = window.indexOf("\n", length)
        if (lineEnd >= 0 && lexed.startsWith(window.slice(length, lineEnd), length)) return { count, length }
      }
    }
    return undefined
  }

  /** A block longer than a window. */
  #force(window: string): true {
    const line = lastLineStart(window)
    if (line === 0) {
      const space = window.lastIndexOf(" ")
      const length = space > windowMax / 2 ? space + 1 : window.length
      return this.#finish([plain(window.slice(0, length))], this.next.offset + length)
    }
    const tokens = this.#lex(window.slice(0, line), this.next.links)
    const end = this.next.offset + line
    if (tokens.at(-1)?.type !== "table") return this.#finish(tokens, end)
    const blank = this.next.source.slice(end).search(/\n[ \t]*(?:\n|$)/)
    const tableEnd = blank < 0 ? this.next.source.length : end + blank
    return this.#finish([...tokens, plain(this.next.source.slice(end, tableEnd))], tableEnd)
  }
}

const read = (state: Blocks, source: string, streaming: boolean): Blocks => {
  const reading = new Reading(state, source, streaming)
  reading.run()
  return reading.next
}

/** The whole text, with every link definition known before its first use. */
const readWhole = (source: string, lexed: number): Blocks => {
  const start = { ...empty, links: noLinks(), lexed }
  const first = read(start, source, false)
  const isKnownLate = source.length > windowMax && Object.keys(first.links).length > 0
  return isKnownLate ? read({ ...start, links: first.links, lexed: first.lexed }, source, false) : first
}

/** `next`, with the finished blocks of `before` where they are the same. */
const keep = (before: Blocks, next: Blocks): Blocks => ({
  ...next,
  blocks: next.blocks.map((block, index) => {
    const old = index < before.finished ? before.blocks[index] : undefined
    const isSame = old?.token.raw === block.token.raw && old.token.type === block.token.type
    return isSame && Object.keys(next.links).length === 0 ? old : block
  })
})

/** `state` brought up to `text`. While `streaming`, its end is mended and may change. */
export const update = (state: Blocks, text: string, streaming: boolean): Blocks => {
  const lines = text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text
  // the second half of a line end may be on its way
  const source = streaming && text.endsWith("\r") ? lines.slice(0, -1) : lines
  if (source === state.source && streaming === state.streaming) return state
  // `empty` is shared, and must not come to know links
  const isContinued = state !== empty && state.streaming && source.startsWith(state.source)
  if (!streaming) return keep(state, readWhole(source, isContinued ? state.lexed : 0))
  return read(isContinued ? state : { ...empty, links: noLinks() }, source, true)
}

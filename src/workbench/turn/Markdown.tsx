/**
 * An answer, drawn as the markdown that it is or is becoming. The text is a stranger's: elements and attributes come
 * from this file alone, raw HTML is text, an image is its words and its address (nothing is loaded), and only absolute
 * addresses of the web and of mail can be followed. Headings start at h3, below the page's own.
 *
 * What a block costs to draw is bounded too: a table of more than `cellsMax` cells is shown as it was written, and long
 * code in pieces that the browser lays out once they come into view. The bounds of reading are in `MarkdownBlocks.ts`
 * and `BoundedLexer.ts`.
 */
import type { MarkedToken, Token, Tokens } from "marked"
import type { ComponentChild, ComponentChildren, VNode } from "preact"
import { useRef } from "preact/hooks"
import { CopyButton } from "../kit/CopyButton.tsx"
import { type Block, empty, update } from "./MarkdownBlocks.ts"
import { decode, safeAddress, shownAddress } from "./MarkdownText.ts"
import "./markdown.css"

const cellsMax = 2_000
const pieceLength = 8_000

interface Plain {
  readonly type: "plain"
  readonly raw: string
  readonly text: string
}

/** Long text in pieces of whole lines. */
const pieces = (text: string): ComponentChildren => {
  if (text.length <= pieceLength) return text
  const all: Array<VNode> = []
  for (let start = 0, end = 0; start < text.length; start = end) {
    const line = text.indexOf("\n", start + pieceLength / 2) + 1
    end = Math.min(line > 0 && line < start + pieceLength ? line : start + pieceLength, text.length)
    const piece = text.slice(start, end)
    const height = `${Math.max(piece.split("\n").length - 1, 1)}lh`
    all.push(<span key={start} class="piece" style={{ containIntrinsicBlockSize: `auto ${height}` }}>{piece}</span>)
  }
  return all
}

const Written = ({ text }: { readonly text: string }) => <div class="written">{pieces(text)}</div>

const Code = ({ lang, text }: { readonly lang: string; readonly text: string }) => {
  const pre = useRef<HTMLPreElement>(null)
  const select = () => {
    if (pre.current !== null) getSelection()?.selectAllChildren(pre.current)
  }
  return (
    <div class="code-block">
      <CopyButton what="code" text={() => text} select={select} />
      <pre ref={pre} tabIndex={0} role="group" aria-label={`Code, ${lang === "" ? "text" : lang}`}>
        <code>{pieces(text)}</code>
      </pre>
    </div>
  )
}

const Link = ({ address, children }: { readonly address: string; readonly children: ComponentChildren }) => (
  <a href={address} rel="noreferrer noopener" target="_blank">{children}</a>
)

const link = (token: Tokens.Link): ComponentChild => {
  // references in an address that is not in brackets are literal, so its text is not decoded either
  const isBare = !token.raw.startsWith("[")
  const address = isBare ? token.href : decode(token.href)
  const safe = safeAddress(address)
  const words = isBare ? token.text : inlines(token.tokens, true)
  if (safe !== undefined) return <Link address={safe}>{words}</Link>
  return isBare ? words : <>{words} ({shownAddress(address)})</>
}

const image = (token: Tokens.Image, inLink: boolean): ComponentChild => {
  const address = decode(token.href)
  const safe = inLink ? undefined : safeAddress(address)
  const shown = shownAddress(address)
  return <>{decode(token.text)} ({safe === undefined ? shown : <Link address={safe}>{shown}</Link>})</>
}

const inline = (token: MarkedToken, inLink: boolean): ComponentChild => {
  switch (token.type) {
    case "strong":
      return <strong>{inlines(token.tokens, inLink)}</strong>
    case "em":
      return <em>{inlines(token.tokens, inLink)}</em>
    case "del":
      return <del>{inlines(token.tokens, inLink)}</del>
    case "codespan":
      return <code>{token.text}</code>
    case "br":
      return <br />
    case "link":
      return link(token)
    case "image":
      return image(token, inLink)
    case "checkbox":
      return <span role="img" aria-label={token.checked ? "done" : "to do"}>{token.checked ? "☑ " : "☐ "}</span>
    case "escape":
      return token.text
    case "text":
      return decode(token.text)
    default:
      return token.raw
  }
}

const inlines = (tokens: ReadonlyArray<Token> = [], inLink = false): ComponentChildren =>
  tokens.map((token) => inline(token as MarkedToken, inLink))

const table = (token: Tokens.Table): VNode => {
  if (token.header.length * (token.rows.length + 1) > cellsMax) return <Written text={token.raw} />
  const alignOf = (cell: Tokens.TableCell) => cell.align ?? undefined
  return (
    <div class="table" tabIndex={0} role="group" aria-label="Table">
      <table>
        <thead>
          <tr>{token.header.map((cell) => <th scope="col" class={alignOf(cell)}>{inlines(cell.tokens)}</th>)}</tr>
        </thead>
        <tbody>
          {token.rows.map((row) => <tr>{row.map((cell) => <td class={alignOf(cell)}>{inlines(cell.tokens)}</td>)}</tr>)}
        </tbody>
      </table>
    </div>
  )
}

const list = (token: Tokens.List): VNode => {
  const items = token.items.map((item) => <li class={item.task ? "task" : undefined}>{blocks(item.tokens)}</li>)
  return token.ordered ? <ol start={Number(token.start)}>{items}</ol> : <ul>{items}</ul>
}

const block = (token: MarkedToken | Plain): ComponentChild => {
  switch (token.type) {
    case "paragraph":
      return <p>{inlines(token.tokens)}</p>
    case "heading":
      // of one level: an answer may leave some out, and no outline of a page may
      return <h3 class={`depth-${token.depth}`}>{inlines(token.tokens)}</h3>
    case "code":
      return <Code lang={decode(/^\S*/.exec(token.lang ?? "")?.[0] ?? "")} text={token.text.replace(/\n$/, "")} />
    case "blockquote":
      return <blockquote>{blocks(token.tokens)}</blockquote>
    case "list":
      return list(token)
    case "table":
      return table(token)
    case "hr":
      return <hr />
    case "html":
    case "plain":
      return <Written text={token.raw.trimEnd()} />
    case "def":
    case "space":
      return null
    case "text":
      return token.tokens === undefined ? decode(token.text) : inlines(token.tokens)
    default:
      return inline(token, false)
  }
}

const blocks = (tokens: ReadonlyArray<Token>): ComponentChildren =>
  tokens.map((token) => block(token as MarkedToken | Plain))

/** What is drawn of a block: the same object for the same block, which Preact passes over. */
const drawn = new WeakMap<Block, ComponentChild>()

const draw = (of: Block): ComponentChild => {
  if (!drawn.has(of)) drawn.set(of, block(of.token as MarkedToken | Plain))
  return drawn.get(of)
}

export const Markdown = ({ streaming, text }: { readonly text: string; readonly streaming: boolean }) => {
  const state = useRef(empty)
  state.current = update(state.current, text, streaming)
  return <div class="markdown">{state.current.blocks.map(draw)}</div>
}

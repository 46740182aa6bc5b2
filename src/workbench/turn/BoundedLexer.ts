/**
 * marked's lexer, made safe to run on text that a model, or whoever wrote its input, chose to be slow. Its own cost is
 * quadratic in emphasis marks, in the length of a line and in nesting, and deep nesting overflows the stack.
 *
 * Bounds, from hostile inputs of `windowMax` characters (of 28,000 made at random and 110 by hand the worst takes 35 ms of
 * CPU, a list of 4,000 items; most are below 10):
 * - blocks nest `blockDepthMax` deep, emphasis and link labels `inlineDepthMax`; what is deeper is text,
 * - a run of inline text longer than `pieceMax` is read in pieces, cut after a sentence where there is one,
 * - emphasis marks have an allowance per call; the runs after it is spent are text,
 * - lists and quotes in quotes, read again for each lazy line, have one too: `lex` throws after it (without it marked 17
 *   takes 220 ms, and the stack overflows).
 *
 * `[^1]: words` is text: a footnote is not a link definition.
 */
import { Lexer, type Links, type Token, Tokenizer, type Tokens, type TokensList } from "marked"

/** The longest text that one call should be given. */
export const windowMax = 16_000

const blockDepthMax = 10
const inlineDepthMax = 8
const pieceMax = 1_500
/** Of the square of the emphasis marks in a run: 0.3 µs each at worst. */
const marksAllowance = 100_000
/** Characters of all blocks, those within blocks again, for each character of the text. */
const readsMax = 10

/** A block, or a part of one, that is shown as it was written. */
export const plain = (text: string): Token => ({ type: "plain", raw: text, text })

class BoundedTokenizer extends Tokenizer {
  #inQuote = false
  readonly #spend: (characters: number) => void

  constructor(spend: (characters: number) => void) {
    super()
    this.#spend = spend
  }

  override blockquote(src: string): Tokens.Blockquote | undefined {
    const inQuote = this.#inQuote
    if (inQuote) this.#spend(src.length / 10)
    this.#inQuote = true
    try {
      return super.blockquote(src)
    } finally {
      this.#inQuote = inQuote
    }
  }

  // a list in a quote is read again for each lazy line that follows it
  override list(src: string): Tokens.List | undefined {
    if (this.#inQuote) this.#spend(src.length / 10)
    return super.list(src)
  }

  // an unclosed <a> or <script> would change how what follows it is read, however far
  override tag(src: string): Tokens.Tag | undefined {
    const { inLink, inRawBlock } = this.lexer.state
    const token = super.tag(src)
    Object.assign(this.lexer.state, { inLink, inRawBlock })
    return token
  }

  override def(src: string): Tokens.Def | undefined {
    return /^ {0,3}\[\^/.test(src) ? undefined : super.def(src)
  }
}

const pieces = (text: string): ReadonlyArray<string> => {
  const all: Array<string> = []
  let rest = text
  while (rest.length > pieceMax) {
    const head = rest.slice(0, pieceMax)
    const sentence = Math.max(head.lastIndexOf(". "), head.lastIndexOf("\n"), head.lastIndexOf("。"))
    const end = sentence > pieceMax / 4 ? sentence : head.lastIndexOf(" ")
    const at = end > pieceMax / 4 ? end + 1 : pieceMax
    all.push(rest.slice(0, at))
    rest = rest.slice(at)
  }
  return [...all, rest]
}

class BoundedLexer extends Lexer {
  #blockDepth = 0
  #inlineDepth = 0
  #marks = marksAllowance
  #reads: number

  constructor(links: Links, length: number) {
    super({ gfm: true, tokenizer: new BoundedTokenizer((characters) => this.#spend(characters)) })
    this.tokens.links = links
    this.#reads = readsMax * (length + 100)
  }

  #spend(characters: number): void {
    this.#reads -= characters
    if (this.#reads < 0) throw new RangeError("This markdown takes too long to read.")
  }

  override blockTokens(src: string, tokens?: Array<Token>, clipped?: boolean): Array<Token>
  override blockTokens(src: string, tokens: TokensList, clipped?: boolean): TokensList
  override blockTokens(src: string, tokens: Array<Token> = [], clipped?: boolean): Array<Token> {
    this.#spend(src.length)
    if (this.#blockDepth >= blockDepthMax) {
      tokens.push(plain(src))
      return tokens
    }
    this.#blockDepth++
    try {
      return super.blockTokens(src, tokens, clipped)
    } finally {
      this.#blockDepth--
    }
  }

  override inlineTokens(src: string, tokens: Array<Token> = []): Array<Token> {
    if (this.#inlineDepth === 0 && src.length > pieceMax) {
      for (const piece of pieces(src)) this.inlineTokens(piece, tokens)
      return tokens
    }
    const marks = src.match(/[*_~]/g)?.length ?? 0
    this.#marks -= marks * marks
    if (this.#inlineDepth >= inlineDepthMax || this.#marks < 0) {
      tokens.push({ type: "text", raw: src, text: src })
      return tokens
    }
    this.#inlineDepth++
    try {
      return super.inlineTokens(src, tokens)
    } finally {
      this.#inlineDepth--
    }
  }
}

/** The blocks of `text`. `links` is read for link definitions, and those of `text` are put into it. */
export const lex = (text: string, links: Links): ReadonlyArray<Token> => new BoundedLexer(links, text.length).lex(text)

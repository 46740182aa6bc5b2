/**
 * How many tokens a text costs, as an estimate that would rather be too high: no tokenizer library, no model names.
 *
 * Invariants: pure; linear in the text; monotone (more text never costs less), so that a budget computed here can be
 * filled piece by piece. Limit: an estimate. English and code come out 15 to 40 % too high, which wastes some window;
 * scripts with more than one token a character in old vocabularies can come out too low, which the reserve absorbs.
 */
import type { Part, PromptMessage } from "../domain/Message.ts"
import { charsPerToken } from "./ContextBuilder.ts"

/**
 * UTF-8 bytes a token. OpenAI's and Anthropic's documents give about 4 characters of English a token and 3 to 3.5 for
 * code and JSON; a Chinese, Japanese or Korean character has 3 bytes and costs about one token.
 */
const bytesPerToken = charsPerToken

/** Tokens around each message: role and delimiters (3 to 4 in OpenAI's counting guide). */
export const messageOverhead = 4

/** At least this many for a text of so many characters: none has less than a byte. */
export const countChars = (chars: number): number => Math.ceil(chars / bytesPerToken)

export const countText = (text: string): number => Math.ceil(Buffer.byteLength(text, "utf8") / bytesPerToken)

const countPart = (part: Part): number => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return countText(part.text)
    case "tool-call":
    case "tool-result":
      return countText(JSON.stringify(part))
  }
}

export const countMessage = (message: PromptMessage): number => {
  let tokens = messageOverhead
  for (const part of message.parts) tokens += countPart(part)
  return tokens
}

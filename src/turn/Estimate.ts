/**
 * How many tokens a text has, where nobody who counted says so: an estimate, flagged as one wherever it is shown. The
 * context builder's own count (`context/Tokens.ts`) is another thing: it must never be too low, this should be right.
 *
 * Bounded: of a long text a part is counted and the rest taken to be like it, so that the end of a turn costs a few
 * milliseconds at most, whatever was said.
 */
import { estimateTokenCount } from "tokenx"
import type { PromptMessage } from "../domain/Message.ts"

/** Characters of one text that are looked at. */
export const sampleMax = 16_384
/** Characters of a whole request that are looked at. */
const requestSampleMax = 65_536
/** Role and delimiters around a message (3 to 4 in OpenAI's counting guide). */
const messageTokens = 4

/** The beginning of a text, and how long all of it is. */
export interface Sample {
  readonly text: string
  readonly chars: number
}

/** Scripts whose words the library takes for longer tokens than they are; characters a token as o200k_base cuts them. */
const languageConfigs = [
  { pattern: /[\u0400-\u04ff]/, averageCharsPerToken: 4 },
  { pattern: /[\u0600-\u06ff]/, averageCharsPerToken: 3.8 },
  { pattern: /[\u0900-\u097f]/, averageCharsPerToken: 3.4 }
]

/** Blanks, which the library counts as nothing, are at least this much. */
const charsPerTokenMax = 100

export const ofSample = ({ chars, text }: Sample): number => {
  if (text.length === 0) return 0
  const tokens = Math.max(estimateTokenCount(text, { languageConfigs }), text.length / charsPerTokenMax)
  return Math.ceil((tokens * chars) / text.length)
}

export const ofText = (text: string): number => ofSample({ text: text.slice(0, sampleMax), chars: text.length })

/** Collects the beginning of what comes in pieces. */
export const makeSample = () => {
  let text = ""
  let chars = 0
  return {
    add: (piece: string): void => {
      chars += piece.length
      if (text.length < sampleMax) text += piece.slice(0, sampleMax - text.length)
    },
    sample: (): Sample => ({ text, chars })
  }
}

export interface Asked {
  readonly system?: string | undefined
  readonly messages: ReadonlyArray<PromptMessage>
}

/** What a model was sent. */
export const ofRequest = ({ messages, system = "" }: Asked): number => {
  const texts = [system]
  for (const { parts } of messages) {
    for (const part of parts) {
      texts.push(part.type === "text" || part.type === "reasoning" ? part.text : JSON.stringify(part))
    }
  }
  let tokens = 0
  let counted = 0
  let chars = 0
  // the newest first: they are like what comes next
  for (const text of texts.reverse()) {
    chars += text.length
    if (counted >= requestSampleMax) continue
    tokens += ofText(text)
    counted += text.length
  }
  return Math.ceil(counted === 0 ? 0 : (tokens * chars) / counted) + messages.length * messageTokens
}

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

export const ofSample = ({ chars, text }: Sample): number =>
  text.length === 0 ? 0 : Math.ceil((estimateTokenCount(text) * chars) / text.length)

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

/** Family `openai-compatible`: chat completions of OpenAI and of everyone who speaks them; the base URL is data. */
import { bearer, type WireFamily } from "../Family.ts"
import * as Sse from "../wire/Sse.ts"
import * as Decoder from "./OpenAiChatDecoder.ts"
import { encode } from "./OpenAiChatEncoder.ts"

export const family: WireFamily = {
  family: "openai-compatible",
  encode,
  authorize: bearer,
  decoder: (options) => Sse.make(Decoder.make(options))
}

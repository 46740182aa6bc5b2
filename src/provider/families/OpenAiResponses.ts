/** Family `openai-responses`: the Responses API of OpenAI and of the servers that speak it; the base URL is data. */
import { bearer, type WireFamily } from "../Family.ts"
import * as Sse from "../wire/Sse.ts"
import * as Decoder from "./OpenAiResponsesDecoder.ts"
import { encode } from "./OpenAiResponsesEncoder.ts"

export const family: WireFamily = {
  family: "openai-responses",
  encode,
  authorize: bearer,
  decoder: (options) => Sse.make(Decoder.make(options))
}

/** Family `ollama`: Ollama's own `/api/chat`, one JSON object a line; here or in its cloud, which wants a key. */
import { bearer, type WireFamily } from "../Family.ts"
import * as JsonLines from "../wire/JsonLines.ts"
import * as Decoder from "./OllamaDecoder.ts"
import { encode } from "./OllamaEncoder.ts"

export const family: WireFamily = {
  family: "ollama",
  encode,
  authorize: bearer,
  decoder: (options) => JsonLines.make(Decoder.make(options))
}

/** Amazon Bedrock's ConverseStream: JSON in, a binary event stream out, signed or with a bearer token. */
import type { WireFamily } from "../Family.ts"
import * as EventStream from "../wire/EventStream.ts"
import * as BedrockDecoder from "./BedrockDecoder.ts"
import { encode } from "./BedrockEncoder.ts"
import { authorize } from "./BedrockSigner.ts"

export const family: WireFamily = {
  family: "bedrock",
  encode,
  authorize,
  decoder: (options) => EventStream.make(BedrockDecoder.make(options))
}

/** Anthropic's Messages API (`POST /v1/messages`, server-sent events), of Anthropic itself and of servers that speak it. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { WireFamily } from "../Family.ts"
import { make } from "./AnthropicDecoder.ts"
import { encode } from "./AnthropicEncoder.ts"

export const family: WireFamily = {
  family: "anthropic",
  encode,
  authorize: (_call, keys, { apiKeyEnv }) => {
    const key = apiKeyEnv === undefined ? undefined : keys.get(apiKeyEnv)
    return Effect.succeed(key === undefined ? {} : { "x-api-key": Redacted.value(key) })
  },
  decoder: make
}

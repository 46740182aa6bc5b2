/** Every family's decoder, fed one event a read, as a slow vendor sends, and 32 a read, as a fast one does. */
import { wire as anthropic } from "../../test/provider/families/AnthropicWire.ts"
import { wire as bedrock } from "../../test/provider/families/BedrockWire.ts"
import { concat, type FamilyWire } from "../../test/provider/families/decoding.ts"
import { wire as ollama } from "../../test/provider/families/OllamaWire.ts"
import { wire as openAiChat } from "../../test/provider/families/OpenAiChatWire.ts"
import { wire as openAiResponses } from "../../test/provider/families/OpenAiResponsesWire.ts"
import { ownCpuMicros } from "../kit/ProcessUse.ts"
import type { Micro } from "./Micro.ts"

const deltas = 20_000
const wires: ReadonlyArray<FamilyWire> = [openAiChat, openAiResponses, anthropic, bedrock, ollama]

/** Events a read, and microseconds a delta that a family of server-sent events may cost. */
const reads = [[1, 10], [32, 4]] as const

const texts = Array.from({ length: deltas }, (_, index) => `word ${index} `)

const together = (frames: ReadonlyArray<Uint8Array>, size: number): ReadonlyArray<Uint8Array> =>
  Array.from(
    { length: Math.ceil(frames.length / size) },
    (_, index) => concat(frames.slice(index * size, (index + 1) * size))
  )

const decode = ({ family }: FamilyWire, parts: ReadonlyArray<Uint8Array>): void => {
  let count = 0
  const decoder = family.decoder({
    emit: (event) => {
      if (event._tag === "Delta") count++
    },
    callId: () => "call"
  })
  for (const part of parts) {
    const fault = decoder.push(part)
    if (fault !== undefined) throw new Error(`${family.family}: ${fault.detail ?? fault.kind}`)
  }
  decoder.end()
  if (count !== deltas) throw new Error(`${family.family} gave ${count} of ${deltas} deltas`)
}

export const decoding: ReadonlyArray<Micro> = wires.flatMap((wire) =>
  reads.map(([size, atMost]): Micro => ({
    part: "decoder",
    name: `${wire.family.family}, ${size} ${size === 1 ? "event" : "events"} a read`,
    ...(wire.contentType.startsWith("text/event-stream") ? { atMost } : {}),
    once: async () => {
      const parts = together(wire.answer(texts), size)
      return await ownCpuMicros(() => decode(wire, parts)) / deltas
    }
  }))
)

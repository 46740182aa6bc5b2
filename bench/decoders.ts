// What a decoder costs a delta: npm run bench:decoders [-- --deltas N]
// Processor time of this process, read by read: one event a read, as a slow vendor sends, and 32 events a read, as a fast
// one does. The median of rounds, after one that warms up. Fails where a family of server-sent events is over its bound.
import { parseArgs } from "node:util"
import { wire as anthropic } from "../test/provider/families/AnthropicWire.ts"
import { wire as bedrock } from "../test/provider/families/BedrockWire.ts"
import { concat, type FamilyWire } from "../test/provider/families/decoding.ts"
import { wire as ollama } from "../test/provider/families/OllamaWire.ts"
import { wire as openAiChat } from "../test/provider/families/OpenAiChatWire.ts"
import { wire as openAiResponses } from "../test/provider/families/OpenAiResponsesWire.ts"

const { values } = parseArgs({
  options: { deltas: { type: "string", default: "20000" }, rounds: { type: "string", default: "7" } }
})
const deltas = Number(values.deltas)
const rounds = Number(values.rounds)

/** Microseconds a delta. */
const bounds = [[1, 10], [32, 4]] as const
const wires: ReadonlyArray<FamilyWire> = [openAiChat, openAiResponses, anthropic, bedrock, ollama]

const readsOf = (frames: ReadonlyArray<Uint8Array>, size: number): ReadonlyArray<Uint8Array> =>
  Array.from(
    { length: Math.ceil(frames.length / size) },
    (_, index) => concat(frames.slice(index * size, (index + 1) * size))
  )

const median = (numbers: ReadonlyArray<number>): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN

/** Microseconds of processor time a delta; throws where the decoder did not give every delta. */
const once = (wire: FamilyWire, reads: ReadonlyArray<Uint8Array>): number => {
  let count = 0
  const before = process.cpuUsage()
  const decoder = wire.family.decoder({
    emit: (event) => {
      if (event._tag === "Delta") count++
    },
    callId: () => "call"
  })
  for (const read of reads) {
    const fault = decoder.push(read)
    if (fault !== undefined) throw new Error(`${wire.family.family}: ${fault.detail ?? fault.kind}`)
  }
  decoder.end()
  const { system, user } = process.cpuUsage(before)
  if (count !== deltas) throw new Error(`${wire.family.family} gave ${count} of ${deltas} deltas`)
  return (user + system) / deltas
}

const texts = Array.from({ length: deltas }, (_, index) => `word ${index} `)
for (const wire of wires) {
  const frames = wire.answer(texts)
  const figures = bounds.map(([size, bound]) => {
    const reads = readsOf(frames, size)
    once(wire, reads)
    const cost = median(Array.from({ length: rounds }, () => once(wire, reads)))
    const isBound = wire.contentType.startsWith("text/event-stream")
    if (isBound && cost > bound) process.exitCode = 1
    return `${cost.toFixed(2)} µs at ${size} ${size === 1 ? "event" : "events"} a read${
      isBound ? ` (at most ${bound})` : ""
    }`
  })
  console.log(`${wire.family.family.padEnd(18)} ${figures.join(", ")}`)
}

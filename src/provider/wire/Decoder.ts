/**
 * The contract of reading a provider's bytes. A family has one decoder of whole frames (`FrameDecoder`: an SSE event, a
 * line of JSON, a binary message); a framing (`Sse`, `JsonLines`, `EventStream`) turns it into a decoder of bytes that
 * may be cut anywhere.
 *
 * Synchronous and without effects: a delta costs one JSON parse and no fiber. A decoder holds at most one frame
 * (`frameBytesMax`) and the arguments of open tool calls, which the engine's output cap bounds as they are emitted.
 */
import type { ProviderEvent } from "../Provider.ts"
import type { Fault } from "./Fault.ts"

/**
 * Bytes of one frame (characters where the wire is text): four times the default output cap, since the last event of a
 * Responses stream repeats the whole answer. No delta of any family comes near; every open call may hold as much.
 */
export const frameBytesMax = 4 * 1024 * 1024

/**
 * - `open`: the answer is not over;
 * - `finished`: the wire said how it ended; usage or a late error may still come;
 * - `closed`: nothing more belongs to it, and nothing more is read.
 */
export type Progress = "open" | "finished" | "closed"

interface Ending {
  /** The body ended here: the events that were still owed, or `incomplete_stream` where no end was said. */
  readonly end: () => Fault | undefined
  readonly progress: () => Progress
}

export interface FrameDecoder<Frame> extends Ending {
  /** Emits what the frame says. A fault ends the stream; what was emitted before it stands. */
  readonly frame: (frame: Frame) => Fault | undefined
}

export interface Decoder extends Ending {
  readonly push: (bytes: Uint8Array) => Fault | undefined
}

export interface DecoderOptions {
  readonly emit: (event: ProviderEvent) => void
  /** A new id for a tool call to which the wire gave none. */
  readonly callId: () => string
  /** Told the model that the wire says answers, as often as it says so. */
  readonly answeredBy?: ((model: string) => void) | undefined
}

export type MakeDecoder = (options: DecoderOptions) => Decoder

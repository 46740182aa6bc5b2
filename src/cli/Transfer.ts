/** `export` and `import`: a session to a file and back, by way of its transcript. */
import type { PlatformError } from "@effect/platform/Error"
import { FileSystem } from "@effect/platform/FileSystem"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import type { SchemaFault } from "../config/SchemaFault.ts"
import type { SessionId } from "../domain/Ids.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import { Journal } from "../journal/Journal.ts"
import * as Transcript from "../journal/Transcript.ts"
import * as TranscriptReader from "../journal/TranscriptReader.ts"
import { Output } from "./Output.ts"
import { TurnClient } from "./TurnClient.ts"

/** A transcript is text of people and models; 64 MiB is what a server takes by default. */
const fileBytesMax = 67_108_864

const refused = (path: string) => (error: PlatformError) => {
  const reason = error._tag === "SystemError" ? error.reason : error.message
  return new InvalidRequest({ path, reason: `cannot be used (${reason}). Name another file.` })
}

/** To stdout, or to a new private file. */
export const exportSession = Effect.fn("Cli.export")(function*(id: SessionId, file: string | undefined) {
  const out = yield* Output
  const journal = yield* Journal
  const session = yield* journal.session(id)
  const pieces = Stream.concat(yield* Transcript.encode(journal, session), Stream.make("\n"))
  if (file === undefined) return yield* Stream.runForEach(pieces, out.write)
  const fs = yield* FileSystem
  yield* pieces.pipe(
    Stream.encodeText,
    Stream.run(fs.sink(file, { flag: "wx", mode: 0o600 })),
    Effect.catchTags({
      SystemError: (error) => refused(file)(error),
      BadArgument: (error) => refused(file)(error)
    })
  )
  return yield* out.note(`Session ${id} is in ${file}.`)
})

const faultText = (fault: SchemaFault): string => {
  const reason = fault.kind === "missing"
    ? "is missing"
    : fault.kind === "unexpected"
    ? "is not a known field"
    : fault.reason
  return fault.path === "" ? reason : `${fault.path}: ${reason}`
}

/** As deep as a server takes by default; a transcript has five levels. */
const depthMax = 32

const wordsOf = (fault: TranscriptReader.Fault): string => {
  switch (fault.kind) {
    case "depth":
      return `JSON is nested deeper than ${depthMax}. Name a file that \`turnstream export\` wrote.`
    case "rest":
      return `has more than ${TranscriptReader.restBytesMax} bytes beside its messages. Name a file that \`turnstream export\` wrote.`
    case "syntax":
      return "is not valid JSON. Name a file that `turnstream export` wrote."
    case "unicode":
      return `${fault.path}: is not well-formed Unicode`
    case "schema":
      return `is not a transcript: ${faultText(fault.fault)}`
  }
}

/** Checked to its end before anything is done with it; unknown fields are refused, so that nothing is lost in silence. */
export const readTranscript = Effect.fn("Cli.readTranscript")(function*(file: string) {
  const fs = yield* FileSystem
  const { size } = yield* Effect.mapError(fs.stat(file), refused(file))
  if (size > fileBytesMax) {
    return yield* new InvalidRequest({ path: file, reason: `is larger than ${fileBytesMax} bytes. Split it.` })
  }
  const reader = TranscriptReader.make(depthMax)
  yield* fs.stream(file).pipe(
    Stream.runForEachChunk((chunk) => Effect.sync(() => Chunk.forEach(chunk, reader.write))),
    Effect.mapError(refused(file))
  )
  return yield* Either.mapLeft(reader.end(), (fault) => new InvalidRequest({ path: file, reason: wordsOf(fault) }))
})

export const importSession = Effect.fn("Cli.import")(function*(transcript: Transcript.Pieced) {
  const out = yield* Output
  const client = yield* TurnClient
  const session = yield* client.importSession(transcript)
  yield* out.line(session.id)
})

/** `export` and `import`: a session to a file and back, by way of its transcript. */
import type { PlatformError } from "@effect/platform/Error"
import { FileSystem } from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { pathText, type SchemaFault, schemaFault } from "../config/SchemaFault.ts"
import type { SessionId } from "../domain/Ids.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import { malformedPath, mayBeMalformed } from "../domain/Unicode.ts"
import { Journal } from "../journal/Journal.ts"
import * as Transcript from "../journal/Transcript.ts"
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

const decode = Schema.decodeUnknown(Transcript.Transcript, { onExcessProperty: "error", exact: true })

const faultText = (fault: SchemaFault): string => {
  const reason = fault.kind === "missing"
    ? "is missing"
    : fault.kind === "unexpected"
    ? "is not a known field"
    : fault.reason
  return fault.path === "" ? reason : `${fault.path}: ${reason}`
}

/** The whole file at once; unknown fields are refused, so that nothing is lost in silence. */
const parse = (source: string, text: string): Effect.Effect<Transcript.Transcript, InvalidRequest> => {
  const invalid = (reason: string) => new InvalidRequest({ path: source, reason })
  return Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: () => invalid("is not valid JSON. Name a file that `turnstream export` wrote.")
  }).pipe(
    Effect.filterOrFail(
      (json) => !mayBeMalformed(text) || malformedPath(json) === undefined,
      (json) => invalid(`${pathText(malformedPath(json) ?? [])}: is not well-formed Unicode`)
    ),
    Effect.flatMap((json) =>
      Effect.mapError(decode(json), (error) => invalid(`is not a transcript: ${faultText(schemaFault(error))}`))
    )
  )
}

export const readTranscript = Effect.fn("Cli.readTranscript")(function*(file: string) {
  const fs = yield* FileSystem
  const { size } = yield* Effect.mapError(fs.stat(file), refused(file))
  if (size > fileBytesMax) {
    return yield* new InvalidRequest({ path: file, reason: `is larger than ${fileBytesMax} bytes. Split it.` })
  }
  const text = yield* Effect.mapError(fs.readFileString(file), refused(file))
  return yield* parse(file, text)
})

export const importSession = Effect.fn("Cli.import")(function*(transcript: Transcript.Transcript) {
  const out = yield* Output
  const client = yield* TurnClient
  const session = yield* client.importSession(transcript)
  yield* out.line(session.id)
})

/**
 * Reads a transcript from its bytes while they arrive: a piece of the messages is parsed and checked as soon as it is
 * there, so that no step takes longer for a longer document. Nothing of it may be used before `end` says that all is well.
 *
 * It answers as one parse and one check of the whole would, also where several things are wrong: nesting, then syntax,
 * then Unicode, then the schema from the outside in. What was checked is kept as bytes, for a list of small messages is
 * several times as large once it is parsed, and parsed again when it is taken.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { pathText, type SchemaFault, schemaFault } from "../config/SchemaFault.ts"
import { malformedPath, mayBeMalformed } from "../domain/Unicode.ts"
import * as JsonArray from "./JsonArray.ts"
import * as Transcript from "./Transcript.ts"

/** Bytes of messages that are parsed at once: 2 ms where they are as short as they can be. */
const pieceBytes = 65_536

/** Bytes of a transcript beside its messages. A title, the longest that it may hold there, has 3 KiB at most. */
export const restBytesMax = 65_536

export type Fault =
  | { readonly kind: "depth" | "rest" | "syntax" }
  | { readonly kind: "unicode"; readonly path: string }
  | { readonly kind: "schema"; readonly fault: SchemaFault }

export interface TranscriptReader {
  readonly write: (bytes: Uint8Array) => void
  /** Once, after the last byte. The messages may be walked through more than once. */
  readonly end: () => Either.Either<Transcript.Pieced, Fault>
}

const options = { onExcessProperty: "error", exact: true } as const
const decodeTranscript = Schema.decodeUnknownEither(Transcript.Transcript, options)
const decodeMessage = Schema.decodeUnknownEither(Transcript.Message, options)
const isMessages = Schema.is(Schema.Array(Transcript.Message), options)

type Path = ReadonlyArray<string | number>

/** Text of valid UTF-8. Throws. */
const textOf = (bytes: Uint8Array): string => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)

const valuesIn = function*(pieces: ReadonlyArray<Buffer>): Generator<Transcript.Message> {
  for (const piece of pieces) {
    // checked when it came
    const values: ReadonlyArray<Transcript.Message> = JSON.parse(piece.toString())
    yield* values
  }
}

/** The first string of the document that is not well-formed, in the order of its members. */
const malformedIn = (value: unknown, ofMessages: Path | undefined): Path | undefined => {
  if (ofMessages === undefined || typeof value !== "object" || value === null) return malformedPath(value)
  for (const [key, item] of Object.entries(value)) {
    const found = key === "messages" && Array.isArray(item) ? ofMessages : malformedPath({ [key]: item })
    if (found !== undefined) return found
  }
  return undefined
}

export const make = (depthMax: number): TranscriptReader => {
  let pieces: Array<Buffer> = []
  let count = 0
  let empty = 0
  let syntax = false
  let malformed: Path | undefined
  let misfit: SchemaFault | undefined

  const check = (values: ReadonlyArray<unknown>, text: string): void => {
    if (malformed === undefined && mayBeMalformed(text)) {
      const [index, ...path] = malformedPath(values) ?? []
      if (typeof index === "number") malformed = ["messages", count + index, ...path]
    }
    if (misfit !== undefined || isMessages(values)) return
    for (const [index, value] of values.entries()) {
      const decoded = decodeMessage(value)
      if (Either.isRight(decoded)) continue
      misfit = schemaFault(decoded.left, ["messages", count + index])
      return
    }
  }

  const take = (piece: Buffer): void => {
    if (syntax) return
    try {
      const text = textOf(piece)
      const values: ReadonlyArray<unknown> = JSON.parse(text)
      check(values, text)
      if (values.length === 0) empty++
      count += values.length
      pieces.push(piece)
    } catch {
      syntax = true
    }
    if (syntax || malformed !== undefined || misfit !== undefined || count > Transcript.messagesMax) pieces = []
  }

  const cut = JsonArray.make({
    member: "messages",
    depthMax,
    restBytesMax,
    pieceBytes,
    begin: () => {
      syntax ||= empty > 0 && count > 0
      pieces = []
      count = 0
      empty = 0
      malformed = undefined
      misfit = undefined
    },
    take
  })

  const schema = (fault: SchemaFault) => Either.left({ kind: "schema", fault } as const)

  const end: TranscriptReader["end"] = () => {
    const beyond = cut.beyond()
    if (beyond !== undefined) return Either.left({ kind: beyond })
    let rest: unknown
    try {
      // a byte order mark is allowed at the beginning and nowhere else
      rest = JSON.parse(textOf(cut.rest()).replace(/^\uFEFF/, ""))
    } catch {
      return Either.left({ kind: "syntax" })
    }
    // a comma with nothing after it
    if (syntax || empty > 0 && count > 0) return Either.left({ kind: "syntax" })
    const half = malformedIn(rest, malformed)
    if (half !== undefined) return Either.left({ kind: "unicode", path: pathText(half) })
    const outer = decodeTranscript(rest)
    if (Either.isLeft(outer)) return schema(schemaFault(outer.left))
    if (misfit !== undefined) return schema(misfit)
    if (count > Transcript.messagesMax) {
      const reason = `must be an array of at most ${Transcript.messagesMax} item(s)`
      return schema({ kind: "value", path: "messages", reason })
    }
    const checked = pieces
    const { session, v } = outer.right
    return Either.right({ v, session, messages: { [Symbol.iterator]: () => valuesIn(checked) } })
  }

  return { write: cut.write, end }
}

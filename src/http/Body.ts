/**
 * Request bodies, read strictly: JSON in UTF-8 and nothing else, cut off at the limit while it arrives, not deeper than
 * the limit, without unknown fields. What is wrong is told by its path, never by its value: a value may be large or
 * secret.
 *
 * What is left of a refused body is discarded by the server until its request timeout, so that the client can read the
 * answer; a connection whose body is still not there by then is closed without another answer.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { IncomingMessage } from "node:http"
import { pathText, type SchemaFault, schemaFault } from "../config/SchemaFault.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import { malformedPath, mayBeMalformed } from "../domain/Unicode.ts"
import * as EventLoop from "../journal/EventLoop.ts"
import type { Pieced } from "../journal/Transcript.ts"
import * as TranscriptReader from "../journal/TranscriptReader.ts"
import { PayloadTooLarge, UnsupportedMediaType } from "./HttpError.ts"

export interface BodyLimits {
  readonly bytes: number
  readonly setting: PayloadTooLarge["setting"]
  readonly depth: number
}

export type BodyError = InvalidRequest | PayloadTooLarge | UnsupportedMediaType

const isPresent = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0"

/** Why the headers rule the body out, or undefined. */
const mediaFault = ({ headers }: IncomingMessage): UnsupportedMediaType | undefined => {
  const encoding = headers["content-encoding"]
  if (encoding !== undefined && encoding.trim().toLowerCase() !== "identity") {
    return new UnsupportedMediaType({ reason: "content-encoding" })
  }
  const [type = "", ...parameters] = (headers["content-type"] ?? "").toLowerCase().split(";")
  if (type.trim() !== "application/json") return new UnsupportedMediaType({ reason: "content-type" })
  for (const parameter of parameters) {
    const [name = "", value = ""] = parameter.split("=")
    if (name.trim() === "charset" && value.trim().replace(/^"|"$/g, "") !== "utf-8") {
      return new UnsupportedMediaType({ reason: "charset" })
    }
  }
  return undefined
}

/**
 * Gives each chunk to `take` and answers with `end`. `paced`: one a turn of the event loop, for whoever does something
 * with it at once.
 */
const readChunks = <A>(
  source: IncomingMessage,
  limits: BodyLimits,
  take: (chunk: Buffer) => void,
  end: () => Either.Either<A, BodyError>,
  { paced }: { readonly paced: boolean }
): Effect.Effect<A, BodyError> =>
  Effect.async<A, BodyError>((resume) => {
    const tooLarge = () => new PayloadTooLarge({ limit: limits.bytes, setting: limits.setting })
    let size = 0
    let cancelTick = () => {}
    const detach = () => {
      cancelTick()
      source.off("data", onData).off("end", onEnd).off("error", onError).off("close", onError)
    }
    const finish = (result: Effect.Effect<A, BodyError>) => {
      detach()
      source.resume()
      resume(result)
    }
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size > limits.bytes) return finish(Effect.fail(tooLarge()))
      take(chunk)
      if (!paced) return
      source.pause()
      cancelTick = EventLoop.onTick(() => source.resume())
    }
    const onEnd = () => finish(Effect.suspend(end))
    const onError = () =>
      finish(Effect.fail(new InvalidRequest({ path: "", reason: "the body ended early; send it again" })))
    if (Number(source.headers["content-length"] ?? 0) > limits.bytes) {
      source.resume()
      return resume(Effect.fail(tooLarge()))
    }
    source.on("data", onData).on("end", onEnd).on("error", onError).on("close", onError)
    return Effect.sync(() => {
      detach()
      source.resume()
    })
  })

const quote = 0x22
const backslash = 0x5c

/** Deepest nesting of arrays and objects, at most `max + 1`; told from the bytes, before anything is built from them. */
export const depthOf = (bytes: Uint8Array, max: number): number => {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (inString) {
      if (byte === backslash) i++
      else if (byte === quote) inString = false
    } else if (byte === quote) inString = true
    else if (byte === 0x7b || byte === 0x5b) {
      depth++
      if (depth > deepest) deepest = depth
      if (depth > max) return deepest
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
  return deepest
}

const tooDeep = ({ depth }: BodyLimits) =>
  new InvalidRequest({ path: "", reason: `JSON is nested deeper than ${depth}; send it flatter` })

const notJson = () => new InvalidRequest({ path: "", reason: "the body is not valid JSON; check its syntax and UTF-8" })

const notWellFormed = (path: string) =>
  new InvalidRequest({ path, reason: "is not well-formed Unicode; send both halves of each surrogate pair" })

const utf8 = new TextDecoder("utf-8", { fatal: true })

const parse = (bytes: Buffer, limits: BodyLimits): Either.Either<unknown, InvalidRequest> => {
  if (depthOf(bytes, limits.depth) > limits.depth) return Either.left(tooDeep(limits))
  try {
    const text = utf8.decode(bytes)
    const value: unknown = JSON.parse(text)
    const path = mayBeMalformed(text) ? malformedPath(value) : undefined
    return path === undefined ? Either.right(value) : Either.left(notWellFormed(pathText(path)))
  } catch {
    return Either.left(notJson())
  }
}

/** The words for data that does not fit. */
export const fromFault = (fault: SchemaFault): InvalidRequest => {
  const reason = fault.kind === "missing"
    ? "is missing"
    : fault.kind === "unexpected"
    ? "is not a known field; remove it"
    : fault.reason
  return new InvalidRequest({ path: fault.path, reason })
}

export const decoder = <A, I>(schema: Schema.Schema<A, I>) => {
  // exact: a field that may hold anything must still be there
  const decode = Schema.decodeUnknownEither(schema, { onExcessProperty: "error", exact: true })
  return (input: unknown): Either.Either<A, InvalidRequest> =>
    Either.mapLeft(decode(input), (error) => fromFault(schemaFault(error)))
}

/**
 * A reader for one schema. `optional`: no body counts as `{}`, and then its type does not matter.
 */
export const reader = <A, I>(
  schema: Schema.Schema<A, I>,
  limits: BodyLimits,
  options: { readonly optional: boolean } = { optional: false }
) => {
  const decode = decoder(schema)
  const decodeBytes = (bytes: Buffer) =>
    bytes.length === 0 && options.optional ? decode({}) : Either.flatMap(parse(bytes, limits), decode)
  return (request: IncomingMessage): Effect.Effect<A, BodyError> => {
    if (!isPresent(request) && options.optional) return decode({})
    const fault = mediaFault(request)
    if (fault !== undefined) return Effect.fail(fault)
    const chunks: Array<Buffer> = []
    const end = () => decodeBytes(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks))
    return readChunks(request, limits, (chunk) => chunks.push(chunk), end, { paced: false })
  }
}

const transcriptFault = (fault: TranscriptReader.Fault, limits: BodyLimits): InvalidRequest => {
  switch (fault.kind) {
    case "depth":
      return tooDeep(limits)
    case "rest":
      return new InvalidRequest({
        path: "",
        reason: `has more than ${TranscriptReader.restBytesMax} bytes beside its messages; send what an export gives`
      })
    case "syntax":
      return notJson()
    case "unicode":
      return notWellFormed(fault.path)
    case "schema":
      return fromFault(fault.fault)
  }
}

/** A reader for the one body that may be large: it is checked piece by piece while it arrives, and running turns go on. */
export const transcriptReader =
  (limits: BodyLimits) => (request: IncomingMessage): Effect.Effect<Pieced, BodyError> => {
    const media = mediaFault(request)
    if (media !== undefined) return Effect.fail(media)
    const reader = TranscriptReader.make(limits.depth)
    const end = () => Either.mapLeft(reader.end(), (fault) => transcriptFault(fault, limits))
    return readChunks(request, limits, reader.write, end, { paced: true })
  }

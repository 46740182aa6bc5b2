/**
 * The file form of a provider's raw answer, for bug reports and tests: lines of JSON. The head says who answered and
 * how; each piece holds what one read gave and when; the last line says how the body ended. Of the headers only those
 * stand in it that a decoder or a failure needs. Pure.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { Family } from "../config/Settings.ts"
import { requestIdHeaders } from "./wire/HttpFault.ts"
import { parse as parseJson } from "./wire/Json.ts"

export const Head = Schema.Struct({
  v: Schema.Literal(1),
  family: Family,
  provider: Schema.String,
  model: Schema.String,
  /** UTC, ISO-8601. */
  at: Schema.String,
  status: Schema.Int,
  headers: Schema.Record({ key: Schema.String, value: Schema.String })
})
export type Head = typeof Head.Type

/** `ms` after the headers. Text where the bytes are whole characters, base64 otherwise. */
const Piece = Schema.Struct({
  ms: Schema.Int.pipe(Schema.nonNegative()),
  text: Schema.optional(Schema.String),
  base64: Schema.optional(Schema.String)
})

/** `ended`: the body ended; `broken`: the connection did; `left`: the reader did; `full`: the file was. */
const End = Schema.Struct({ end: Schema.Literal("ended", "broken", "left", "full") })
export type End = typeof End.Type["end"]

export interface Recording {
  readonly head: Head
  readonly pieces: ReadonlyArray<{ readonly ms: number; readonly bytes: Uint8Array }>
  readonly end: End
}

/** Headers that are kept: none of them can hold a key or a cookie. */
const keptHeaders: ReadonlySet<string> = new Set([
  ...requestIdHeaders,
  "content-type",
  "content-encoding",
  "retry-after",
  "retry-after-ms",
  "x-should-retry",
  "x-amzn-errortype"
])

export const keptOf = (headers: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      keptHeaders.has(name) && value !== undefined ? [[name, value]] : []
    )
  )

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return strict.decode(bytes)
  } catch {
    return undefined
  }
}

const line = (value: unknown): string => `${JSON.stringify(value)}\n`

export const headLine = (head: Head): string => line(head)

export const pieceLine = (ms: number, bytes: Uint8Array): string => {
  const text = textOf(bytes)
  return line(text === undefined ? { ms, base64: Buffer.from(bytes).toString("base64") } : { ms, text })
}

export const endLine = (end: End): string => line({ end })

const headOf = Schema.decodeUnknownEither(Head)
const restOf = Schema.decodeUnknownEither(Schema.Union(End, Piece))

/** The recording, or what is wrong with it in words. A file that was cut, also within a line, has no end: its reader left. */
export const parse = (text: string): Either.Either<Recording, string> => {
  const [first = "", ...rest] = text.split("\n")
  const head = headOf(parseJson(first)?.value)
  if (Either.isLeft(head)) return Either.left("line 1 is not the head of a recording")
  const pieces: Array<Recording["pieces"][number]> = []
  let end: End = "left"
  for (const [index, content] of rest.entries()) {
    if (content.trim() === "") continue
    const found = restOf(parseJson(content)?.value)
    // a line without its line feed is the cut
    if (Either.isLeft(found) && index === rest.length - 1) continue
    if (Either.isLeft(found)) return Either.left(`line ${index + 2} is neither a piece nor the end`)
    if ("end" in found.right) end = found.right.end
    else {
      const { base64, ms, text } = found.right
      pieces.push({
        ms,
        bytes: new Uint8Array(text === undefined ? Buffer.from(base64 ?? "", "base64") : Buffer.from(text))
      })
    }
  }
  return Either.right({ head: head.right, pieces, end })
}

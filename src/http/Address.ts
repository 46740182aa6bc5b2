/** The address of a request: whether it is well formed, and what it says by the schemas of its route. */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { pathText } from "../config/SchemaFault.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import type { Route } from "./Routes.ts"

/** Longest request target, in characters. Ids and cursors need far less. */
const urlMax = 8_192

export const pathOf = (url: string): string => {
  const query = url.indexOf("?")
  return query === -1 ? url : url.slice(0, query)
}

export const searchOf = (url: string): URLSearchParams | undefined => {
  const query = url.indexOf("?")
  return query === -1 ? undefined : new URLSearchParams(url.slice(query + 1))
}

const isWellEncoded = (path: string): boolean => {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

const invalid = (reason: string) => new InvalidRequest({ path: "", reason })

export const fault = (url: string, path: string): InvalidRequest | undefined => {
  if (url.length > urlMax) return invalid(`the address is longer than ${urlMax} characters`)
  if (url !== "*" && !url.startsWith("/")) return invalid("the request target must be a path that begins with /")
  // other servers take what follows for a query, or for nothing
  if (/[;#]/.test(path)) return invalid("the path must not hold ; or #")
  return isWellEncoded(path) ? undefined : invalid("the address has a malformed percent-encoding")
}

/**
 * What a route's own schema refused: part of its path, whose rules have words of their own, or a query parameter, each of
 * which is text and so can only be wrong by coming twice.
 */
const refusal = (error: ParseResult.ParseError): InvalidRequest => {
  const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
  const reason = issue === undefined || issue.message.startsWith("Expected ") ? "must be given once" : issue.message
  return new InvalidRequest({ path: pathText(issue?.path ?? []), reason })
}

type Texts = { readonly [name: string]: string | ReadonlyArray<string> }

const textsOf = (search: URLSearchParams | undefined): Texts => {
  // no prototype: a parameter may be named after what one holds
  const texts: Record<string, string | Array<string>> = Object.create(null)
  for (const [name, text] of search ?? []) {
    const before = texts[name]
    if (before === undefined) texts[name] = text
    else if (typeof before === "string") texts[name] = [before, text]
    else before.push(text)
  }
  return texts
}

const decoderOf = (
  schema: Schema.Schema.AnyNoContext | undefined
): (texts: Texts) => Either.Either<unknown, InvalidRequest> => {
  if (schema === undefined) return () => Either.right(undefined)
  const decode = Schema.decodeUnknownEither(schema)
  return (texts) => Either.mapLeft(decode(texts), refusal)
}

/** Decodes the parts of a path, and the query of the address that they are from. */
export const decoder = ({ params, query }: Route) => {
  const decodePath = decoderOf(params)
  const decodeQuery = decoderOf(query)
  return (parts: Texts, url: string) =>
    Either.flatMap(
      decodePath(parts),
      (path) =>
        Either.map(decodeQuery(query === undefined ? parts : textsOf(searchOf(url))), (query) => ({ path, query }))
    )
}

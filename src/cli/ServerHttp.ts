/**
 * What every command with `--url` does the same: an address that is a server's, a token from TURNSTREAM_TOKEN, answers
 * decoded, refusals with the server's own code. Redirects are not followed: a token goes to the address that was given,
 * and nowhere else.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type { HttpClientResponse } from "@effect/platform/HttpClientResponse"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { TurnId } from "../domain/Ids.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import { ServerRefused, ServerUnreachable } from "./TurnClient.ts"

/** What the server's words for a program mean at a prompt. */
const adviceHere: ReadonlyMap<string, string> = new Map([
  [
    "Unauthorized",
    "The server wants a token, or another one. Set TURNSTREAM_TOKEN here to the one that it was started with."
  ],
  [
    "NotFound",
    "The server has nothing at this address. Give --url as the address alone, for example http://127.0.0.1:4790."
  ]
])

/** The `problem+json` of the server, as far as it is used here. */
const Problem = Schema.parseJson(Schema.Struct({
  code: Schema.String,
  detail: Schema.String,
  turnId: Schema.optional(TurnId)
}))
const decodeProblem = Schema.decodeUnknownOption(Problem)

export const accepted = ({ status }: HttpClientResponse): boolean => status >= 200 && status < 300

/** Where the server is: a scheme, a host, perhaps a path; no credentials, no query. */
export const parseUrl = (text: string): Effect.Effect<string, InvalidRequest> =>
  Effect.suspend(() => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    const fits = url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "" &&
      url.search === "" && url.hash === ""
    return fits
      ? Effect.succeed(url.href.replace(/\/+$/, ""))
      : new InvalidRequest({ path: "--url", reason: "is not the address of a server, like http://127.0.0.1:4790" })
  })

/** The socket's code where there is one, else the innermost words: fetch hides both a few causes deep. */
export const reasonOf = (error: { readonly message: string; readonly cause?: unknown }): string => {
  let message = error.message
  for (let depth = 0, at: unknown = error; depth < 6 && typeof at === "object" && at !== null; depth++) {
    if ("code" in at && typeof at.code === "string") return at.code
    if ("message" in at && typeof at.message === "string" && at.message !== "") message = at.message
    at = "cause" in at ? at.cause : undefined
  }
  return message
}

/** A server at an address; nothing is sent yet. */
export const connect = Effect.fn("ServerHttp.connect")(function*(address: string) {
  const url = yield* parseUrl(address)
  const token = Option.getOrUndefined(
    yield* Effect.orElseSucceed(
      Config.option(Config.redacted("TURNSTREAM_TOKEN")),
      () => Option.none<Redacted.Redacted>()
    )
  )
  const unreachable = (detail: string) => new ServerUnreachable({ url, detail })
  const client = (yield* HttpClient.HttpClient).pipe(
    // the server's own traces are not a caller's to join
    HttpClient.withTracerPropagation(false),
    HttpClient.mapRequest((request) =>
      HttpClientRequest.prependUrl(
        token === undefined ? request : HttpClientRequest.bearerToken(request, Redacted.value(token)),
        url
      )
    )
  )

  const refusal = (response: HttpClientResponse) =>
    Effect.map(Effect.orElseSucceed(response.text, () => ""), (text) => {
      const problem = Option.getOrUndefined(decodeProblem(text))
      const { status } = response
      return {
        turnId: problem?.turnId,
        error: new ServerRefused(
          problem === undefined
            ? {
              code: `Http${status}`,
              status,
              detail: `${url} answered with HTTP ${status}, and not as turnstream does. Correct --url.`
            }
            : { code: problem.code, status, detail: adviceHere.get(problem.code) ?? problem.detail }
        )
      }
    })

  const textOf = (response: HttpClientResponse) =>
    Effect.mapError(response.text, (error) => unreachable(reasonOf(error)))

  const send = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.mapError(client.execute(request), (error) => unreachable(reasonOf(error)))

  /** The answer's body, or the refusal. */
  const ask = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.flatMap(
      send(request),
      (response): Effect.Effect<string, ServerRefused | ServerUnreachable> =>
        accepted(response) ? textOf(response) : Effect.flatMap(refusal(response), ({ error }) => error)
    )

  const read = <A>(decode: (text: string) => Effect.Effect<A, unknown>) => (text: string) =>
    Effect.mapError(decode(text), () => unreachable("its answer is not in the form of this version"))

  return { client, unreachable, refusal, textOf, send, ask, read }
})

/**
 * Bodies of spans and log entries, joined into one post every two seconds at most. The library holds every span as a tree of some
 * forty objects until it encodes it, which a collector of garbage pays for; here they wait as text. And a busy service
 * makes thousands a second: a post for each few hundred would cost more than what it carries.
 *
 * Bound: what gathers in two seconds, or `gatheredMax` characters, whichever comes first; what comes after is the outbox's.
 */
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

const every = "2 seconds"
const gatheredMax = 524_288

/** How a body of each kind begins, up to its list, and how all of them end. */
const openings = ['{"resourceSpans":[', '{"resourceLogs":['] as const
const closing = "]}"

interface Gathered {
  /** What stands in the lists. */
  items: Array<string>
  chars: number
}

/** An `HttpClient` that accepts what `outbox` is to send, and gives it on every two seconds; the rest when its scope closes. */
export const make = (outbox: HttpClient.HttpClient): Effect.Effect<HttpClient.HttpClient, never, Scope.Scope> =>
  Effect.gen(function*() {
    const gathered = new Map<string, Gathered & { readonly opening: string }>()

    const give = (url: string) =>
      Effect.suspend(() => {
        const one = gathered.get(url)
        if (one === undefined) return Effect.void
        gathered.delete(url)
        const body = HttpBody.text(one.opening + one.items.join(",") + closing, "application/json")
        return Effect.ignore(outbox.execute(HttpClientRequest.setBody(HttpClientRequest.post(url), body)))
      })
    const giveAll = Effect.suspend(() => Effect.forEach([...gathered.keys()], give, { discard: true }))

    const add = (url: string, opening: string, text: string) =>
      Effect.suspend(() => {
        const one = gathered.get(url) ?? { opening, items: [], chars: 0 }
        gathered.set(url, one)
        one.items.push(text.slice(opening.length, -closing.length))
        one.chars += text.length
        return one.chars < gatheredMax ? Effect.void : give(url)
      })

    yield* Effect.addFinalizer(() => giveAll)
    yield* Effect.forkScoped(Effect.repeat(giveAll, Schedule.spaced(every)))

    return HttpClient.make((request, url) => {
      const text = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
      const opening = openings.find((one) => text.startsWith(one) && text.endsWith(closing))
      return opening === undefined
        ? outbox.execute(request)
        : Effect.as(
          add(url.href, opening, text),
          HttpClientResponse.fromWeb(request, new Response(null, { status: 202 }))
        )
    })
  })

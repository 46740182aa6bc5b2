/**
 * From a request to its answer, as plain code: guard, page file, route, address, handler. What is known at once is written
 * at once. Else one fiber works on it, which ends with the client that it works for, or with the server.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { IncomingMessage, ServerResponse } from "node:http"
import { Draining } from "../domain/RequestError.ts"
import * as Address from "./Address.ts"
import * as Answer from "./Answer.ts"
import { Exchange } from "./Exchange.ts"
import type { Guard } from "./Guard.ts"
import type { Handler, Handlers } from "./Handlers.ts"
import { InternalError, MethodNotAllowed, NotFound } from "./HttpError.ts"
import type { Page } from "./Page.ts"
import * as Problem from "./Problem.ts"
import type { Route } from "./Routes.ts"
import * as RouteTable from "./RouteTable.ts"

export type Listener = (request: IncomingMessage, response: ServerResponse) => void

interface Served {
  readonly decode: ReturnType<typeof Address.decoder>
  /** Of what its own route's schemas decode. */
  readonly handle: Handler<never, never>
}

/** Routes with their handlers, ready to be found. */
export const served = <Group extends { readonly [name: string]: Route }>(
  routes: Group,
  handlers: Handlers<Group>
): ReadonlyArray<readonly [Route, Served]> =>
  Object.entries(routes).map(([name, route]) => {
    // the type of `Handlers` is that there is one for each
    const handle: Handler<never, never> = handlers[name as keyof Group]
    return [route, { decode: Address.decoder(route), handle }]
  })

/** Told to a client whose request the end of the server cut short. */
const retryAfterMs = 1_000

const pageMethods = ["GET", "HEAD"]

const refuse = (request: IncomingMessage, response: ServerResponse, refusal: Problem.Refusal): void => {
  if (response.destroyed) return
  Answer.write(request, response, Problem.answer(refusal, request.url ?? ""))
}

export const make = (options: {
  readonly guard: Guard
  readonly page: Context.Tag.Service<typeof Page>
  readonly routes: ReadonlyArray<readonly [Route, Served]>
}): Effect.Effect<Listener, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { guard, page } = options
    const routes = RouteTable.make(options.routes)
    const run = yield* FiberSet.makeRuntime<never>()

    /** 404, or 405 with what the path takes. */
    const nothing = (path: string): Problem.Refusal => {
      const allow = [...new Set([...(page.has(path) ? pageMethods : []), ...routes.methods(path)])]
      return allow.length === 0 ? new NotFound() : new MethodNotAllowed({ allow })
    }

    /** What a handler ended with instead of an answer. */
    const failed = (
      request: IncomingMessage,
      response: ServerResponse,
      cause: Cause.Cause<Problem.Refusal>
    ): Effect.Effect<void> => {
      const refusal = Cause.failureOption(cause)
      if (Option.isSome(refusal)) return Effect.sync(() => refuse(request, response, refusal.value))
      const isCut = Cause.isInterruptedOnly(cause)
      const answer = Effect.sync(() =>
        refuse(request, response, isCut ? new Draining({ retryAfterMs }) : new InternalError())
      )
      return isCut ? answer : Effect.zipRight(Effect.logError("A request handler failed", cause), answer)
    }

    const begin: Listener = (request, response) => {
      const url = request.url ?? ""
      const path = Address.pathOf(url)
      const refusal = guard(request, url, path)
      if (refusal !== undefined) return refuse(request, response, refusal)
      const method = request.method ?? ""
      const file = pageMethods.includes(method) ? page.get(path) : undefined
      if (file !== undefined) return void Answer.write(request, response, Answer.whole(file.body, file.contentType))
      const found = routes.find(method, path)
      if (found === undefined) return refuse(request, response, nothing(path))
      const said = found.value.decode(found.parts, url)
      if (Either.isLeft(said)) return refuse(request, response, said.left)
      const asked = new Exchange(request, response, said.right.path as never, said.right.query as never)
      const outcome = found.value.handle(asked)
      const work = Effect.isEffect(outcome)
        ? Effect.flatMap(outcome, (answer) => Answer.write(request, response, answer) ?? Effect.void)
        : Answer.write(request, response, outcome)
      if (work === undefined) return
      const fiber = run(Effect.catchAllCause(work, (cause) => failed(request, response, cause)))
      if (fiber.unsafePoll() === null) asked.worksIn(fiber)
    }

    return (request, response) => {
      try {
        begin(request, response)
      } catch (defect) {
        run(failed(request, response, Cause.die(defect)))
      }
    }
  })

/**
 * Handlers for whoever runs the service or opens its page: bootstrap, diagnostics, usage, health, metrics and the
 * interface's own description. None calls a provider.
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import { Settings } from "../config/Settings.ts"
import type { Fenced } from "../domain/TurnError.ts"
import { Journal } from "../journal/Journal.ts"
import * as UsageReport from "../journal/UsageReport.ts"
import { ProviderRegistry } from "../provider/ProviderRegistry.ts"
import * as Prometheus from "../telemetry/Prometheus.ts"
import { TurnRuntime } from "../turn/TurnRuntime.ts"
import { Api, type Bootstrap, CommandBody, type NotReady, UsageParams } from "./Api.ts"
import * as Body from "./Body.ts"
import * as Docs from "./Docs.ts"
import { document } from "./OpenApiDocument.ts"
import * as Query from "./Query.ts"
import { bodyLimits, json, orProblem, toItsEnd } from "./Respond.ts"
import { version } from "./Version.ts"

export const layer = HttpApiBuilder.group(Api, "operations", (handlers) =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const settings = yield* Settings
    const journal = yield* Journal
    const runtime = yield* TurnRuntime
    const registry = yield* ProviderRegistry

    let fenced: Fenced | undefined
    yield* journal.fenced.pipe(
      Effect.tap((error) =>
        Effect.sync(() => {
          fenced = error
        })
      ),
      Effect.forkScoped
    )

    const bootstrap = Effect.gen(function*() {
      const { path, ...storage } = yield* journal.info
      const provider = registry.defaults.provider
      const body: Bootstrap = {
        version,
        tokenRequired: settings.token !== undefined,
        defaults: { provider, model: registry.defaults.model(provider) },
        providers: yield* registry.diagnostics,
        limits: settings.limits,
        // a page that cannot be told of them must open all the same
        budgets: yield* Effect.orElseSucceed(runtime.budgets, () => []),
        storage: path === undefined ? storage : { ...storage, path }
      }
      return json(body)
    })

    const usage = Effect.fnUntraced(function*(request: HttpServerRequest, params: UsageParams) {
      yield* Query.onlyKnown(request, Object.keys(UsageParams.fields))
      const { cursor, limit, ...asked } = params
      const query = yield* UsageReport.queryOf(asked)
      return json(yield* UsageReport.page(journal, query, yield* Query.pageOf({ cursor, limit }, UsageReport.pageMax)))
    })

    const readCommand = Body.reader(CommandBody, bodyLimits(settings.limits), { optional: true })
    const vacuum = (request: HttpServerRequest) =>
      Effect.zipRight(readCommand(request), Effect.map(toItsEnd(scope, journal.vacuum), (done) => json(done)))

    const notReady = (status: NotReady["status"], detail: string) => json({ status, detail } satisfies NotReady, 503)

    const ready = Effect.gen(function*() {
      if (yield* runtime.draining) return notReady("draining", "The service is shutting down and takes no new turns.")
      if (fenced !== undefined) return notReady("fenced", fenced.message)
      return yield* journal.health.pipe(
        Effect.match({
          onFailure: (error) => notReady("storage", error.message),
          onSuccess: () => json({ status: "ready" })
        })
      )
    })

    const text = (body: string, contentType: string) => HttpServerResponse.text(body, { contentType })

    return handlers
      .handleRaw("bootstrap", ({ request }) => orProblem(request, bootstrap))
      .handleRaw("providers", ({ request }) =>
        orProblem(request, Effect.map(registry.diagnostics, (items) => json({ items }))))
      .handleRaw("usage", ({ request, urlParams }) =>
        orProblem(request, usage(request, urlParams)))
      .handleRaw("vacuum", ({ request }) => orProblem(request, vacuum(request)))
      .handleRaw("live", () => Effect.succeed(json({ status: "live" })))
      .handleRaw("ready", () => ready)
      .handleRaw("metrics", () =>
        Effect.map(
          Effect.zipRight(runtime.measure, Prometheus.snapshot),
          (metrics) => text(metrics, Prometheus.contentType)
        ))
      .handleRaw("openapi", () => Effect.sync(() => json(document())))
      .handleRaw("docs", () => Effect.sync(() => text(Docs.render(document()), "text/html; charset=utf-8")))
      .handleRaw("docsStyle", () => Effect.succeed(text(Docs.stylesheet, "text/css; charset=utf-8")))
  }))

/**
 * Handlers for whoever runs the service or opens its page: bootstrap, diagnostics, usage, health, metrics and the
 * interface's own description. None calls a provider.
 */
import * as Effect from "effect/Effect"
import { Settings } from "../config/Settings.ts"
import type { Fenced } from "../domain/TurnError.ts"
import { Journal } from "../journal/Journal.ts"
import * as UsageReport from "../journal/UsageReport.ts"
import { ProviderRegistry } from "../provider/ProviderRegistry.ts"
import * as Prometheus from "../telemetry/Prometheus.ts"
import { TurnRuntime } from "../turn/TurnRuntime.ts"
import * as Answer from "./Answer.ts"
import type { Bootstrap, NotReady } from "./Api.ts"
import { CommandBody } from "./Bodies.ts"
import * as Body from "./Body.ts"
import type { Exchange } from "./Exchange.ts"
import type { Handlers } from "./Handlers.ts"
import * as Query from "./Query.ts"
import { bodyLimits } from "./Respond.ts"
import { type operations, UsageParams } from "./Routes.ts"
import { version } from "./Version.ts"

/** The interface described, and its page: megabytes of memory that only who asks for them pays for. */
const described = Effect.promise(() => Promise.all([import("./Docs.ts"), import("./OpenApiDocument.ts")]))

export const handlers = Effect.gen(function*() {
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
    return Answer.json(body)
  })

  const usage = Effect.fnUntraced(function*({ query: params, url }: Exchange<unknown, UsageParams>) {
    yield* Query.onlyKnown(url, Object.keys(UsageParams.fields))
    const { cursor, limit, ...asked } = params
    const query = yield* UsageReport.queryOf(asked)
    const page = yield* Query.pageOf({ cursor, limit }, UsageReport.pageMax)
    return Answer.json(yield* UsageReport.page(journal, query, page))
  })

  const readCommand = Body.reader(CommandBody, bodyLimits(settings.limits), { optional: true })
  const notReady = (status: NotReady["status"], detail: string) =>
    Answer.json({ status, detail } satisfies NotReady, { status: 503 })

  const ready = Effect.gen(function*() {
    if (yield* runtime.draining) return notReady("draining", "The service is shutting down and takes no new turns.")
    if (fenced !== undefined) return notReady("fenced", fenced.message)
    return yield* journal.health.pipe(
      Effect.match({
        onFailure: (error) => notReady("storage", error.message),
        onSuccess: () => Answer.json({ status: "ready" })
      })
    )
  })

  return {
    bootstrap: () => bootstrap,
    providers: () => Effect.map(registry.diagnostics, (items) => Answer.json({ items })),
    usage,
    vacuum: (asked) =>
      Effect.zipRight(
        readCommand(asked.request),
        Effect.map(asked.toItsEnd(journal.vacuum), (done) => Answer.json(done))
      ),
    live: () => Answer.json({ status: "live" }),
    ready: () => ready,
    metrics: () =>
      Effect.map(
        Effect.zipRight(runtime.measure, Prometheus.snapshot),
        (metrics) => Answer.whole(metrics, Prometheus.contentType)
      ),
    openapi: () => Effect.map(described, ([, { document }]) => Answer.json(document())),
    docs: () =>
      Effect.map(
        described,
        ([{ render }, { document }]) => Answer.whole(render(document()), "text/html; charset=utf-8")
      ),
    docsStyle: () => Effect.map(described, ([{ stylesheet }]) => Answer.whole(stylesheet, "text/css; charset=utf-8"))
  } satisfies Handlers<typeof operations>
})

/**
 * Every route as data: method, path, and the schemas of what its address says. `Handlers.ts` has a handler for each,
 * `RouteTable.ts` finds one, and `Api.ts` describes them; only the first two are needed to serve.
 */
import * as Schema from "effect/Schema"
import { SessionId, TurnId } from "../domain/Ids.ts"
import { UsageSource } from "../domain/Usage.ts"
import { usageGroups } from "../journal/Journal.ts"

export type Method = "GET" | "POST" | "PATCH" | "DELETE"

/** Of what an address holds, which is text; undefined where a route takes none. */
type Parameters = Schema.Schema.AnyNoContext | undefined

export interface Route<Path extends Parameters = Parameters, Query extends Parameters = Parameters> {
  readonly method: Method
  /** `:name` stands for a part of the path. */
  readonly path: `/${string}`
  readonly params: Path
  readonly query: Query
}

/** What is decoded of it. */
export type Decoded<P extends Parameters> = P extends Schema.Schema.AnyNoContext ? Schema.Schema.Type<P> : undefined

const of = (method: Method) =>
<Path extends Parameters = undefined, Query extends Parameters = undefined>(
  path: `/${string}`,
  { params, query }: { readonly params?: Path; readonly query?: Query } = {}
) => ({ method, path, params, query }) as Route<Path, Query>

const get = of("GET")
const post = of("POST")
const patch = of("PATCH")
const del = of("DELETE")

const ofSession = { params: Schema.Struct({ id: SessionId }) }
const ofTurn = { params: Schema.Struct({ id: TurnId }) }

const parameter = (description: string) => Schema.optional(Schema.String.annotations({ description }))

/** A page of a list. `after` is the `nextCursor` of the page before; `cursor` is another name for it. */
export const PageParams = Schema.Struct({
  after: parameter("The nextCursor of the page before."),
  cursor: parameter("Another name for after."),
  limit: parameter("Items on a page, 1 to 10,000; out of range is clamped. Default 200.")
})
export type PageParams = typeof PageParams.Type

const SessionEventParams = Schema.Struct({
  ...PageParams.fields,
  live: parameter("false: end at the last event.")
})

const CheckpointPath = Schema.Struct({
  id: TurnId,
  n: Schema.String.pipe(
    Schema.pattern(/^(0|[1-9]\d{0,8})$/, {
      message: () => "a checkpoint's number is a whole number without leading zeros"
    })
  )
})

/** Other parameters are refused. */
export const UsageParams = Schema.Struct({
  by: parameter(
    `Groups, with commas between: ${
      usageGroups.join(", ")
    }. Without, one sum of all. Without source, estimates are summed with what was reported.`
  ),
  session: parameter("Only this session."),
  turn: parameter("Only this turn."),
  provider: parameter("Only this provider."),
  model: parameter("Only this model."),
  source: parameter(`Only what was counted so: ${UsageSource.literals.join(", ")}.`),
  from: parameter("The first day (UTC) that counts, as 2026-01-31."),
  to: parameter("The last day (UTC) that counts; not before from."),
  cursor: parameter("The nextCursor of the page before."),
  limit: parameter("Groups on a page, 1 to 10,000; out of range is clamped. Default 10,000.")
})
export type UsageParams = typeof UsageParams.Type

export const sessions = {
  create: post("/v1/sessions"),
  list: get("/v1/sessions", { query: PageParams }),
  import: post("/v1/sessions/import"),
  get: get("/v1/sessions/:id", ofSession),
  update: patch("/v1/sessions/:id", ofSession),
  delete: del("/v1/sessions/:id", ofSession),
  messages: get("/v1/sessions/:id/messages", { ...ofSession, query: PageParams }),
  turns: get("/v1/sessions/:id/turns", { ...ofSession, query: PageParams }),
  events: get("/v1/sessions/:id/events", { ...ofSession, query: SessionEventParams }),
  export: get("/v1/sessions/:id/export", ofSession),
  preview: post("/v1/sessions/:id/context/preview", ofSession)
}

export const turns = {
  start: post("/v1/sessions/:id/turns", ofSession),
  get: get("/v1/turns/:id", ofTurn),
  events: get("/v1/turns/:id/events", { ...ofTurn, query: PageParams }),
  cancel: post("/v1/turns/:id/cancel", ofTurn),
  resume: post("/v1/turns/:id/resume", ofTurn),
  retry: post("/v1/turns/:id/retry", ofTurn),
  checkpoints: get("/v1/turns/:id/checkpoints", { ...ofTurn, query: PageParams }),
  checkpoint: get("/v1/turns/:id/checkpoints/:n", { params: CheckpointPath })
}

export const operations = {
  bootstrap: get("/v1/bootstrap"),
  providers: get("/v1/providers"),
  usage: get("/v1/usage", { query: UsageParams }),
  vacuum: post("/v1/maintenance/vacuum"),
  live: get("/health/live"),
  ready: get("/health/ready"),
  metrics: get("/metrics"),
  openapi: get("/openapi.json"),
  docs: get("/docs"),
  docsStyle: get("/docs.css")
}

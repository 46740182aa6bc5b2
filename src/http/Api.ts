/**
 * The HTTP interface described: the routes of `Routes.ts` with what their bodies and answers hold. The OpenAPI document and
 * the docs page are made from it; nothing is served by it, and it is loaded when the document is first asked for.
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { Limits } from "../config/Settings.ts"
import { budgetNames } from "../domain/Budget.ts"
import { ContextManifest } from "../domain/Context.ts"
import { Message } from "../domain/Message.ts"
import { Checkpoint, page, Session, Turn } from "../domain/Resources.ts"
import { TurnErrorInfo } from "../domain/TurnError.ts"
import { TurnEvent } from "../domain/TurnEvent.ts"
import { Transcript } from "../journal/Transcript.ts"
import { UsagePage } from "../journal/UsageReport.ts"
import { ProviderDiagnostics } from "../provider/ProviderRegistry.ts"
import { SubmitBody } from "../turn/TurnRuntime.ts"
import { CreateSessionBody, PreviewBody, UpdateSessionBody } from "./Bodies.ts"
import { Problem } from "./Problem.ts"
import * as Routes from "./Routes.ts"

const StorageInfo = Schema.Struct({
  kind: Schema.Literal("sqlite", "memory"),
  path: Schema.optional(Schema.String),
  schemaVersion: Schema.Int,
  durability: Schema.Literal("full", "relaxed", "none"),
  epoch: Schema.Int
}).annotations({ identifier: "StorageInfo" })

const Bootstrap = Schema.Struct({
  version: Schema.String,
  tokenRequired: Schema.Boolean,
  defaults: Schema.Struct({ provider: Schema.String, model: Schema.String }),
  providers: Schema.Array(ProviderDiagnostics),
  limits: Limits,
  /** Every configured budget, and how much of it is used; of sessions, the one that spent most. */
  budgets: Schema.Array(
    Schema.Struct({
      budget: Schema.Literal(...budgetNames),
      used: Schema.Number,
      limit: Schema.Number
    }).annotations({ identifier: "Budget" })
  ),
  storage: StorageInfo
}).annotations({ identifier: "Bootstrap" })
export type Bootstrap = typeof Bootstrap.Type

const Vacuumed = Schema.Struct({
  bytesBefore: Schema.Int,
  bytesAfter: Schema.Int,
  /** False where a backup, say, still read the write-ahead log: it may hold deleted text until the next time. */
  logEmptied: Schema.Boolean
}).annotations({ identifier: "Vacuumed" })

/** Not a problem of a request: a probe asks for the state and gets it. */
const NotReady = Schema.Struct({
  status: Schema.Literal("draining", "fenced", "storage"),
  detail: Schema.String
}).annotations({ identifier: "NotReady" })
export type NotReady = typeof NotReady.Type

const text = (contentType: string) => HttpApiSchema.Text({ contentType })
const eventStream = text("text/event-stream")

const endpoint = <const Name extends string>(name: Name, { method, params, path, query }: Routes.Route) => {
  const bare = HttpApiEndpoint.make(method)(name, path)
  const placed = params === undefined ? bare : bare.setPath(params)
  return query === undefined ? placed : placed.setUrlParams(query)
}

const summary = (line: string) => [OpenApi.Summary, line] as const

const sessions = HttpApiGroup.make("sessions")
  .add(
    endpoint("create", Routes.sessions.create)
      .setPayload(CreateSessionBody)
      .addSuccess(Session, { status: 201 })
      .annotate(...summary("Create a session"))
  )
  .add(
    endpoint("list", Routes.sessions.list)
      .addSuccess(page(Session))
      .annotate(...summary("List sessions, oldest first"))
  )
  .add(
    endpoint("import", Routes.sessions.import)
      .setPayload(Transcript)
      .addSuccess(Session, { status: 201 })
      .annotate(...summary("Make a session of a transcript"))
  )
  .add(
    endpoint("get", Routes.sessions.get)
      .addSuccess(Session)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Read a session"))
  )
  .add(
    endpoint("update", Routes.sessions.update)
      .setPayload(UpdateSessionBody)
      .addSuccess(Session)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Change a session's title or defaults; null clears"))
  )
  .add(
    endpoint("delete", Routes.sessions.delete)
      .addSuccess(HttpApiSchema.NoContent)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Delete a session with every trace of it; cancels what runs in it"))
  )
  .add(
    endpoint("messages", Routes.sessions.messages)
      .addSuccess(page(Message))
      .addError(Problem, { status: 404 })
      .annotate(...summary("List a session's messages"))
  )
  .add(
    endpoint("turns", Routes.sessions.turns)
      .addSuccess(page(Turn))
      .addError(Problem, { status: 404 })
      .annotate(...summary("List a session's turns"))
  )
  .add(
    endpoint("events", Routes.sessions.events)
      .addSuccess(page(TurnEvent))
      .addError(Problem, { status: 404 })
      .addError(Problem, { status: 410 })
      .addError(Problem, { status: 429 })
      .annotate(...summary("Follow every event of a session; ids are <turnId>.<seq>"))
  )
  .add(
    endpoint("export", Routes.sessions.export)
      .addSuccess(Transcript)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Export a session's text as a transcript"))
  )
  .add(
    endpoint("preview", Routes.sessions.preview)
      .setPayload(PreviewBody)
      .addSuccess(ContextManifest)
      .addError(Problem, { status: 404 })
      .addError(Problem, { status: 422 })
      .annotate(...summary("Show the context that a message would be sent with"))
  )

const command = (name: "resume" | "retry", line: string) =>
  endpoint(name, Routes.turns[name])
    .addSuccess(Turn, { status: 202 })
    .addError(Problem, { status: 404 })
    .addError(Problem, { status: 409 })
    .addError(Problem, { status: 422 })
    .addError(Problem, { status: 429 })
    .annotate(...summary(line))

const turns = HttpApiGroup.make("turns")
  .add(
    endpoint("start", Routes.turns.start)
      .setHeaders(
        Schema.Struct({
          "idempotency-key": Schema.optional(
            Schema.String.annotations({
              description: "1 to 255 printable ASCII characters; the same key and body give the same turn."
            })
          )
        })
      )
      .setPayload(SubmitBody)
      .addSuccess(Turn, { status: 202 })
      .addSuccess(eventStream)
      .addError(Problem, { status: 404 })
      .addError(Problem, { status: 409 })
      .addError(Problem, { status: 422 })
      .addError(Problem, { status: 429 })
      .annotate(...summary("Start a turn; with Accept: text/event-stream its events follow"))
  )
  .add(
    endpoint("get", Routes.turns.get)
      .addSuccess(Turn)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Read a turn: status, text so far, usage, error"))
  )
  .add(
    endpoint("events", Routes.turns.events)
      .addSuccess(page(TurnEvent))
      .addSuccess(HttpApiSchema.NoContent)
      .addError(Problem, { status: 404 })
      .addError(Problem, { status: 410 })
      .addError(Problem, { status: 429 })
      .annotate(...summary("Follow a turn's events after Last-Event-ID or after; ids are seqs"))
  )
  .add(
    endpoint("cancel", Routes.turns.cancel)
      .addSuccess(Turn)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Cancel a turn; answers when its end is committed"))
  )
  .add(command("resume", "Continue a failed turn's answer in a new turn"))
  .add(command("retry", "Answer a turn's message again in a new turn"))
  .add(
    endpoint("checkpoints", Routes.turns.checkpoints)
      .addSuccess(page(Checkpoint))
      .addError(Problem, { status: 404 })
      .annotate(...summary("List a turn's checkpoints"))
  )
  .add(
    endpoint("checkpoint", Routes.turns.checkpoint)
      .addSuccess(Checkpoint)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Read one checkpoint"))
  )

const operations = HttpApiGroup.make("operations")
  .add(
    endpoint("bootstrap", Routes.operations.bootstrap)
      .addSuccess(Bootstrap)
      .annotate(...summary("What a page needs first; no network call"))
  )
  .add(
    endpoint("providers", Routes.operations.providers)
      .addSuccess(Schema.Struct({ items: Schema.Array(ProviderDiagnostics) }))
      .annotate(...summary("Which providers are ready, blocked or unproven, and why"))
  )
  .add(
    endpoint("usage", Routes.operations.usage)
      .addSuccess(UsagePage)
      .annotate(...summary("Sum usage and cost, grouped, in the order of the groups"))
  )
  .add(
    endpoint("vacuum", Routes.operations.vacuum)
      .addSuccess(Vacuumed)
      .addError(Problem, { status: 503 })
      .annotate(...summary("Rewrite the database file without what was deleted; requests wait meanwhile"))
  )
  .add(
    endpoint("live", Routes.operations.live)
      .addSuccess(Schema.Struct({ status: Schema.Literal("live") }))
      .annotate(...summary("The process answers"))
  )
  .add(
    endpoint("ready", Routes.operations.ready)
      .addSuccess(Schema.Struct({ status: Schema.Literal("ready") }))
      .addSuccess(NotReady, { status: 503 })
      .annotate(...summary("New turns are taken"))
  )
  .add(
    endpoint("metrics", Routes.operations.metrics)
      .addSuccess(text("text/plain"))
      .annotate(...summary("Metrics in Prometheus' text format"))
  )
  .add(
    endpoint("openapi", Routes.operations.openapi)
      .addSuccess(Schema.Unknown)
      .annotate(...summary("This document"))
  )
  .add(
    endpoint("docs", Routes.operations.docs).addSuccess(text("text/html")).annotate(
      ...summary("This document, readable")
    )
  )
  .add(
    endpoint("docsStyle", Routes.operations.docsStyle).addSuccess(text("text/css")).annotate(OpenApi.Exclude, true)
  )

export const Api = HttpApi.make("turnstream")
  .add(sessions)
  .add(turns)
  .add(operations)
  .annotate(OpenApi.Title, "turnstream")
  .annotate(
    OpenApi.Description,
    "Chat turns whose every event is journaled before anyone sees it. Errors are problems (application/problem+json)."
  )
  .annotate(HttpApi.AdditionalSchemas, [TurnEvent, TurnErrorInfo, Problem])

/**
 * The HTTP interface as data: every route with its parameters, body and answers. The OpenAPI document, the docs page and
 * the table of allowed methods are made from it. Bodies are read by `Body.ts` (strictly), so the handlers are raw;
 * errors are documented as problems and written by `Problem.ts`.
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
import { SessionId, TurnId } from "../domain/Ids.ts"
import { Message } from "../domain/Message.ts"
import { Checkpoint, page, Session, Turn } from "../domain/Resources.ts"
import { TurnErrorInfo } from "../domain/TurnError.ts"
import { TurnEvent } from "../domain/TurnEvent.ts"
import { UsageSource } from "../domain/Usage.ts"
import { usageGroups } from "../journal/Journal.ts"
import { Transcript } from "../journal/Transcript.ts"
import { UsagePage } from "../journal/UsageReport.ts"
import { ProviderDiagnostics } from "../provider/ProviderRegistry.ts"
import { SubmitBody } from "../turn/TurnRuntime.ts"
import { Problem } from "./Problem.ts"
import { PageParams } from "./Query.ts"

const title = Schema.String.pipe(Schema.maxLength(512))
const providerId = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(128))
const modelId = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(256))

export const CreateSessionBody = Schema.Struct({
  title: Schema.optional(title),
  provider: Schema.optional(providerId),
  model: Schema.optional(modelId),
  system: Schema.optional(Schema.String)
}).annotations({ identifier: "CreateSession" })

/** `null` clears a setting, absent leaves it. */
export const UpdateSessionBody = Schema.Struct({
  title: Schema.optionalWith(Schema.NullOr(title), { exact: true }),
  provider: Schema.optionalWith(Schema.NullOr(providerId), { exact: true }),
  model: Schema.optionalWith(Schema.NullOr(modelId), { exact: true }),
  system: Schema.optionalWith(Schema.NullOr(Schema.String), { exact: true })
}).annotations({ identifier: "UpdateSession" })

const { onBusy: _, ...previewFields } = SubmitBody.fields
export const PreviewBody = Schema.Struct(previewFields).annotations({ identifier: "ContextPreview" })

/** Commands need no body; `{}` is accepted. (A struct without fields would take any.) */
export const CommandBody = Schema.Record({ key: Schema.String, value: Schema.Never })

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

const parameter = (description: string) => Schema.optional(Schema.String.annotations({ description }))

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

/** Not a problem of a request: a probe asks for the state and gets it. */
const NotReady = Schema.Struct({
  status: Schema.Literal("draining", "fenced", "storage"),
  detail: Schema.String
}).annotations({ identifier: "NotReady" })
export type NotReady = typeof NotReady.Type

const text = (contentType: string) => HttpApiSchema.Text({ contentType })
const eventStream = text("text/event-stream")

const sessionPath = Schema.Struct({ id: SessionId })
const turnPath = Schema.Struct({ id: TurnId })

const summary = (line: string) => [OpenApi.Summary, line] as const

const sessions = HttpApiGroup.make("sessions")
  .add(
    HttpApiEndpoint.post("create", "/v1/sessions")
      .setPayload(CreateSessionBody)
      .addSuccess(Session, { status: 201 })
      .annotate(...summary("Create a session"))
  )
  .add(
    HttpApiEndpoint.get("list", "/v1/sessions")
      .setUrlParams(PageParams)
      .addSuccess(page(Session))
      .annotate(...summary("List sessions, oldest first"))
  )
  .add(
    HttpApiEndpoint.post("import", "/v1/sessions/import")
      .setPayload(Transcript)
      .addSuccess(Session, { status: 201 })
      .annotate(...summary("Make a session of a transcript"))
  )
  .add(
    HttpApiEndpoint.get("get", "/v1/sessions/:id")
      .setPath(sessionPath)
      .addSuccess(Session)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Read a session"))
  )
  .add(
    HttpApiEndpoint.patch("update", "/v1/sessions/:id")
      .setPath(sessionPath)
      .setPayload(UpdateSessionBody)
      .addSuccess(Session)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Change a session's title or defaults; null clears"))
  )
  .add(
    HttpApiEndpoint.del("delete", "/v1/sessions/:id")
      .setPath(sessionPath)
      .addSuccess(HttpApiSchema.NoContent)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Delete a session with every trace of it; cancels what runs in it"))
  )
  .add(
    HttpApiEndpoint.get("messages", "/v1/sessions/:id/messages")
      .setPath(sessionPath)
      .setUrlParams(PageParams)
      .addSuccess(page(Message))
      .addError(Problem, { status: 404 })
      .annotate(...summary("List a session's messages"))
  )
  .add(
    HttpApiEndpoint.get("turns", "/v1/sessions/:id/turns")
      .setPath(sessionPath)
      .setUrlParams(PageParams)
      .addSuccess(page(Turn))
      .addError(Problem, { status: 404 })
      .annotate(...summary("List a session's turns"))
  )
  .add(
    HttpApiEndpoint.get("events", "/v1/sessions/:id/events")
      .setPath(sessionPath)
      .setUrlParams(
        Schema.Struct({
          ...PageParams.fields,
          live: Schema.optional(Schema.String.annotations({ description: "false: end at the last event." }))
        })
      )
      .addSuccess(page(TurnEvent))
      .addError(Problem, { status: 404 })
      .addError(Problem, { status: 410 })
      .addError(Problem, { status: 429 })
      .annotate(...summary("Follow every event of a session; ids are <turnId>.<seq>"))
  )
  .add(
    HttpApiEndpoint.get("export", "/v1/sessions/:id/export")
      .setPath(sessionPath)
      .addSuccess(Transcript)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Export a session's text as a transcript"))
  )
  .add(
    HttpApiEndpoint.post("preview", "/v1/sessions/:id/context/preview")
      .setPath(sessionPath)
      .setPayload(PreviewBody)
      .addSuccess(ContextManifest)
      .addError(Problem, { status: 404 })
      .addError(Problem, { status: 422 })
      .annotate(...summary("Show the context that a message would be sent with"))
  )

const command = <const Name extends "resume" | "retry">(name: Name, line: string) =>
  HttpApiEndpoint.post(name, `/v1/turns/:id/${name}`)
    .setPath(turnPath)
    .addSuccess(Turn, { status: 202 })
    .addError(Problem, { status: 404 })
    .addError(Problem, { status: 409 })
    .addError(Problem, { status: 422 })
    .addError(Problem, { status: 429 })
    .annotate(...summary(line))

const turns = HttpApiGroup.make("turns")
  .add(
    HttpApiEndpoint.post("start", "/v1/sessions/:id/turns")
      .setPath(sessionPath)
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
    HttpApiEndpoint.get("get", "/v1/turns/:id")
      .setPath(turnPath)
      .addSuccess(Turn)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Read a turn: status, text so far, usage, error"))
  )
  .add(
    HttpApiEndpoint.get("events", "/v1/turns/:id/events")
      .setPath(turnPath)
      .setUrlParams(PageParams)
      .addSuccess(page(TurnEvent))
      .addSuccess(HttpApiSchema.NoContent)
      .addError(Problem, { status: 404 })
      .addError(Problem, { status: 410 })
      .addError(Problem, { status: 429 })
      .annotate(...summary("Follow a turn's events after Last-Event-ID or after; ids are seqs"))
  )
  .add(
    HttpApiEndpoint.post("cancel", "/v1/turns/:id/cancel")
      .setPath(turnPath)
      .addSuccess(Turn)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Cancel a turn; answers when its end is committed"))
  )
  .add(command("resume", "Continue a failed turn's answer in a new turn"))
  .add(command("retry", "Answer a turn's message again in a new turn"))
  .add(
    HttpApiEndpoint.get("checkpoints", "/v1/turns/:id/checkpoints")
      .setPath(turnPath)
      .setUrlParams(PageParams)
      .addSuccess(page(Checkpoint))
      .addError(Problem, { status: 404 })
      .annotate(...summary("List a turn's checkpoints"))
  )
  .add(
    HttpApiEndpoint.get("checkpoint", "/v1/turns/:id/checkpoints/:n")
      .setPath(
        Schema.Struct({
          id: TurnId,
          n: Schema.String.pipe(
            Schema.pattern(/^(0|[1-9]\d{0,8})$/, {
              message: () => "a checkpoint's number is a whole number without leading zeros"
            })
          )
        })
      )
      .addSuccess(Checkpoint)
      .addError(Problem, { status: 404 })
      .annotate(...summary("Read one checkpoint"))
  )

const operations = HttpApiGroup.make("operations")
  .add(
    HttpApiEndpoint.get("bootstrap", "/v1/bootstrap")
      .addSuccess(Bootstrap)
      .annotate(...summary("What a page needs first; no network call"))
  )
  .add(
    HttpApiEndpoint.get("providers", "/v1/providers")
      .addSuccess(Schema.Struct({ items: Schema.Array(ProviderDiagnostics) }))
      .annotate(...summary("Which providers are ready, blocked or unproven, and why"))
  )
  .add(
    HttpApiEndpoint.get("usage", "/v1/usage")
      .setUrlParams(UsageParams)
      .addSuccess(UsagePage)
      .annotate(...summary("Sum usage and cost, grouped, in the order of the groups"))
  )
  .add(
    HttpApiEndpoint.post("vacuum", "/v1/maintenance/vacuum")
      .addSuccess(Vacuumed)
      .addError(Problem, { status: 503 })
      .annotate(...summary("Rewrite the database file without what was deleted; requests wait meanwhile"))
  )
  .add(
    HttpApiEndpoint.get("live", "/health/live")
      .addSuccess(Schema.Struct({ status: Schema.Literal("live") }))
      .annotate(...summary("The process answers"))
  )
  .add(
    HttpApiEndpoint.get("ready", "/health/ready")
      .addSuccess(Schema.Struct({ status: Schema.Literal("ready") }))
      .addSuccess(NotReady, { status: 503 })
      .annotate(...summary("New turns are taken"))
  )
  .add(
    HttpApiEndpoint.get("metrics", "/metrics")
      .addSuccess(text("text/plain"))
      .annotate(...summary("Metrics in Prometheus' text format"))
  )
  .add(
    HttpApiEndpoint.get("openapi", "/openapi.json")
      .addSuccess(Schema.Unknown)
      .annotate(...summary("This document"))
  )
  .add(
    HttpApiEndpoint.get("docs", "/docs").addSuccess(text("text/html")).annotate(...summary("This document, readable"))
  )
  .add(
    HttpApiEndpoint.get("docsStyle", "/docs.css").addSuccess(text("text/css")).annotate(OpenApi.Exclude, true)
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

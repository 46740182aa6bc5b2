/** The usage ledger as `usage` reads it: of a database (here) or of a running server (`UsageReaderHttp.ts`). */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { JournalFailure } from "../domain/TurnError.ts"
import { Journal, type PageRequest, type UsageQuery } from "../journal/Journal.ts"
import * as UsageReport from "../journal/UsageReport.ts"
import type { ServerRefused, ServerUnreachable } from "./TurnClient.ts"

export class UsageReader extends Context.Tag("turnstream/cli/UsageReader")<UsageReader, {
  /** A page of groups, in their order. */
  readonly page: (
    query: UsageQuery,
    request: PageRequest
  ) => Effect.Effect<UsageReport.UsagePage, JournalFailure | ServerRefused | ServerUnreachable>
}>() {}

export const layer: Layer.Layer<UsageReader, never, Journal> = Layer.effect(
  UsageReader,
  Effect.map(Journal, (journal) => ({ page: (query, request) => UsageReport.page(journal, query, request) }))
)

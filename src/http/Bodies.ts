/** What request bodies may hold, beside a submit (`TurnRuntime.SubmitBody`) and a transcript; `Body.ts` reads them, strictly. */
import * as Schema from "effect/Schema"
import { SubmitBody } from "../turn/TurnRuntime.ts"

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

/**
 * From what a client says to what a turn is asked: provider and model chosen, options settled, the message or the parent
 * it answers. Nothing is written here.
 */
import { createHash } from "node:crypto"
import type { MessageId, SessionId, TurnId } from "../domain/Ids.ts"
import type { UserPart } from "../domain/Message.ts"
import type { Session } from "../domain/Resources.ts"
import type { Trace, TurnOptions, TurnRecord } from "../journal/Journal.ts"
import type { GenerationOptions } from "../provider/Provider.ts"
import type { Resolved } from "../provider/ProviderRegistry.ts"
import type { SubmitBody, SubmitOptions } from "./TurnRuntime.ts"

/** One turn to be, in full. */
export interface Ask {
  readonly sessionId: SessionId
  readonly provider: string
  readonly model: string
  /** As sent, with the system text settled: kept with the turn and inherited by its children. */
  readonly options: SubmitOptions
  readonly message:
    | { readonly _tag: "New"; readonly parts: ReadonlyArray<UserPart> }
    | { readonly _tag: "Of"; readonly id: MessageId }
  readonly link: { readonly resumedFrom?: TurnId; readonly retryOf?: TurnId }
  /** The span of the turn that it resumes or retries. */
  readonly parentTrace: Trace | undefined
  readonly onBusy: "reject" | "queue" | "supersede"
  readonly idempotency: { readonly key: string; readonly bodyHash: string } | undefined
}

export interface Defaults {
  readonly provider: string
  readonly model: (providerId: string) => string
  readonly system: string | undefined
}

const partsOf = (message: SubmitBody["message"]): ReadonlyArray<UserPart> =>
  typeof message === "string" ? [{ type: "text", text: message }] : message.parts

/** JSON with sorted keys, so that the same body in another order is the same. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner)

const hashOf = (body: SubmitBody): string =>
  createHash("sha256").update(canonical({
    message: partsOf(body.message),
    provider: body.provider,
    model: body.model,
    options: body.options,
    onBusy: body.onBusy
  })).digest("hex")

/** The request's word, then the session's, then the configuration's. A session's model goes with its own provider. */
export const fromBody = (
  session: Session,
  body: SubmitBody,
  defaults: Defaults,
  idempotencyKey: string | undefined
): Ask => {
  const sessionProvider = session.provider ?? defaults.provider
  const provider = body.provider ?? sessionProvider
  const sessionModel = provider === sessionProvider ? session.model : undefined
  const system = body.options?.system ?? session.system ?? defaults.system
  return {
    sessionId: session.id,
    provider,
    model: body.model ?? sessionModel ?? defaults.model(provider),
    options: { ...body.options, ...(system === undefined ? {} : { system }) },
    message: { _tag: "New", parts: partsOf(body.message) },
    link: {},
    parentTrace: undefined,
    onBusy: body.onBusy ?? "reject",
    idempotency: idempotencyKey === undefined ? undefined : { key: idempotencyKey, bodyHash: hashOf(body) }
  }
}

/** A child asks what its parent asked. */
export const fromParent = (
  parent: TurnRecord,
  options: SubmitOptions,
  link: Ask["link"],
  onBusy: Ask["onBusy"]
): Ask => ({
  sessionId: parent.turn.sessionId,
  provider: parent.turn.provider,
  model: parent.turn.model,
  options,
  message: { _tag: "Of", id: parent.turn.userMessageId },
  link,
  parentTrace: parent.trace,
  onBusy,
  idempotency: undefined
})

/** Options as the journal keeps them: plain JSON. */
export const toRecord = (options: SubmitOptions): TurnOptions => ({ ...options })

/** The request's generation settings over the provider's configured ones. */
export const generationOf = (options: SubmitOptions, resolved: Resolved): GenerationOptions => {
  const { maxOutputTokens, reasoning, temperature } = options
  return {
    ...resolved.generation,
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    ...(reasoning === undefined ? {} : { reasoning })
  }
}

/** Tokens kept free for the answer: what was asked for, at most what the model can give. */
export const reserveOf = (generation: GenerationOptions, resolved: Resolved): number =>
  Math.min(generation.maxOutputTokens ?? resolved.model.maxOutputTokens, resolved.model.maxOutputTokens)

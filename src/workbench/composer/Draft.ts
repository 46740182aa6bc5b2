/**
 * What is written and not sent yet, one for each session and one for a session to come; kept until the tab is closed, so
 * that it survives a reload and a refusal, and is this tab's own.
 *
 * A message that was sent without an answer keeps its idempotency key: sending it again unchanged, also after a reload,
 * gives the same turn.
 */
import { newKey } from "../../client/Clock.ts"
import * as Kept from "../kit/Kept.ts"

export interface Draft {
  readonly text: string
  /** Undefined: the session's, else the server's default. */
  readonly provider: string | undefined
  readonly model: string | undefined
  readonly unanswered: { readonly body: string; readonly key: string } | undefined
}

export const empty: Draft = { text: "", provider: undefined, model: undefined, unanswered: undefined }

const keyOf = (sessionId: string | undefined): string => `draft.${sessionId ?? "new"}`

const textOf = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

const parse = (json: string): Draft => {
  const kept = JSON.parse(json) as { readonly [name: string]: unknown }
  const unanswered = kept["unanswered"] as { readonly [name: string]: unknown } | undefined
  const body = textOf(unanswered?.["body"])
  const key = textOf(unanswered?.["key"])
  return {
    text: textOf(kept["text"]) ?? "",
    provider: textOf(kept["provider"]),
    model: textOf(kept["model"]),
    unanswered: body === undefined || key === undefined ? undefined : { body, key }
  }
}

/** What another version of the page, or a person, wrote there may be anything: it is an empty draft then. */
export const read = (sessionId: string | undefined): Draft => {
  try {
    return parse(Kept.tab.read(keyOf(sessionId)) ?? "{}")
  } catch {
    return empty
  }
}

export const write = (sessionId: string | undefined, draft: Draft): void =>
  Kept.tab.write(
    keyOf(sessionId),
    draft.text === "" && draft.provider === undefined && draft.unanswered === undefined
      ? undefined
      : JSON.stringify(draft)
  )

export const forget = (sessionId: string): void => Kept.tab.write(keyOf(sessionId), undefined)

/** The draft as it is sent: the key of the same body sent before without an answer, else a new one. */
export const sending = (draft: Draft, body: string): Draft & { readonly unanswered: { readonly key: string } } => ({
  ...draft,
  unanswered: draft.unanswered?.body === body ? draft.unanswered : { body, key: newKey() }
})

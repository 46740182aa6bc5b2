/**
 * The exit code of every ending, in one table, so that a script can act on it without reading a message. A tag that is
 * not here is 1. The same tags arrive as the `code` of a server's answer, so `--url` gives the same exit codes.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"

/** Ended by a signal (Ctrl-C): 128 + SIGINT. */
export const cancelled = 130
export const usage = 2
const unexpected = 1

const codes: Readonly<Record<string, number>> = {
  ValidationError: usage,
  InvalidRequest: usage,
  SettingsError: usage,
  ServerError: usage,
  TurnConflict: usage,
  IdempotencyConflict: usage,
  PayloadTooLarge: usage,
  Unauthorized: usage,
  ForbiddenOrigin: usage,
  MisdirectedHost: usage,
  SessionNotFound: 3,
  TurnNotFound: 3,
  NotFound: 3,
  UnknownProvider: 4,
  UnknownModel: 4,
  ProviderBlocked: 4,
  ProviderFailure: 5,
  ContextOverflow: 6,
  BudgetExceeded: 6,
  DatabaseError: 7,
  BackupError: 7,
  JournalFailure: 7,
  StorageUnavailable: 7,
  DatabaseOwned: 8,
  Fenced: 8,
  BrokenPromise: 9,
  Cancelled: cancelled
}

/** What `--help` says about them. */
export const table: ReadonlyArray<readonly [code: number, meaning: string]> = [
  [0, "done"],
  [1, "something else went wrong; the message says what"],
  [2, "wrong usage, request or settings"],
  [3, "no such session or turn"],
  [4, "provider or model unknown, or provider blocked"],
  [5, "the provider failed"],
  [6, "the message or a budget is too large"],
  [7, "the database or the disk refused"],
  [8, "another process owns the database"],
  [9, "inspect --verify found what must not be"],
  [130, "cancelled"]
]

const has = <K extends string>(value: unknown, key: K): value is { readonly [P in K]: unknown } =>
  typeof value === "object" && value !== null && key in value

/** The tag that decides: that of the error, or the one that it stands for (`code` of a server's answer). */
export const tagOf = (error: unknown): string | undefined => {
  if (!has(error, "_tag") || typeof error._tag !== "string") return undefined
  if (error._tag === "DatabaseError" && has(error, "kind") && error.kind === "owned") return "DatabaseOwned"
  return has(error, "code") && typeof error.code === "string" ? error.code : error._tag
}

export const fromTag = (tag: string | undefined): number =>
  tag === undefined || !Object.hasOwn(codes, tag) ? unexpected : codes[tag] ?? unexpected

/** `stopped` is for an ending that was asked for by a signal. */
export const fromExit = (exit: Exit.Exit<unknown, unknown>, stopped: number): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.isInterruptedOnly(exit.cause)) return stopped
  const failure = Cause.failureOption(exit.cause)
  return failure._tag === "None" ? unexpected : fromTag(tagOf(failure.value))
}

/** Numbers and names as they are written everywhere on the page. */

export const number = (value: number): string => value.toLocaleString("en")

export const characters = (count: number): string => `${number(count)} ${count === 1 ? "character" : "characters"}`

export const seconds = (ms: number): string => `${Math.max(0, Math.ceil(ms / 1000))} s`

export const milliseconds = (ms: number): string =>
  ms < 10_000 ? `${number(Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`

export const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)

/** A time of the server, to the minute. */
export const minute = (at: string): string => `${at.slice(0, 16).replace("T", " ")} UTC`

/** What was thrown, in words that can be shown. */
export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : "The page failed. Reload it."

/** Why a command cannot be given while the server has not answered one; undefined where it has. */
export const waitingFor = (pending: string | undefined): string | undefined =>
  pending && `The server was asked to ${pending}; its answer is not here yet.`

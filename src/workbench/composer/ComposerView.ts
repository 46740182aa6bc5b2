/** When a message can be sent, and in what words a provider's readiness is told. Pure. */
import type { ProviderDiagnostics, Session } from "../../client/Resources.ts"

/** The provider that every server has, and that needs neither a key nor a network. */
export const offlineProvider = "deterministic"

/** The reason that an empty message box shows by itself. */
export const nothingWritten = "Write a message first."

/** The server has not answered for some time: nothing that was asked now would be done. */
export const offlineWhy = "Offline: the message is kept here until the server answers."

/** Characters of a session's title. */
const titleMax = 60

type Provider = Pick<ProviderDiagnostics, "id" | "readiness" | "reason" | "env" | "defaultModel">

export const readinessWord: Readonly<Record<ProviderDiagnostics["readiness"], string>> = {
  ready: "Ready",
  blocked: "Blocked",
  unproven: "Configured"
}

export const missingEnv = (provider: Pick<Provider, "env">): ReadonlyArray<string> =>
  provider.env.filter(({ present }) => !present).map(({ name }) => name)

/** What the choice of this provider means; says what to do where it is blocked, and names the variables to set. */
export const providerNote = (provider: Provider): string => {
  if (provider.readiness === "unproven") return "Configured; not called from here yet."
  if (provider.readiness === "ready") return provider.id === offlineProvider ? "Works offline, without a key." : ""
  const missing = missingEnv(provider)
  const next = missing.length === 0
    ? "Change the configuration and start the server again."
    : `Set ${missing.join(" and ")} in the server's environment and start it again.`
  return `${provider.id} is blocked: ${provider.reason ?? "not usable"}. ${next}`
}

export interface Facts {
  readonly message: string
  readonly model: string
  readonly provider: Provider | undefined
  readonly connection: string
  readonly isSending: boolean
}

/** Why nothing can be asked of this provider now, or undefined. */
const askRefusal = (facts: Facts): string | undefined => {
  if (facts.connection === "unauthorized") return "The server needs a token first."
  if (facts.connection === "offline") return offlineWhy
  if (facts.provider === undefined) return "Loading the providers."
  if (facts.provider.readiness === "blocked") return providerNote(facts.provider)
  if (facts.model === "" && facts.provider.defaultModel === undefined) return `Name a model of ${facts.provider.id}.`
  return facts.message.trim() === "" ? nothingWritten : undefined
}

/** Why Send is disabled, or undefined where it is not. */
export const sendRefusal = (facts: Facts): string | undefined =>
  facts.isSending
    ? "Sending."
    : facts.connection === "loading"
    ? "Loading the session."
    : askRefusal(facts)

export const previewRefusal = askRefusal

/** The title of a session that begins with this message: its first line. */
export const titleOf = (message: string): string => {
  const line = message.trim().split("\n")[0] ?? ""
  const characters = [...line]
  return characters.length <= titleMax ? line : `${characters.slice(0, titleMax - 1).join("")}…`
}

/** A session in the picker; its time is the server's, in UTC. */
export const sessionLabel = (session: Pick<Session, "title" | "createdAt">): string =>
  `${session.title === undefined || session.title === "" ? "Untitled" : session.title} · ${
    session.createdAt.slice(5, 16).replace("T", " ")
  }`

/** When a message can be sent, and in what words a provider's readiness is told. Pure. */
import type { Session } from "../../domain/Resources.ts"
import type { ProviderDiagnostics } from "../../provider/ProviderRegistry.ts"

/** Characters of a session's title. */
const titleMax = 60

type Provider = Pick<ProviderDiagnostics, "id" | "readiness" | "reason" | "env" | "defaultModel">

export const missingEnv = (provider: Provider): ReadonlyArray<string> =>
  provider.env.filter(({ present }) => !present).map(({ name }) => name)

/** The label of a provider in the picker. */
export const providerLabel = (provider: Provider): string => `${provider.id} (${provider.readiness})`

/** What the picker's choice means; says what to set where it is blocked. */
export const providerNote = (provider: Provider | undefined): string => {
  if (provider === undefined) return ""
  if (provider.readiness === "unproven") return `${provider.id} is configured and was not called from here yet.`
  if (provider.readiness === "ready") return provider.id === "deterministic" ? "Works offline, without a key." : ""
  const missing = missingEnv(provider)
  const next = missing.length === 0 ? "Change the configuration" : `Set ${missing.join(" and ")}`
  return `${provider.id} is blocked: ${provider.reason ?? "not usable"}. ${next} and start the server again.`
}

/** Why Send is disabled, or undefined where it is not. */
export const sendRefusal = (facts: {
  readonly message: string
  readonly model: string
  readonly provider: Provider | undefined
  readonly runningTurn: number | undefined
  readonly connection: string
  readonly sending: boolean
}): string | undefined => {
  if (facts.sending) return "Sending."
  if (facts.connection === "loading") return "Loading the session."
  if (facts.connection === "unauthorized") return "The server needs a token first."
  if (facts.connection === "offline") return "Offline: the message is kept here until the server answers."
  if (facts.provider === undefined) return "No provider is known yet."
  if (facts.provider.readiness === "blocked") return providerNote(facts.provider)
  if (facts.model === "" && facts.provider.defaultModel === undefined) return `Name a model of ${facts.provider.id}.`
  if (facts.runningTurn !== undefined) return `Turn ${facts.runningTurn} is running: wait for it or cancel it.`
  return facts.message.trim() === "" ? "Write a message first." : undefined
}

/** The title of a session that begins with this message: its first line. */
export const titleOf = (message: string): string => {
  const line = message.trim().split("\n")[0] ?? ""
  return line.length <= titleMax ? line : `${line.slice(0, titleMax - 1)}…`
}

/** A session in the picker; its time is the server's, in UTC. */
export const sessionLabel = (session: Pick<Session, "title" | "createdAt">): string =>
  `${session.title === undefined || session.title === "" ? "Untitled" : session.title} · ${
    session.createdAt.slice(0, 16).replace("T", " ")
  } UTC`

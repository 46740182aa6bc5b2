/** What a configuration file must keep beyond the shape that its schema says: rules over several settings. Pure. */
import * as Catalogue from "./Catalogue.ts"
import { assumedContextWindow, type ConfigFile, deterministicModels, type ProviderSetting } from "./Settings.ts"

export interface Fault {
  readonly path: ReadonlyArray<string | number>
  readonly reason: string
  readonly next: string
}

const urlOf = (text: string): URL | undefined => {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

const baseUrlFault = (text: string): Pick<Fault, "reason" | "next"> | undefined => {
  const url = urlOf(text)
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return { reason: "is not an http or https URL", next: "Use the form https://host/path." }
  }
  if (url.username !== "" || url.password !== "") {
    return {
      reason: "holds credentials",
      next: "Put the key into an environment variable and name that in apiKeyEnv."
    }
  }
  // a path is added to it, and a key in a query ends in logs
  if (url.search !== "" || url.hash !== "") {
    return { reason: "holds a query", next: "End it with its path, and name the key's variable in apiKeyEnv." }
  }
  return undefined
}

const familyFault = ({ baseUrl, family, id, recording }: ProviderSetting): Fault | undefined => {
  const known = Catalogue.find(id)
  if (family === undefined && known === undefined) {
    return {
      path: ["family"],
      reason: `is missing, and the catalogue knows no provider "${id}"`,
      next: `Add the family, or use an id of the catalogue: ${Catalogue.entries.map((entry) => entry.id).join(", ")}.`
    }
  }
  if (id === "deterministic" && family !== undefined && family !== "deterministic") {
    return {
      path: ["family"],
      reason: 'is not "deterministic" for the provider "deterministic"',
      next: "Give a provider of another family an id of its own."
    }
  }
  if ((family === "replay") !== (recording !== undefined)) {
    return {
      path: ["recording"],
      reason: family === "replay" ? "is missing for family replay" : "is for family replay alone",
      next: family === "replay" ? "Name the file that `record: true` saved." : 'Remove it, or set family to "replay".'
    }
  }
  if (family === "openai-compatible" && baseUrl === undefined && known === undefined) {
    return {
      path: ["baseUrl"],
      reason: "is missing for family openai-compatible",
      next: "Add the server's address, for example http://127.0.0.1:9000/v1."
    }
  }
  return undefined
}

/** A window that the answer alone would fill leaves nothing for the question. */
const windowFault = (provider: ProviderSetting): Fault | undefined => {
  const sizes = [
    { path: [], setting: provider },
    ...(Array.isArray(provider.models)
      ? provider.models.map((setting, index) => ({ path: ["models", index], setting }))
      : [])
  ]
  for (const { path, setting } of sizes) {
    const configured = setting.contextWindow ?? provider.contextWindow
    const window = configured ?? assumedContextWindow
    // The deterministic provider's own window holds any answer that fits it.
    if (configured === undefined && (provider.family ?? provider.id) === "deterministic") continue
    const output = Math.max(
      setting.maxOutputTokens ?? provider.maxOutputTokens ?? 0,
      provider.generation?.maxOutputTokens ?? 0
    )
    if (window > output) continue
    return {
      path: [...path, "contextWindow"],
      reason: configured === undefined
        ? `is missing, and the assumed ${window} tokens are not more than the answer's ${output}`
        : `is ${window} tokens, which is not more than the answer's ${output}`,
      next: "Raise contextWindow or lower maxOutputTokens."
    }
  }
  return undefined
}

const modelsFault = ({ models }: ProviderSetting): Fault | undefined => {
  if (!Array.isArray(models)) return undefined
  const index = models.findIndex((model, at) => models.findIndex((other) => other.id === model.id) < at)
  return index < 0
    ? undefined
    : { path: ["models", index, "id"], reason: "stands in the list twice", next: "Remove one of the two." }
}

const providerFault = (provider: ProviderSetting): Fault | undefined => {
  const baseUrl = provider.baseUrl === undefined ? undefined : baseUrlFault(provider.baseUrl)
  if (baseUrl !== undefined) return { path: ["baseUrl"], ...baseUrl }
  return familyFault(provider) ?? modelsFault(provider) ?? windowFault(provider)
}

/** The models that a provider may be asked for, the default first; undefined where any may. */
const closedModels = (setting: ProviderSetting | undefined, id: string): ReadonlyArray<string> | undefined =>
  Array.isArray(setting?.models)
    ? setting.models.map((model) => model.id)
    : setting?.models === undefined && (setting?.family ?? id) === "deterministic"
    ? deterministicModels
    : undefined

/** A turn that names nothing is answered: its provider exists and has a model. */
const defaultsFault = ({ defaults: { model, provider }, providers }: ConfigFile): Fault | undefined => {
  const known = [...new Set([...providers.map(({ id }) => id), ...Catalogue.listedIds])]
  if (!known.includes(provider)) {
    return {
      path: ["defaults", "provider"],
      reason: "names no provider",
      next: `Use one of ${known.join(", ")}, or add it under providers.`
    }
  }
  const models = closedModels(providers.find(({ id }) => id === provider), provider)
  if (model === undefined || model === "") {
    return models !== undefined && models.length > 0 && model === undefined ? undefined : {
      path: ["defaults", "model"],
      reason: `is missing, and provider "${provider}" has no model of its own to begin with`,
      next: "Name the model that a turn uses when it names none."
    }
  }
  return models === undefined || models.includes(model) ? undefined : {
    path: ["defaults", "model"],
    reason: `is not a model of provider "${provider}"`,
    next: `Use one of ${models.join(", ")}, or list it under the provider's models.`
  }
}

const hostPattern = /^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/

/** The first fault of a file that has the right shape, or undefined. */
export const firstFault = (file: ConfigFile): Fault | undefined => {
  for (const [index, provider] of file.providers.entries()) {
    if (file.providers.findIndex((other) => other.id === provider.id) < index) {
      return {
        path: ["providers", index, "id"],
        reason: `"${provider.id}" is there twice`,
        next: "Give each provider an id of its own."
      }
    }
    const fault = providerFault(provider)
    if (fault !== undefined) return { ...fault, path: ["providers", index, ...fault.path] }
  }
  const defaults = defaultsFault(file)
  if (defaults !== undefined) return defaults
  const host = file.hosts.findIndex((text) => !hostPattern.test(text))
  if (host >= 0) {
    return {
      path: ["hosts", host],
      reason: "is not a host name",
      next: "Write name or name:port, without a scheme or a path."
    }
  }
  const origin = file.origins.findIndex((text) => urlOf(text)?.origin !== text)
  if (origin >= 0) {
    return {
      path: ["origins", origin],
      reason: "is not an origin",
      next: "Write scheme://host or scheme://host:port, in lower case, without a path or a slash at the end."
    }
  }
  return undefined
}

/**
 * Which provider and which model answer the next message. A blocked provider can be chosen: the composer then says what
 * to set, and sends nothing.
 */
import type { ProviderDiagnostics } from "../../client/Resources.ts"
import { Named } from "../kit/Named.tsx"
import * as Popover from "../kit/Popover.tsx"
import type { Workbench } from "../Workbench.ts"
import { missingEnv, readinessWord } from "./ComposerView.ts"

const panelId = "providers"

const Dot = ({ provider }: { readonly provider: ProviderDiagnostics }) => (
  <i class={`dot ${provider.readiness}`} aria-hidden="true" />
)

const Why = ({ id, provider }: { readonly id: string; readonly provider: ProviderDiagnostics }) => (
  <p id={id} class="quiet why">
    <Named text={provider.reason ?? ""} names={missingEnv(provider)} />
  </p>
)

const Row = ({ isChosen, provider, workbench }: {
  readonly provider: ProviderDiagnostics
  readonly isChosen: boolean
  readonly workbench: Workbench
}) => {
  const whyId = `why-${provider.id}`
  return (
    <li>
      <button
        type="button"
        class="plain"
        aria-pressed={isChosen}
        aria-describedby={provider.reason === undefined ? undefined : whyId}
        onClick={() => {
          workbench.setDraft({ provider: provider.id, model: undefined })
          Popover.close(panelId)
        }}
      >
        <Dot provider={provider} />
        <b>{provider.id}</b>
        <span class="quiet">{provider.family === provider.id ? "" : provider.family}</span>
        <span class="quiet grow readiness">{readinessWord[provider.readiness]}</span>
      </button>
      {provider.reason === undefined ? null : <Why id={whyId} provider={provider} />}
    </li>
  )
}

/** The provider and the model that the next message names; the model is empty where the provider has its own default. */
export const choiceOf = (workbench: Workbench) => {
  const bootstrap = workbench.bootstrap.value
  const draft = workbench.draft.value
  const session = workbench.sessions.value.find(({ id }) => id === workbench.sessionId.value)
  const id = draft.provider ?? session?.provider ?? bootstrap?.defaults.provider
  const provider = bootstrap?.providers.find((entry) => entry.id === id)
  const ownModel = session?.provider === id || session?.provider === undefined ? session?.model : undefined
  const first = provider?.id === bootstrap?.defaults.provider ? bootstrap?.defaults.model : undefined
  return { provider, model: draft.model ?? ownModel ?? (first || undefined) ?? provider?.defaultModel ?? "" }
}

const ModelField = ({ model, provider, workbench }: {
  readonly provider: ProviderDiagnostics
  readonly model: string
  readonly workbench: Workbench
}) => {
  const choose = (value: string): void => workbench.setDraft({ provider: provider.id, model: value })
  if (provider.modelList === "any") {
    return (
      <input
        aria-label="Model"
        placeholder="model id"
        value={model}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => choose(event.currentTarget.value.trim())}
      />
    )
  }
  return (
    <select aria-label="Model" value={model} onChange={(event) => choose(event.currentTarget.value)}>
      {provider.models.map(({ id }) => <option key={id} value={id}>{id}</option>)}
    </select>
  )
}

export const ProviderPicker = ({ model, provider, workbench }: {
  readonly provider: ProviderDiagnostics | undefined
  readonly model: string
  readonly workbench: Workbench
}) => {
  const providers = workbench.bootstrap.value?.providers ?? []
  return (
    <>
      <button type="button" class="picker" aria-haspopup="dialog" popovertarget={panelId}>
        <span class="unseen">Provider:</span>
        {provider === undefined ? "Loading" : (
          <>
            <Dot provider={provider} />
            {provider.id}
            <span class="unseen">, {readinessWord[provider.readiness]}</span>
          </>
        )}
        <span aria-hidden="true">▾</span>
      </button>
      <Popover.Popover id={panelId} label="Provider">
        <ul class="providers">
          {providers.map((entry) => (
            <Row key={entry.id} provider={entry} isChosen={entry.id === provider?.id} workbench={workbench} />
          ))}
        </ul>
      </Popover.Popover>
      {provider === undefined ? null : <ModelField provider={provider} model={model} workbench={workbench} />}
    </>
  )
}

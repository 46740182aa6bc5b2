/**
 * The form that sends a message: text, provider, model, and the reason where it cannot be sent.
 *
 * A message that was sent without an answer keeps its idempotency key: sending it again unchanged gives the same turn.
 * The key comes from the browser's generator; nothing of the engine runs here.
 */
import type { ProviderDiagnostics } from "../provider/ProviderRegistry.ts"
import * as ComposerView from "./ComposerView.ts"
import * as Dom from "./Dom.ts"
import type { Bootstrap, TurnRequest } from "./Server.ts"

export interface Composer {
  readonly setProviders: (bootstrap: Bootstrap) => void
  readonly setFacts: (facts: { readonly runningTurn: number | undefined; readonly connection: string }) => void
  readonly focus: () => void
}

const newKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")

/** `send` answers whether the server has the message. */
export const make = (send: (request: TurnRequest, idempotencyKey: string) => Promise<boolean>): Composer => {
  const form = Dom.byId("composer", HTMLFormElement)
  const message = Dom.byId("message", HTMLTextAreaElement)
  const providerPicker = Dom.byId("provider", HTMLSelectElement)
  const modelPicker = Dom.byId("model", HTMLSelectElement)
  const modelName = Dom.byId("model-name", HTMLInputElement)
  const button = Dom.byId("send", HTMLButtonElement)
  const why = Dom.byId("why", HTMLElement)
  let providers: ReadonlyArray<ProviderDiagnostics> = []
  let facts: { readonly runningTurn: number | undefined; readonly connection: string } = {
    runningTurn: undefined,
    connection: "loading"
  }
  let sending = false
  let unanswered: { readonly body: string; readonly key: string } | undefined

  const provider = () => providers.find(({ id }) => id === providerPicker.value)
  const model = () => provider()?.modelList === "any" ? modelName.value.trim() : modelPicker.value
  const refusal = () =>
    ComposerView.sendRefusal({ ...facts, message: message.value, model: model(), provider: provider(), sending })

  const refresh = (): void => {
    const reason = refusal()
    button.disabled = reason !== undefined
    button.title = reason ?? ""
    Dom.show(why, reason ?? ComposerView.providerNote(provider()))
  }

  const showModels = (preferred: string | undefined): void => {
    const chosen = provider()
    const isOpen = chosen?.modelList === "any"
    modelPicker.hidden = isOpen
    modelName.hidden = !isOpen
    modelPicker.replaceChildren(...(chosen?.models ?? []).map(({ id }) => Dom.option(id, id)))
    const first = preferred ?? chosen?.defaultModel
    if (first !== undefined) modelPicker.value = first
    modelName.value = ""
    modelName.placeholder = first ?? "model id"
    refresh()
  }

  const submit = async (): Promise<void> => {
    if (refusal() !== undefined) return refresh()
    const named = model()
    const request = {
      message: message.value,
      provider: providerPicker.value,
      ...(named === "" ? {} : { model: named })
    }
    const body = JSON.stringify(request)
    const key = unanswered?.body === body ? unanswered.key : newKey()
    unanswered = { body, key }
    sending = true
    refresh()
    const isTaken = await send(request, key).finally(() => {
      sending = false
    })
    if (isTaken) {
      unanswered = undefined
      if (message.value === request.message) message.value = ""
    }
    refresh()
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault()
    void submit()
  })
  message.addEventListener("input", refresh)
  modelName.addEventListener("input", refresh)
  modelPicker.addEventListener("change", refresh)
  providerPicker.addEventListener("change", () => showModels(undefined))
  message.addEventListener("keydown", (event) => {
    // Enter that ends a composition of an input method belongs to that method
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return
    event.preventDefault()
    void submit()
  })

  return {
    setProviders: (bootstrap) => {
      const chosen = providerPicker.value
      providers = bootstrap.providers
      providerPicker.replaceChildren(
        ...providers.map((entry) => Dom.option(entry.id, ComposerView.providerLabel(entry)))
      )
      const isKnown = providers.some(({ id }) => id === chosen)
      providerPicker.value = isKnown ? chosen : bootstrap.defaults.provider
      showModels(isKnown || bootstrap.defaults.model === "" ? undefined : bootstrap.defaults.model)
    },
    setFacts: (next) => {
      facts = next
      refresh()
    },
    focus: () => message.focus()
  }
}

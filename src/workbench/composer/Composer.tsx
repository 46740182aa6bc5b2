/**
 * Where a message is written, and its turn begun or stopped. The button is Send or Cancel by the state of the session
 * alone: what was clicked changes nothing before the server says so.
 */
import { useEffect, useRef } from "preact/hooks"
import type { ProviderDiagnostics } from "../../client/Resources.ts"
import { Action } from "../kit/Action.tsx"
import { Named } from "../kit/Named.tsx"
import * as Words from "../kit/Words.ts"
import type { TurnRequest } from "../server/Server.ts"
import type { OpenSession } from "../session/OpenSession.ts"
import type { TurnEntry } from "../session/TurnEntry.ts"
import type { Workbench } from "../Workbench.ts"
import "./composer.css"
import * as ComposerView from "./ComposerView.ts"
import { choiceOf, ProviderPicker } from "./ProviderPicker.tsx"
import { UseDeterministic } from "./UseDeterministic.tsx"

const PreviewLine = ({ workbench }: { readonly workbench: Workbench }) => {
  const preview = workbench.looking.preview.value
  if (preview === undefined) return null
  const text = preview.state === "asking"
    ? "Building the context …"
    : `Would send ${Words.number(preview.manifest.total)} of ${Words.number(preview.manifest.budget)} tokens`
  return <p class="quiet number">{text}</p>
}

/** What stands in the way, with the way out where there is one. */
const Why = ({ id, provider, reason, workbench }: {
  readonly id: string
  readonly reason: string | undefined
  readonly provider: ProviderDiagnostics | undefined
  readonly workbench: Workbench
}) => {
  if (reason === undefined || reason === ComposerView.nothingWritten) {
    return <p id={id} class="unseen">{reason}</p>
  }
  const canSwitch = provider?.readiness === "blocked" &&
    workbench.bootstrap.value?.providers.some((entry) => entry.id === ComposerView.offlineProvider)
  return (
    <div class="row why">
      <p id={id} class="quiet grow">
        <Named text={reason} names={provider === undefined ? [] : ComposerView.missingEnv(provider)} />
      </p>
      {canSwitch === true && <UseDeterministic workbench={workbench} />}
    </div>
  )
}

const CancelButton = ({ entry, session }: { readonly entry: TurnEntry; readonly session: OpenSession }) => (
  <Action
    class="danger"
    why={Words.waitingFor(session.asked(entry).pending)}
    onClick={() => void session.command(entry, "cancel")}
  >
    Cancel turn
  </Action>
)

export const Composer = ({ workbench }: { readonly workbench: Workbench }) => {
  const field = useRef<HTMLTextAreaElement>(null)
  const choice = choiceOf(workbench)
  const { text } = workbench.draft.value
  const session = workbench.session.value
  const running = session?.running.value
  const facts = {
    ...choice,
    message: text,
    connection: workbench.connection.value.state,
    isSending: workbench.isSending.value
  }
  const reason = ComposerView.sendRefusal(facts)
  const request: Omit<TurnRequest, "onBusy"> = {
    message: text,
    provider: choice.provider?.id ?? "",
    ...(choice.model === "" ? {} : { model: choice.model })
  }

  const send = (): void => {
    if (reason !== undefined) return
    void workbench.send(running === undefined ? request : { ...request, onBusy: "queue" })
  }

  const wanted = workbench.wantsFocus.value
  useEffect(() => {
    if (wanted > 0) field.current?.focus()
  }, [wanted])

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      <label class="unseen" for="message">Message</label>
      <textarea
        id="message"
        ref={field}
        rows={2}
        placeholder="Message"
        value={text}
        aria-describedby="send-why keys"
        onInput={(event) => workbench.setDraft({ text: event.currentTarget.value })}
        onKeyDown={(event) => {
          // Enter that ends a composition of an input method belongs to that method
          if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return
          event.preventDefault()
          send()
        }}
      />
      <div class="row">
        <ProviderPicker provider={choice.provider} model={choice.model} workbench={workbench} />
        <Action
          class="plain preview"
          why={ComposerView.previewRefusal(facts)}
          describedBy="send-why"
          onClick={() => void workbench.preview(request)}
        >
          Preview context
        </Action>
        <span id="keys" class="quiet grow hint">
          <kbd>Ctrl</kbd> <kbd>Enter</kbd> sends · <kbd>Esc</kbd> cancels
        </span>
        {session !== undefined && running !== undefined
          ? (
            <>
              <Action submits why={reason} describedBy="send-why">Queue</Action>
              <CancelButton entry={running} session={session} />
            </>
          )
          : <Action submits class="main" why={reason} describedBy="send-why">Send</Action>}
      </div>
      <PreviewLine workbench={workbench} />
      <Why id="send-why" reason={reason} provider={choice.provider} workbench={workbench} />
    </form>
  )
}

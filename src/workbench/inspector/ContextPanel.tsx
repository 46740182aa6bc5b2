/** What a turn was sent, or what the next message would be: slots in their order, tokens, and the hashes that prove it. */
import type { ContextManifest, Slot } from "../../domain/Protocol.ts"
import { CopyButton } from "../kit/CopyButton.tsx"
import * as Words from "../kit/Words.ts"
import type { Looking, Preview } from "../session/Looking.ts"
import type { TurnFacts } from "../session/TurnFacts.ts"
import * as ContextText from "./ContextText.ts"
import { Gauge } from "./Gauge.tsx"

const shortHash = (hash: string): string => hash.slice(0, 12)

const SlotItem = ({ part, slot }: { readonly slot: Slot; readonly part: number | undefined }) => (
  <li class={`slot ${slot.action}`}>
    <details>
      <summary>
        <i class={part === undefined ? "key" : `key part-${part % 4}`} aria-hidden="true" />
        <span>{ContextText.titleOf(slot.slot)}</span>
        <span class="number">{Words.number(slot.tokens)}</span>
        <span class="quiet slot-why">
          {ContextText.actionText(slot)}
          {slot.action !== "omitted" && <code title={slot.hash}>{shortHash(slot.hash)}</code>}
        </span>
      </summary>
      <dl class="pairs">
        <dt>Source</dt>
        <dd>
          <code>{slot.source}</code>
        </dd>
        <dt>Hash</dt>
        <dd>
          <code>{slot.hash}</code>
        </dd>
      </dl>
    </details>
  </li>
)

const Manifest = ({ manifest }: { readonly manifest: ContextManifest }) => {
  const parts = ContextText.partsOf(manifest)
  return (
    <>
      <p>
        <b class="number">{ContextText.sumText(manifest)}</b>
      </p>
      <p class="quiet">{ContextText.windowText(manifest)}</p>
      <Gauge
        label={ContextText.barText(manifest)}
        parts={parts.map(({ percent, slot }, index) => ({ key: `${index} ${slot.slot}`, percent }))}
        reserve={manifest.window <= 0 ? 0 : (manifest.reserve / manifest.window) * 100}
      />
      <p class={manifest.compaction ? "tone-stopped" : "quiet"}>{ContextText.compactionText(manifest)}</p>
      <ol class="slots">
        {manifest.slots.map((slot, index) => {
          const part = parts.findIndex((candidate) => candidate.slot === slot)
          return <SlotItem key={index} slot={slot} part={part === -1 ? undefined : part} />
        })}
      </ol>
      <p class="row">
        <span class="grow">
          Hash of the whole <code title={manifest.hash}>{shortHash(manifest.hash)}</code>
        </span>
        <CopyButton what="the hash of the whole" text={() => manifest.hash} />
      </p>
    </>
  )
}

const Previewed = ({ close, preview }: { readonly preview: Preview; readonly close: () => void }) => (
  <>
    <div class="row">
      <h3 class="grow">Preview of the next message</h3>
      <button type="button" class="small" onClick={close}>Close preview</button>
    </div>
    {preview.state === "asking"
      ? <p class="quiet">Asking what it would be sent with …</p>
      : <Manifest manifest={preview.manifest} />}
  </>
)

export interface Props {
  readonly looking: Looking
  /** Undefined where there is no turn: a preview needs none. */
  readonly facts: TurnFacts | undefined
  /** Whether the turn's events are here, so that what they do not say is known not to be. */
  readonly isRead: boolean
}

export const ContextPanel = ({ facts, isRead, looking }: Props) => {
  const preview = looking.preview.value
  if (preview !== undefined) return <Previewed preview={preview} close={() => looking.showPreview(undefined)} />
  const manifest = looking.folded.value?.context
  if (manifest !== undefined) return <Manifest manifest={manifest} />
  return facts !== undefined && isRead ? <p class="none">{ContextText.noContext(facts)}</p> : null
}

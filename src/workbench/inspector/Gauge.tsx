/** How full a context window is: its parts, the part kept free, and the mark where compaction would start. */
import { compactionPercent } from "./ContextText.ts"

export interface Props {
  /** All of it in words: the bar itself says nothing to who does not see it. */
  readonly label: string
  readonly parts: ReadonlyArray<{ readonly key: string; readonly percent: number }>
  /** Percent that is kept free, at the end. */
  readonly reserve?: number
}

export const Gauge = ({ label, parts, reserve = 0 }: Props) => (
  <div class="gauge" role="img" aria-label={label}>
    {parts.map(({ key, percent }) => <i key={key} style={{ width: `${percent}%` }} />)}
    {reserve > 0 && <i class="reserve" style={{ width: `${reserve}%` }} />}
    <b style={{ left: `${compactionPercent}%` }} />
  </div>
)

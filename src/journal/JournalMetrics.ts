/** What the journal measures, once a commit and never per delta. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"

/** Seconds from BEGIN to the end of COMMIT. Buckets from 0.1 ms (an SSD without flush) to 3 s (a lock waited out). */
export const commitDuration = Metric.histogram(
  "turnstream_commit_duration_seconds",
  MetricBoundaries.fromIterable([0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1, 3]),
  "Duration of a journal transaction"
)

/** Events a commit carried: how much the group commit saves. */
export const commitEvents = Metric.histogram(
  "turnstream_commit_events",
  MetricBoundaries.fromIterable([0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096]),
  "Events per journal transaction"
)

export const observeCommit = (nanos: bigint, events: number): Effect.Effect<void> =>
  Effect.zipRight(
    Metric.update(commitDuration, Number(nanos) / 1e9),
    Metric.update(commitEvents, events)
  )

/** What the journal measures: once a commit, a page or a failure, never per delta. */
import * as Instrument from "../domain/Instrument.ts"

/** From BEGIN to the end of COMMIT. Buckets from 0.1 ms (an SSD without flush) to 3 s (a lock waited out). */
export const commitDuration = Instrument.histogram(
  "turnstream.commit.duration",
  { unit: "s", description: "Duration of a journal transaction." },
  [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1, 3]
)

/** How much the group commit saves. */
export const commitEvents = Instrument.histogram(
  "turnstream.commit.events",
  { unit: "{event}", description: "Events that a journal transaction carried." },
  [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096]
)

/** Depth of the queue when the writer took it: what one transaction found waiting. */
export const commitWrites = Instrument.histogram(
  "turnstream.commit.writes",
  { unit: "{write}", description: "Appends and commands that a journal transaction found waiting." },
  [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096]
)

export const queueDepth = Instrument.gauge("turnstream.journal.queue", {
  unit: "{write}",
  description: "Appends and commands that wait for the next journal transaction."
})

/** By the storage's own word (`SQLITE_FULL`), of which there is a closed set. */
export const failures = Instrument.counters("turnstream.journal.failures", {
  unit: "{failure}",
  description: "Journal transactions that storage refused, by its code."
})

// there from the start, so that the first of them is a rise
for (const code of ["SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_BUSY", "SQLITE_CORRUPT"]) {
  failures({ code })(0)
}

export const fenced = Instrument.counter("turnstream.journal.fenced", {
  unit: "{write}",
  description: "Writes refused because another process owns the database."
})

const followersOf = Instrument.gauges("turnstream.followers", {
  unit: "{follower}",
  description: "Readers that follow a turn or a session."
})
export const followers = { turn: followersOf({ of: "turn" }), session: followersOf({ of: "session" }) } as const

const joinsOf = Instrument.counters("turnstream.follower.joins", {
  unit: "{join}",
  description: "Readers that began to follow, from the start or resumed behind an event that they had."
})
export const joins = { start: joinsOf({ from: "start" }), resumed: joinsOf({ from: "resumed" }) } as const

/** 0 is a reader that keeps up; beyond the feed in memory (some 1,500 deltas) it costs queries. */
export const followerLag = Instrument.histogram(
  "turnstream.follower.lag",
  { unit: "{event}", description: "Events that a turn's follower is behind after it was given what there was." },
  [0, 1, 4, 16, 64, 256, 1024, 4096, 16384]
)

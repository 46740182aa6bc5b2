/** What the HTTP service measures. Labels are error tags and reasons of our own: closed sets. */
import * as Instrument from "../domain/Instrument.ts"

const rejections = Instrument.counters("turnstream.requests.rejected", {
  unit: "{request}",
  description: "Requests that were answered with a problem, by its code."
})
export const rejected = (code: string): void => rejections({ code })(1)

export const eventStreams = Instrument.gauge("turnstream.event_streams", {
  unit: "{stream}",
  description: "Open event streams."
})

const droppedStreams = Instrument.counters("turnstream.event_streams.dropped", {
  unit: "{stream}",
  description: "Event streams cut because their reader took nothing (unread) or its machine is gone (vanished)."
})
export const dropped = {
  unread: droppedStreams({ reason: "unread" }),
  vanished: droppedStreams({ reason: "vanished" })
} as const

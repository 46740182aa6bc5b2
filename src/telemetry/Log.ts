/**
 * The program's log: one line an entry on stderr. JSON where a program reads it; on a terminal
 * `12:34:56.789 INFO  message key=value`, in UTC as everything else, a cause below it, indented.
 *
 * It is the only logger where it is provided: Effect's own would write the same lines again, and one of them puts every
 * line into the current span. A program that embeds the engine keeps its own, as it does not provide this.
 *
 * A reader that has gone, or that does not read, changes nothing for whoever logs: errors of the stream are ignored, and
 * beyond 1 MiB that waits to be written lines are left out; the next that finds room says how many.
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { type LogLevel as LevelSetting, Settings } from "../config/Settings.ts"
import * as LogEntry from "./LogEntry.ts"
import * as Redaction from "./Redaction.ts"

/** What is written to: `process.stderr`, or a test's own. */
export interface Sink {
  readonly write: (text: string) => unknown
  /** Bytes that wait to be written. */
  readonly writableLength: number
  readonly on: (event: "error", listener: () => void) => unknown
  readonly off: (event: "error", listener: () => void) => unknown
}

export interface Console {
  readonly sink: Sink
  /** JSON for programs, `readable` for a person. */
  readonly form: "json" | "readable"
  readonly colours: boolean
}

const waitingBytesMax = 1_048_576

const levels: Readonly<Record<LevelSetting, LogLevel.LogLevel>> = {
  debug: LogLevel.Debug,
  info: LogLevel.Info,
  warning: LogLevel.Warning,
  error: LogLevel.Error,
  none: LogLevel.None
}

/** Red for what needs somebody, yellow for what may, dim for what is beside the message. */
const colourOf = ({ ordinal }: LogLevel.LogLevel): number =>
  ordinal >= LogLevel.Error.ordinal ? 31 : ordinal >= LogLevel.Warning.ordinal ? 33 : 0

/** A word as it is; anything else in quotes, so that it ends where it ends. */
const valueText = (value: LogEntry.Plain): string =>
  typeof value === "string" ? (/^[\w.:/@+*-]+$/.test(value) ? value : LogEntry.toJson(value)) : LogEntry.toJson(value)

/** Without what would move a terminal's cursor or begin another line. */
const plainText = (text: string): string => LogEntry.toJson(text).slice(1, -1).replace(/\\(["\\])/g, "$1")

export const toReadable = (entry: LogEntry.LogEntry, colours: boolean): string => {
  const paint = (code: number, text: string) => colours && code !== 0 ? `\u001b[${code}m${text}\u001b[0m` : text
  const { cut, date, error, fields, level, message, spanId, traceId } = entry
  const beside = [
    ...fields,
    ...(traceId === undefined ? [] : [["traceId", traceId] as const]),
    ...(spanId === undefined ? [] : [["spanId", spanId] as const]),
    ...(cut ? [["cut", true] as const] : [])
  ].map(([name, value]) => ` ${paint(2, `${plainText(name)}=`)}${valueText(value)}`)
  const below = (error ?? "").split("\n").filter((line) => line.trim() !== "").map((line) => `\n    ${plainText(line)}`)
  return paint(2, date.toISOString().slice(11, 23)) + " " + paint(colourOf(level), level.label.padEnd(5)) + " " +
    plainText(message) + beside.join("") + below.join("")
}

const make = ({ colours, form, sink }: Console, redaction: Redaction.Redaction): Logger.Logger<unknown, void> => {
  const render = (entry: LogEntry.LogEntry) => form === "json" ? LogEntry.toLine(entry) : toReadable(entry, colours)
  let left = 0
  return Logger.make((options) => {
    if (sink.writableLength > waitingBytesMax) {
      left++
      return
    }
    const entry = LogEntry.make(options, redaction)
    if (left > 0) {
      const message = `${left} log lines were left out, as nobody read them`
      left = 0
      sink.write(`${render({ ...entry, level: LogLevel.Warning, message, fields: [], error: undefined })}\n`)
    }
    sink.write(`${render(entry)}\n`)
  })
}

/** Writes everything from `level` on to the console, and takes away every other logger. */
export const layer = (
  console: Console,
  options: { readonly level: LevelSetting; readonly redaction: Redaction.Redaction }
): Layer.Layer<never> => {
  const ignore = () => {}
  // without a listener a closed pipe ends the process
  const listening = Effect.acquireRelease(
    Effect.sync(() => console.sink.on("error", ignore)),
    () => Effect.sync(() => console.sink.off("error", ignore))
  )
  return Layer.mergeAll(
    Layer.scopedDiscard(listening),
    Layer.locallyScoped(FiberRef.currentLoggers, HashSet.make(make(console, options.redaction))),
    Logger.minimumLogLevel(levels[options.level])
  )
}

/** Before any settings are known. */
export const layerStart = (
  console: Console,
  level: LevelSetting,
  env: Readonly<Record<string, string | undefined>>
): Layer.Layer<never> => layer(console, { level, redaction: Redaction.fromVariables(env) })

/** As the settings say. */
export const layerSettings = (console: Console): Layer.Layer<never, never, Settings> =>
  Layer.unwrapEffect(
    Effect.flatMap(Settings, (settings) =>
      Effect.map(Redaction.fromSettings({ settings, otlp: settings.otlp }), (redaction) =>
        layer(console, { level: settings.telemetry.logLevel, redaction })))
  )

#!/usr/bin/env node
/**
 * The program: joins the command line to the layers it stands on, and runs the one effect.
 *
 * Start-up time is part of the service, so everything heavy is loaded by the command that needs it, and `serve` without
 * flags does not load the command line at all (@effect/cli and its printers).
 *
 * Signals: a command that waits for one gets it. Otherwise the first interrupts the command, whose finalizers then end
 * turns and streams rightly, and the next ends the process at once.
 */
import { makeRunMain } from "@effect/platform/Runtime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"
import * as ExitCode from "./cli/ExitCode.ts"
import * as Heap from "./cli/Heap.ts"
import * as Output from "./cli/Output.ts"
import { type Program, Served } from "./cli/Program.ts"
import * as Report from "./cli/Report.ts"
import * as Serve from "./cli/Serve.ts"
import { version } from "./http/Version.ts"
import type { Console } from "./telemetry/Log.ts"

if (process.argv.includes("serve")) Heap.loading()

const loadLayers = Effect.promise(() => import("./layers.ts"))

const loadLog = Effect.promise(() => import("./telemetry/Log.ts"))

const loadServer = Effect.promise(() =>
  Promise.all([import("./layers.ts"), import("./http/Page.ts"), import("./http/Server.ts")])
)

/** The workbench page lies beside this file. */
const pageFolder = fileURLToPath(new URL("workbench", import.meta.url))

/** stdout belongs to results, stderr to the log. */
const console: Console = {
  sink: process.stderr,
  form: process.stderr.isTTY ? "readable" : "json",
  colours: Output.wantsColours(process.stderr, process.env)
}

const program: Program = {
  version,
  serve: (options) =>
    Layer.unwrapEffect(
      Effect.map(loadServer, ([{ layerEngine, layerSettings, layerTelemetry }, Page, { layer, Server }]) =>
        Layer.effect(Served, Effect.map(Server, ({ url }) => ({ url }))).pipe(
          Layer.provide(layer),
          Layer.provide(Page.layer({ directory: pageFolder })),
          Layer.provideMerge(Heap.around(layerEngine(options))),
          Layer.provide(layerTelemetry),
          Layer.provide(Layer.unwrapEffect(Effect.map(loadLog, (Log) =>
            Log.layerSettings(console)))),
          Layer.provide(layerSettings)
        ))
    ),
  settings: Layer.unwrapEffect(Effect.map(loadLayers, ({ layerSettings }) => layerSettings)),
  engine: Layer.unwrapEffect(
    Effect.map(loadLayers, ({ layerEngine, layerQuiet }) => Layer.provide(layerEngine({ takeOver: false }), layerQuiet))
  ),
  readOnly: Layer.unwrapEffect(Effect.map(loadLayers, ({ layerReadOnly }) => layerReadOnly)),
  registry: Layer.unwrapEffect(Effect.map(loadLayers, ({ layerRegistry }) => layerRegistry)),
  inspect: (dataDir) => Effect.flatMap(loadLayers, ({ inspectDatabase }) => inspectDatabase(dataDir)),
  backup: (dataDir, destination) =>
    Effect.flatMap(loadLayers, ({ backupDatabase }) => backupDatabase(dataDir, destination)),
  httpClient: Layer.unwrapEffect(
    Effect.map(
      Effect.promise(() => import("@effect/platform/FetchHttpClient")),
      ({ layer, RequestInit }) => Layer.provide(layer, Layer.succeed(RequestInit, { redirect: "manual" }))
    )
  )
}

/** Exactly `serve` needs no parser. */
const isPlainServe = process.argv.length === 3 && process.argv[2] === "serve"

const command = isPlainServe
  ? Serve.serve(program, { takeOver: false })
  : Effect.flatMap(Effect.promise(() => import("./cli/Cli.ts")), (cli) => cli.run(program, process.argv))

/** Until settings say otherwise a service's log begins at info, a command's at warnings. */
const layerLog = Layer.unwrapEffect(
  Effect.map(
    loadLog,
    (Log) => Log.layerStart(console, process.argv.includes("serve") ? "info" : "warning", process.env)
  )
)

const main = Effect.tapErrorCause(command, (cause) => {
  const line = Report.lineOf(cause)
  return line === undefined ? Effect.void : Effect.flatMap(Output.Output, (out) => out.note(line))
}).pipe(Effect.provide(Layer.merge(Output.layer, layerLog)))

/** A timer that never fires keeps the process alive while only fibers wait; 2^31 - 1 is the longest there is. */
const foreverMs = 2 ** 31 - 1

const runMain = makeRunMain(({ fiber, teardown }) => {
  // eslint-disable-next-line no-restricted-globals -- the runtime's own heartbeat, outside any effect
  const keepAlive = setInterval(() => {}, foreverMs)
  let stopping = false
  const onSignal = (signal: NodeJS.Signals) => {
    if (process.listenerCount(signal) > 1) return
    if (stopping) process.exit(ExitCode.cancelled)
    stopping = true
    fiber.unsafeInterruptAsFork(fiber.id())
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  fiber.addObserver((exit) => {
    clearInterval(keepAlive)
    teardown(exit, (code) => process.exit(code))
  })
})

runMain(main, {
  disableErrorReporting: true,
  disablePrettyLogger: true,
  // a command that is to be stopped by a signal, like `serve`, has said what that is worth
  teardown: (exit, onExit) => onExit(ExitCode.fromExit(exit, Number(process.exitCode ?? ExitCode.cancelled)))
})

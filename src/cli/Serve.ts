/**
 * `serve`: starts everything, says so in one line on stdout, and runs until a signal or another owner of the database
 * ends it. Being told to stop is this command's good end: the turns are drained, the streams ended, the exit code is 0.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Journal } from "../journal/Journal.ts"
import { Output } from "./Output.ts"
import { type Program, Served } from "./Program.ts"
import { Reported } from "./Report.ts"

export const serve = (program: Program, options: { readonly takeOver: boolean }) =>
  Effect.gen(function*() {
    const out = yield* Output
    const service = yield* Layer.build(program.serve(options))
    // a service goes on when nobody reads its stdout
    const { url } = Context.get(service, Served)
    yield* Effect.exit(out.line(`turnstream ready on ${url}`))
    const journal = Context.get(service, Journal)
    const { durability, epoch, path, schemaVersion } = yield* Effect.orDie(journal.info)
    yield* Effect.logInfo("Ready").pipe(
      Effect.annotateLogs({ url, version: program.version, database: path, schemaVersion, durability, epoch })
    )
    const lost = yield* journal.fenced
    yield* Effect.logError(lost.message)
    return yield* new Reported({ code: lost._tag })
  }).pipe(
    Effect.scoped,
    Effect.onInterrupt(() =>
      Effect.sync(() => {
        process.exitCode = 0
      })
    )
  )

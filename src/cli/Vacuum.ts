/** `vacuum`: gives back the room of what was deleted, in this process or in the service that owns the database. */
import * as Effect from "effect/Effect"
import { Output } from "./Output.ts"
import { TurnClient } from "./TurnClient.ts"

export const vacuum = Effect.fn("Cli.vacuum")(function*(json: boolean) {
  const out = yield* Output
  const done = yield* Effect.flatMap(TurnClient, (client) => client.vacuum)
  if (json) return yield* out.line(JSON.stringify(done))
  yield* out.line(`${done.bytesBefore} bytes before, ${done.bytesAfter} after`)
  if (!done.logEmptied) {
    yield* out.note("The log could not be emptied, because it is being read (a backup?). Run this again after that.")
  }
})

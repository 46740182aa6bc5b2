/**
 * From parsed flags to what a command does: which layers it stands on, and its module, loaded on demand. Commands that
 * only read stand on the read-only journal and never take ownership; those that write own the database or talk to the
 * server that does.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Settings } from "../config/Settings.ts"
import type { SettingsError } from "../config/SettingsLoader.ts"
import { SessionId, TurnId } from "../domain/Ids.ts"
import { InvalidRequest } from "../domain/RequestError.ts"
import { DatabaseError } from "../journal/Database.ts"
import { Script } from "../provider/Script.ts"
import { type Flags, over } from "./Flags.ts"
import { Output } from "./Output.ts"
import type { Program, StartError } from "./Program.ts"
import { TurnClient } from "./TurnClient.ts"
import type { Asked } from "./Usage.ts"
import type { UsageReader } from "./UsageReader.ts"

/** A module of this program: if it cannot be loaded, the installation is broken. */
const load = <A>(module: () => Promise<A>): Effect.Effect<A> => Effect.promise(module)

const decodeId = <A>(schema: Schema.Schema<A, string>, path: string) => {
  const decode = Schema.decode(schema)
  return (text: string): Effect.Effect<A, InvalidRequest> =>
    Effect.mapError(
      decode(text),
      () => new InvalidRequest({ path, reason: "an id is 1 to 64 characters of A-Z a-z 0-9 _ -" })
    )
}
const turnId = decodeId(TurnId, "turn")
const sessionId = decodeId(SessionId, "session")

interface ServerFlags extends Flags {
  readonly url: string | undefined
}

interface AskFlags extends ServerFlags {
  readonly session: string | undefined
  readonly provider: string | undefined
  readonly model: string | undefined
  readonly system: string | undefined
}

/** The owner is most likely a server of ours; where it listens only it knows, and a single turn takes nothing over. */
class OwnedElsewhere extends Data.TaggedError("OwnedElsewhere")<{ readonly path: string; readonly owner: string }> {
  readonly code = "DatabaseOwned"
  override get message() {
    return `${this.path} is owned by a running process (${this.owner}). If that is a server, send this to it: --url http://<host>:<port>, the address that it printed when it was ready. Else stop it first.`
  }
}

const nameOwner = <E>(error: E | StartError): E | StartError | OwnedElsewhere =>
  error instanceof DatabaseError && error.kind === "owned"
    ? new OwnedElsewhere({ path: error.path, owner: error.detail })
    : error

/** Turns of an engine in this process. */
const localClient = (program: Program) =>
  Effect.map(load(() => import("./TurnClientLocal.ts")), ({ layer }) =>
    layer.pipe(
      Layer.provide(Layer.mapError(program.engine, nameOwner)),
      Layer.provide(program.settings)
    ))

/** Turns of the server at `url`. */
const remoteClient = (program: Program, url: string) =>
  Effect.map(load(() => import("./TurnClientHttp.ts")), ({ layer }) => Layer.provide(layer(url), program.httpClient))

const client = (
  program: Program,
  { url }: ServerFlags
): Layer.Layer<TurnClient, SettingsError | StartError | OwnedElsewhere | InvalidRequest> =>
  url === undefined ? Layer.unwrapEffect(localClient(program)) : Layer.unwrapEffect(remoteClient(program, url))

const reading = (program: Program) => Layer.provide(program.readOnly, program.settings)

const turnBody = ({ model, provider, system }: AskFlags, script?: Script) => ({
  ...(provider === undefined ? {} : { provider }),
  ...(model === undefined ? {} : { model }),
  ...(system === undefined && script === undefined
    ? {}
    : { options: { ...(system === undefined ? {} : { system }), ...(script === undefined ? {} : { script }) } })
})

const decodeScript = Schema.decode(Schema.parseJson(Script), { onExcessProperty: "error", exact: true })
const scriptOf = (text: string | undefined) =>
  text === undefined
    ? Effect.succeed(undefined)
    : Effect.mapError(decodeScript(text), () =>
      new InvalidRequest({ path: "--script", reason: 'is not a script; for example {"deltas":20,"delayMs":50}' }))

export const serve = (program: Program) => (flags: Flags & { readonly takeOver: boolean }) =>
  over(flags)(
    Effect.flatMap(load(() => import("./Serve.ts")), ({ serve }) => serve(program, { takeOver: flags.takeOver }))
  )

export const turn =
  (program: Program) =>
  (flags: AskFlags & { readonly text: string; readonly json: boolean; readonly script: string | undefined }) =>
    Effect.gen(function*() {
      const { runTurn } = yield* load(() => import("./RunTurn.ts"))
      if (flags.text.trim() === "") {
        return yield* new InvalidRequest({ path: "text", reason: "is empty; give a message" })
      }
      const body = { ...turnBody(flags, yield* scriptOf(flags.script)), message: flags.text }
      const given = flags.session === undefined ? undefined : yield* sessionId(flags.session)
      return yield* Effect.gen(function*() {
        const session = given ?? (yield* Effect.flatMap(TurnClient, (client) => client.createSession)).id
        yield* runTurn({ sessionId: session, body, json: flags.json })
      }).pipe(Effect.provide(client(program, flags)))
    }).pipe(over(flags))

export const chat = (program: Program) => (flags: AskFlags) =>
  Effect.gen(function*() {
    const { chat } = yield* load(() => import("./Chat.ts"))
    const Lines = yield* load(() => import("./Lines.ts"))
    const session = flags.session === undefined ? undefined : yield* sessionId(flags.session)
    return yield* Effect.provide(
      chat({ session, turn: turnBody(flags) }),
      Layer.merge(client(program, flags), Lines.layer("> "))
    )
  }).pipe(over(flags))

export const replay =
  (program: Program) => (flags: Flags & { readonly turn: string; readonly from: number; readonly speed: string }) =>
    Effect.gen(function*() {
      const { parseSpeed, replay } = yield* load(() => import("./Replay.ts"))
      const turn = yield* turnId(flags.turn)
      const speed = yield* parseSpeed(flags.speed)
      return yield* Effect.provide(replay({ turn, from: flags.from, speed }), reading(program))
    }).pipe(over(flags))

export const inspect =
  (program: Program) =>
  (flags: Flags & { readonly turn: string | undefined; readonly json: boolean; readonly verify: boolean }) =>
    Effect.gen(function*() {
      const given = flags.turn === undefined ? undefined : yield* turnId(flags.turn)
      if (flags.verify) {
        const { verifyDatabase, verifyTurn } = yield* load(() => import("./Verify.ts"))
        return yield* given === undefined
          ? verifyDatabase(program, flags.json).pipe(Effect.provide(program.readOnly), Effect.provide(program.settings))
          : Effect.provide(verifyTurn(given, flags.json), reading(program))
      }
      if (given === undefined) {
        return yield* new InvalidRequest({ path: "turn", reason: "is missing; give a turn's id, or --verify" })
      }
      const { inspect } = yield* load(() => import("./Inspect.ts"))
      return yield* Effect.provide(inspect(given, flags.json), reading(program))
    }).pipe(over(flags))

/** Where nothing was started yet there is nothing to show, and that is no error. */
const orNoDatabase = (json: boolean) => <E, R>(effect: Effect.Effect<void, E | DatabaseError, R>) =>
  Effect.catchAll(effect, (error) =>
    error instanceof DatabaseError && error.kind === "missing"
      ? Effect.flatMap(load(() => import("./Inspect.ts")), ({ noDatabase }) => noDatabase(error.path, json))
      : Effect.fail(error))

export const sessions = (program: Program) => (flags: Flags & { readonly json: boolean }) =>
  Effect.flatMap(
    load(() => import("./Inspect.ts")),
    ({ sessions }) => Effect.provide(sessions(flags.json), reading(program)).pipe(orNoDatabase(flags.json))
  ).pipe(over(flags))

/** The ledger of the database. */
const localLedger = (program: Program) =>
  Effect.map(load(() => import("./UsageReader.ts")), ({ layer }) => Layer.provide(layer, reading(program)))

/** The ledger of the server at `url`. */
const remoteLedger = (program: Program, url: string) =>
  Effect.map(load(() => import("./UsageReaderHttp.ts")), ({ layer }) => Layer.provide(layer(url), program.httpClient))

const ledger = (
  program: Program,
  { url }: ServerFlags
): Layer.Layer<UsageReader, SettingsError | DatabaseError | InvalidRequest> =>
  url === undefined ? Layer.unwrapEffect(localLedger(program)) : Layer.unwrapEffect(remoteLedger(program, url))

export const usage = (program: Program) => (flags: ServerFlags & Asked & { readonly json: boolean }) =>
  Effect.gen(function*() {
    const { queryOf, usage } = yield* load(() => import("./Usage.ts"))
    const query = yield* queryOf(flags)
    yield* Effect.provide(usage(query, flags.json), ledger(program, flags)).pipe(orNoDatabase(flags.json))
  }).pipe(over(flags))

export const doctor =
  (program: Program) => (flags: Flags & { readonly probe: string | undefined; readonly model: string | undefined }) =>
    Effect.gen(function*() {
      const { model, probe } = flags
      if (model !== undefined && probe === undefined) {
        return yield* new InvalidRequest({ path: "--model", reason: "is the model of a probe; add --probe <provider>" })
      }
      const { doctor } = yield* load(() => import("./Doctor.ts"))
      return yield* doctor(program, flags, probe === undefined ? undefined : { provider: probe, model })
    }).pipe(over(flags))

export const exportSession =
  (program: Program) => (flags: Flags & { readonly session: string; readonly out: string | undefined }) =>
    Effect.gen(function*() {
      const { exportSession } = yield* load(() => import("./Transfer.ts"))
      const session = yield* sessionId(flags.session)
      return yield* Effect.provide(exportSession(session, flags.out), reading(program))
    }).pipe(over(flags))

export const importSession = (program: Program) => (flags: ServerFlags & { readonly file: string }) =>
  Effect.gen(function*() {
    const { importSession, readTranscript } = yield* load(() => import("./Transfer.ts"))
    // before the database is opened: a wrong file changes nothing
    const transcript = yield* readTranscript(flags.file)
    return yield* Effect.provide(importSession(transcript), client(program, flags))
  }).pipe(over(flags))

export const backup = (program: Program) => (flags: Flags & { readonly destination: string }) =>
  Effect.gen(function*() {
    const out = yield* Output
    const { dataDir } = yield* Settings
    const { bytes, destination } = yield* program.backup(dataDir, flags.destination)
    yield* out.line(`${destination} (${bytes} bytes, checked)`)
  }).pipe(Effect.provide(program.settings), over(flags))

export const vacuum = (program: Program) => (flags: ServerFlags & { readonly json: boolean }) =>
  Effect.flatMap(
    load(() => import("./Vacuum.ts")),
    ({ vacuum }) => Effect.provide(vacuum(flags.json), client(program, flags))
  ).pipe(over(flags))

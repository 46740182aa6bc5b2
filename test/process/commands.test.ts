import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as TurnEvent from "../../src/domain/TurnEvent.ts"
import * as TurnState from "../../src/domain/TurnState.ts"
import { ask, folder, follow, run, scriptText, serve, start, startTurn } from "./harness.ts"

const lines = (text: string): ReadonlyArray<string> => text.split("\n").filter((line) => line !== "")
const eventsOf = (stdout: string) => lines(stdout).map((line) => TurnEvent.decode(JSON.parse(line)))
const script = (value: unknown) => ["--script", JSON.stringify(value)]

describe("turn", () => {
  it.scopedLive("streams the text, and with --json every event of the turn in order, one a line", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const plain = yield* run(["turn", "hello there"], { dataDir })
      assert.deepStrictEqual(plain, { code: 0, stdout: "hello there\n", stderr: "" })
      const { code, stdout } = yield* run(["turn", "go", "--json", ...script({ deltas: 40 })], { dataDir })
      assert.strictEqual(code, 0)
      const state = TurnState.fold(eventsOf(stdout))
      assert.strictEqual(state?.status, "completed")
      assert.strictEqual(state?.text, scriptText(40))
    }))

  it.scopedLive("Ctrl-C cancels the turn, shows its end and keeps the partial", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const program = yield* start(["turn", "go", "--json", ...script({ deltas: 5_000, delayMs: 10 })], { dataDir })
      yield* program.line(/"type":"model.delta"/)
      yield* program.signal("SIGINT")
      assert.deepStrictEqual(yield* program.ended, { code: 130, signal: null })
      const state = TurnState.fold(eventsOf(program.stdout()))
      assert.deepInclude(state?.error, { _tag: "Cancelled", cause: "user_stop" })
      assert.isTrue(scriptText(5_000).startsWith(state?.text ?? "-"))
      const { stdout } = yield* run(["replay", state?.turnId ?? "", "--speed", "max"], { dataDir })
      assert.strictEqual(stdout.trimEnd(), state?.text.trimEnd())
    }))

  it.scopedLive("SIGTERM and a closed pipe cancel it too", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const cause = Effect.gen(function*() {
        const session = lines((yield* run(["sessions", "--json"], { dataDir })).stdout).at(-1) ?? ""
        const { id } = JSON.parse(session) as { id: string }
        const { stdout } = yield* run(["turn", "again", "--json", "--session", id], { dataDir })
        assert.strictEqual(eventsOf(stdout).at(-1)?.type, "turn.completed")
      })
      const stopped = yield* start(["turn", "go", "--json", ...script({ deltas: 5_000, delayMs: 10 })], { dataDir })
      const [, id = ""] = yield* stopped.line(/"turnId":"([^"]+)".*"type":"model.delta"/)
      yield* stopped.signal("SIGTERM")
      assert.strictEqual((yield* stopped.ended).code, 130)
      const inspected = yield* run(["inspect", id, "--json"], { dataDir })
      const { turn } = JSON.parse(inspected.stdout) as { turn: { error: { _tag: string } } }
      assert.strictEqual(turn.error._tag, "Cancelled")

      const piped = yield* start(["turn", "go", ...script({ deltas: 5_000, delayMs: 10 })], { dataDir })
      yield* Effect.async<void>((resume) => {
        piped.child.stdout?.once("data", () => {
          piped.child.stdout?.destroy()
          resume(Effect.void)
        })
      })
      assert.strictEqual((yield* piped.ended).code, 130)
      yield* cause
    }))

  it.scopedLive("an error is one line on stderr and an exit code of its own, in process and over --url alike", () =>
    Effect.gen(function*() {
      const own = yield* folder
      const served = yield* folder
      const server = yield* serve({ dataDir: served })
      const cases: ReadonlyArray<readonly [code: number, says: RegExp, args: ReadonlyArray<string>]> = [
        [4, /No provider "nope".* Known: deterministic/, ["turn", "x", "--provider", "nope"]],
        [4, /has no model "nope"/, ["turn", "x", "--model", "nope"]],
        [
          4,
          /is blocked: .*ANTHROPIC_API_KEY is not set. Set network.live to true, set ANTHROPIC_API_KEY and start again, or use the provider "deterministic"\./,
          [
            "turn",
            "x",
            "--provider",
            "anthropic",
            "--model",
            "any"
          ]
        ],
        [3, /No session "nope"/, ["turn", "x", "--session", "nope"]],
        [5, /failed with quota/, ["turn", "x", ...script({ steps: [{ fail: { kind: "quota" } }] })]],
        [2, /--script: is not a script/, ["turn", "x", "--script", '{"deltas":-1}']],
        [2, /text: is empty/, ["turn", " "]]
      ]
      for (const [code, says, args] of cases) {
        for (const where of [[], ["--url", server.url]]) {
          const ended = yield* run([...args, ...where], { dataDir: own })
          assert.strictEqual(ended.code, code, `${args.join(" ")}: ${ended.stderr}`)
          assert.match(ended.stderr, says)
          assert.strictEqual(lines(ended.stderr).length, 1, ended.stderr)
        }
      }
    }))

  it.scopedLive("beside a running server it is refused and names --url; over --url it works, with the same events", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const server = yield* serve({ dataDir })
      for (const command of [["turn", "hello"], ["chat"], ["import", join(dataDir, "session.json")]]) {
        writeFileSync(join(dataDir, "session.json"), '{"v":1,"session":{},"messages":[]}')
        const refused = yield* run(command, { dataDir })
        assert.strictEqual(refused.code, 8)
        assert.include(refused.stderr, "--url http://<host>:<port>")
        assert.notInclude(refused.stderr, "--take-over", "a flag that it does not have")
        assert.strictEqual(lines(refused.stderr).length, 1, refused.stderr)
      }
      const { code, stdout } = yield* run(["turn", "hello", "--json", "--url", server.url], { dataDir })
      assert.strictEqual(code, 0)
      const state = TurnState.fold(eventsOf(stdout))
      assert.strictEqual(state?.text, "hello")
      const page = yield* ask(`${server.url}/v1/turns/${state?.turnId}/events?limit=1000`)
      assert.deepStrictEqual(page.body["items"], lines(stdout).map((line) => JSON.parse(line)))
      // reading takes no ownership
      assert.include((yield* run(["sessions"], { dataDir })).stdout, state?.sessionId ?? "-")
      assert.strictEqual((yield* run(["inspect", state?.turnId ?? ""], { dataDir })).code, 0)
    }))

  it.scopedLive("over --url it outlives a restart of the server: no event twice, none missed, and the true end", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const server = yield* serve({ dataDir })
      const env = { TURNSTREAM_PORT: new URL(server.url).port }
      const client = yield* start(
        ["turn", "go", "--json", "--url", server.url, ...script({ deltas: 50_000, delayMs: 2 })],
        { dataDir }
      )
      yield* client.line(/"type":"model.delta"/)
      yield* server.signal("SIGKILL")
      yield* server.ended
      yield* serve({ dataDir, env })
      assert.strictEqual((yield* client.ended).code, 1)
      const state = TurnState.fold(eventsOf(client.stdout()))
      assert.deepInclude(state?.error, { _tag: "Interrupted", cause: "crash" })
      assert.isTrue(scriptText(50_000).startsWith(state?.text ?? "-"))
    }))

  it.scopedLive("a server with a token takes it from TURNSTREAM_TOKEN, and refuses without", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const env = { TURNSTREAM_TOKEN: "canary-9f2b" }
      const server = yield* serve({ dataDir, env })
      assert.strictEqual((yield* run(["turn", "hello", "--url", server.url], { dataDir, env })).stdout, "hello\n")
      const refused = yield* run(["turn", "hello", "--url", server.url], { dataDir })
      assert.strictEqual(refused.code, 2)
      assert.include(refused.stderr, "token")
      const { stdout } = yield* run(["doctor"], { dataDir, env })
      assert.notInclude(stdout + server.stderr() + refused.stderr, "canary-9f2b", "P25: a secret was shown")
    }))
})

describe("chat", () => {
  it.scopedLive("over a pipe each line is a turn of one session and the end of input leaves", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const { code, stderr, stdout } = yield* run(["chat"], { dataDir }, "one\n\ntwo\nthree")
      assert.deepStrictEqual({ code, stderr, stdout }, { code: 0, stderr: "", stdout: "one\ntwo\nthree\n" })
      const [session] = lines((yield* run(["sessions", "--json"], { dataDir })).stdout)
      assert.deepInclude(JSON.parse(session ?? "{}"), { turnCount: 3, running: null })
    }))

  it.scopedLive("a turn that fails does not end it, and decides the exit code of a pipe; /new starts a session, /quit leaves", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const server = yield* serve({ dataDir })
      const failing = yield* run(["chat", "--url", server.url, "--model", "nope"], { dataDir }, "one\ntwo\n")
      assert.strictEqual(failing.code, 4)
      assert.strictEqual(lines(failing.stderr).length, 2)
      const { code, stdout } = yield* run(["chat", "--url", server.url], { dataDir }, "one\n/new\ntwo\n/quit\nthree\n")
      assert.deepStrictEqual({ code, stdout }, { code: 0, stdout: "one\ntwo\n" })
      const counts = lines((yield* run(["sessions", "--json"], { dataDir })).stdout)
        .map((line) => (JSON.parse(line) as { turnCount: number }).turnCount)
      assert.deepStrictEqual(counts, [2, 1, 1])
    }))

  it.scopedLive("Ctrl-C cancels the answer and the conversation goes on", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const program = yield* start(["chat", "--model", "slow"], { dataDir })
      yield* Effect.async<void>((resume) => {
        program.child.stdout?.once("data", () => resume(Effect.void))
        program.child.stdin?.write("one\n")
      })
      yield* program.signal("SIGINT")
      yield* Effect.async<void>((resume) => {
        program.child.stderr?.once("data", () => resume(Effect.void))
      })
      assert.include(program.stderr(), "Cancelled on request")
      yield* program.input("/help\n")
      assert.strictEqual((yield* program.ended).code, 130, "the end of input tells of the turn that was cancelled")
      assert.include(program.stderr(), "/new", "the next line was not read")
      const [session] = lines((yield* run(["sessions", "--json"], { dataDir })).stdout)
      assert.deepInclude(JSON.parse(session ?? "{}"), { turnCount: 1, running: null })
    }))

  it.scopedLive("Ctrl-C at the prompt leaves", () =>
    Effect.gen(function*() {
      const program = yield* start(["chat"], { dataDir: yield* folder })
      yield* Effect.async<void>((resume) => {
        program.child.stderr?.once("data", () => resume(Effect.void))
        program.child.stdin?.write("/help\n")
      })
      yield* program.signal("SIGINT")
      assert.deepStrictEqual(yield* program.ended, { code: 0, signal: null })
    }))
})

describe("data", () => {
  it.scopedLive("export, import and export again give the same transcript, in process and over --url", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      yield* run(["chat"], { dataDir }, "one\ntwö \u{1f600}\n")
      const [session = "{}"] = lines((yield* run(["sessions", "--json"], { dataDir })).stdout)
      const { id } = JSON.parse(session) as { id: string }
      const file = join(dataDir, "session.json")
      const exported = yield* run(["export", id], { dataDir })
      assert.strictEqual((yield* run(["export", id, "--out", file], { dataDir })).code, 0)
      assert.strictEqual(readFileSync(file, "utf8"), exported.stdout)
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.strictEqual((yield* run(["export", id, "--out", file], { dataDir })).code, 2, "a file was replaced")
      assert.strictEqual((JSON.parse(exported.stdout) as { messages: ReadonlyArray<unknown> }).messages.length, 4)

      const imported = (yield* run(["import", file], { dataDir })).stdout.trim()
      assert.strictEqual((yield* run(["export", imported], { dataDir })).stdout, exported.stdout)
      const server = yield* serve({ dataDir })
      const remote = (yield* run(["import", file, "--url", server.url], { dataDir })).stdout.trim()
      assert.strictEqual((yield* run(["export", remote], { dataDir })).stdout, exported.stdout)
      const { body } = yield* ask(`${server.url}/v1/sessions/${remote}/export`)
      assert.deepStrictEqual(body, JSON.parse(exported.stdout))

      writeFileSync(file, `{"v":1,"session":{},"messages":[],"more":1}`)
      assert.strictEqual((yield* run(["import", file, "--url", server.url], { dataDir })).code, 2)
    }))

  it.scopedLive("P31: a backup of a live database opens as a database and holds what was committed", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const other = yield* folder
      const server = yield* serve({ dataDir })
      yield* run(["turn", "kept", "--url", server.url], { dataDir })
      const { code, stderr } = yield* run(["backup", join(other, "turnstream.db")], { dataDir })
      assert.strictEqual(code, 0, stderr)
      const doctor = yield* run(["doctor"], { dataDir: other })
      assert.strictEqual(doctor.code, 0, doctor.stdout)
      const [session = "{}"] = lines((yield* run(["sessions", "--json"], { dataDir: other })).stdout)
      const { id } = JSON.parse(session) as { id: string }
      assert.include((yield* run(["export", id], { dataDir: other })).stdout, "kept")
      assert.strictEqual((yield* run(["turn", "goes on", "--session", id], { dataDir: other })).stdout, "goes on\n")
      assert.strictEqual((yield* run(["backup", join(other, "turnstream.db")], { dataDir })).code, 7)
    }))

  it.scopedLive("doctor tells where each setting came from, who owns the database, and fails when something is wrong", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const fresh = yield* run(["doctor"], { dataDir })
      assert.strictEqual(fresh.code, 0)
      assert.include(fresh.stdout, "not there yet")
      const server = yield* serve({ dataDir })
      const file = join(dataDir, "turnstream.json")
      writeFileSync(file, JSON.stringify({ drainMs: 5, limits: { idleMs: 7 } }))
      const { code, stdout } = yield* run(["doctor", "--config", file], { dataDir })
      assert.strictEqual(code, 0)
      for (
        const part of [
          `TURNSTREAM_DATA_DIR = ${dataDir} (TURNSTREAM_DATA_DIR)`,
          "TURNSTREAM_HOST = 127.0.0.1 (default)",
          `TURNSTREAM_CONFIG = ${file} (--config)`,
          "drainMs = 5 (file)",
          "limits.idleMs = 7 (file)",
          "limits.totalMs = 600000 (default)",
          "deterministic (default): ready",
          "anthropic: blocked, ANTHROPIC_API_KEY not set",
          `owner: process ${server.child.pid}`,
          "integrity: ok",
          "All is well."
        ]
      ) assert.include(stdout, part)
      yield* server.signal("SIGTERM")
      yield* server.ended

      writeFileSync(file, JSON.stringify({ defaults: { provider: "anthropic", model: "any" } }))
      assert.strictEqual((yield* run(["doctor", "--config", file], { dataDir })).code, 4)
      writeFileSync(file, JSON.stringify({ limit: {} }))
      const wrong = yield* run(["doctor", "--config", file], { dataDir })
      assert.strictEqual(wrong.code, 2)
      assert.include(wrong.stdout, "limit: is not a setting")
      const database = join(dataDir, "turnstream.db")
      const bytes = readFileSync(database)
      bytes.fill(0xff, 4_096, 12_288)
      writeFileSync(database, bytes)
      assert.strictEqual((yield* run(["doctor"], { dataDir })).code, 7)
    }))
})

describe("usage of turns", () => {
  it.scopedLive("reads the database beside its owner, and the owner over --url, with the same rows and the same sum", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const env = { TURNSTREAM_TOKEN: "canary-7c1d" }
      const server = yield* serve({ dataDir, env })
      const empty = yield* run(["usage"], { dataDir })
      assert.deepInclude(empty, { code: 0, stdout: "" })
      assert.match(empty.stderr, /^No usage yet\. .*turnstream turn "hello"\n$/)
      for (const deltas of [600, 900]) {
        yield* run(["turn", "hello", "--url", server.url, ...script({ deltas })], { dataDir, env })
      }
      const own = yield* run(["usage"], { dataDir })
      assert.strictEqual(own.code, 0)
      const [head = "", row = "", total = "", ...rest] = lines(own.stdout).map((line) => line.replace(/ +/g, " "))
      assert.lengthOf(rest, 0)
      assert.strictEqual(head, "day provider model source turns input output total context cost")
      assert.match(row, /^\d{4}-\d\d-\d\d deterministic \S+ deterministic 2 \d+ 1,500 1,\d{3} \d+\.\d% unknown$/)
      assert.match(total, /^total 2 \d+ 1,500 1,\d{3} \d+\.\d% unknown$/)
      assert.include(own.stderr, "providers[].prices")
      assert.deepStrictEqual(yield* run(["usage", "--url", server.url], { dataDir, env }), own)

      const asked = ["usage", "--by", "turn", "--json", "--provider", "deterministic"]
      const { stdout } = yield* run([...asked, "--url", server.url], { dataDir, env })
      assert.deepStrictEqual(yield* run(asked, { dataDir }), { code: 0, stdout, stderr: "" })
      const { body } = yield* ask(`${server.url}/v1/usage?by=turn,source`, "GET", undefined, {
        authorization: "Bearer canary-7c1d"
      })
      assert.deepStrictEqual(lines(stdout).map((line) => JSON.parse(line)), body["items"])
      const refused = yield* run(["usage", "--url", server.url], { dataDir })
      assert.strictEqual(refused.code, 2)
      assert.include(refused.stderr, "TURNSTREAM_TOKEN")
      yield* server.signal("SIGTERM")
      yield* server.ended
      const gone = yield* run(["usage", "--url", server.url], { dataDir })
      assert.strictEqual(gone.code, 1)
      assert.include(gone.stderr, "turnstream serve")
    }))

  it.scopedLive("a flag that is malformed is one line on stderr that names it, before any database is looked for", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const cases: ReadonlyArray<readonly [flag: string, args: ReadonlyArray<string>]> = [
        ["--by", ["--by", "week"]],
        ["--session", ["--session", "a b"]],
        ["--from", ["--from", "2026-02-30"]],
        ["--to", ["--to", "today"]],
        ["--from", ["--from", "2026-02-02", "--to", "2026-02-01"]],
        ["--url", ["--url", "ftp://there"]]
      ]
      for (const [flag, args] of cases) {
        const { code, stderr, stdout } = yield* run(["usage", ...args], { dataDir })
        assert.deepStrictEqual({ code, stdout }, { code: 2, stdout: "" }, args.join(" "))
        assert.match(stderr, new RegExp(`^turnstream: ${flag}: [^\\n]+\\n$`))
      }
    }))

  it.scopedLive("inspect tells a turn's commits and usage, and doctor what is used of a budget, beside the owner", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const config = {
        limits: { tokensPerSession: 1_000_000, tokensPerDay: 600 },
        telemetry: { captureContent: true },
        providers: [{ id: "deterministic", prices: { input: 0, output: 2.5 } }]
      }
      const fresh = yield* run(["doctor"], { dataDir, config })
      assert.strictEqual(fresh.code, 0, fresh.stdout)
      assert.include(fresh.stdout, "budget limits.tokensPerDay: 600; nothing is used yet")
      // with a collector, that nobody needs to be: without one there are no spans
      const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" }
      const server = yield* serve({ dataDir, config, env: traced })
      const { turnId } = yield* startTurn(server.url, { deltas: 700 })
      yield* Effect.flatMap(follow(server.url, turnId), ({ ended }) => ended)
      const inspected = yield* run(["inspect", turnId], { dataDir })
      assert.match(inspected.stdout, /\n\d+ commits, the largest \d+ events \(#\d+ to #\d+\) of [\d,]+ characters\n/)
      assert.match(inspected.stdout, /700 out, \d+ in all \(deterministic\), context \d+\.\d%, cost 0\.00175 /)
      assert.match(inspected.stdout, /\ntrace [0-9a-f]{32}\n/)
      assert.match((yield* run(["usage", "--by", "day"], { dataDir })).stdout, / 0\.00175\ntotal .* 0\.00175\n$/)
      const { commits, turn } = JSON.parse((yield* run(["inspect", turnId, "--json"], { dataDir })).stdout) as {
        readonly commits: ReadonlyArray<{ readonly firstSeq: number; readonly lastSeq: number }>
        readonly turn: { readonly lastSeq: number }
      }
      assert.deepStrictEqual(
        commits.map(({ firstSeq }) => firstSeq),
        [1, ...commits.slice(0, -1).map(({ lastSeq }) => lastSeq + 1)],
        "the commits leave no gap"
      )
      assert.strictEqual(commits.at(-1)?.lastSeq, turn.lastSeq)

      const env = {
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9/path",
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=canary-3e5a"
      }
      const { code, stderr, stdout } = yield* run(["doctor"], { dataDir, config, env })
      assert.strictEqual(code, 0, stdout)
      for (
        const part of [
          / {2}ok budget limits\.tokensPerSession: 7\d\d of 1,000,000 tokens/,
          / {2}! {2}budget limits\.tokensPerDay: 7\d\d of 600 tokens today \(UTC\)\. Turns are refused until/,
          / {2}ok prices: of 1 provider and of 0 single models/,
          / {2}ok export: traces, metrics and logs go to 127\.0\.0\.1:9, with 1 header \(not shown\)/,
          /-- log: from level info/,
          / {2}! {2}content: captured; /,
          /-- content: not checked here; turnstream inspect --verify compares every turn, and the usage ledger,/
        ]
      ) assert.match(stdout, part)
      assert.notInclude(stdout + stderr, "canary-3e5a", "P25: a secret was shown")
    }))
})

describe("what is not there or does not fit", () => {
  it.scopedLive("sessions and usage of a folder without a database are none, and that is no error", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      for (const command of ["sessions", "usage"]) {
        for (const place of [dataDir, join(dataDir, "not", "there")]) {
          const plain = yield* run([command, "--data-dir", place], { dataDir })
          assert.deepInclude(plain, { code: 0, stdout: "" })
          assert.match(plain.stderr, /^No database yet at /)
          const asJson = yield* run([command, "--json", "--data-dir", place], { dataDir })
          assert.deepStrictEqual(asJson, { code: 0, stdout: "", stderr: "" })
        }
      }
      assert.strictEqual((yield* run(["inspect", "t_1"], { dataDir })).code, 7)
    }))

  it.scopedLive("a data folder that is a file is told as that by every command", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const file = join(dataDir, "file")
      writeFileSync(file, "")
      for (const place of [file, join(file, "below")]) {
        for (const command of [["serve"], ["turn", "x"], ["sessions"], ["usage"], ["doctor"]]) {
          const refused = yield* run([...command, "--data-dir", place], { dataDir })
          assert.strictEqual(refused.code, 7, command.join(" "))
          assert.include(refused.stderr + refused.stdout, `${file} (it is a file, not a folder)`)
        }
      }
    }))

  it.scopedLive("a configuration file that is missing is named by where it came from: the option or the variable", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const byOption = yield* run(["serve", "--config", "/nope"], { dataDir })
      assert.strictEqual(byOption.code, 2)
      assert.match(byOption.stderr, /\/nope: does not exist\. --config names it/)
      assert.notInclude(byOption.stderr, "TURNSTREAM_CONFIG")
      const byVariable = yield* run(["serve"], { dataDir, env: { TURNSTREAM_CONFIG: "/nope" } })
      assert.match(byVariable.stderr, /TURNSTREAM_CONFIG names it/)
    }))

  it.scopedLive("replay begins at a seq: nothing before 1, nothing beyond the last", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const { stdout } = yield* run(["turn", "hello", "--json"], { dataDir })
      const id = eventsOf(stdout)[0]?.turnId ?? ""
      for (const from of ["-1", "0", "9999"]) {
        const refused = yield* run(["replay", id, "--from", from, "--speed", "max"], { dataDir })
        assert.deepInclude(refused, { code: 2, stdout: "" }, from)
        assert.include(refused.stderr, "--from: ")
      }
    }))

  it.scopedLive("a file to import that does not fit is told in words", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const file = join(dataDir, "session.json")
      const cases: ReadonlyArray<readonly [string, string]> = [
        ["[]", "is not a transcript: must be an object"],
        ['{"v":1,"session":null,"messages":[]}', "is not a transcript: session: must be an object"],
        ['{"v":1,"session":{"title":"\\ud800"},"messages":[]}', "session.title: is not well-formed Unicode"]
      ]
      for (const [text, says] of cases) {
        writeFileSync(file, text)
        const refused = yield* run(["import", file], { dataDir })
        assert.strictEqual(refused.code, 2)
        assert.include(refused.stderr, says)
      }
    }))

  it.scopedLive("a refusal of the system names its code once", () =>
    Effect.gen(function*() {
      const { stderr } = yield* run(["turn", "x", "--data-dir", "/proc/turnstream"], { dataDir: yield* folder })
      assert.match(stderr, /\((E[A-Z]+): (?!\1)/)
    }))
})

describe("usage", () => {
  it.scopedLive(
    "no command shows the help; a wrong one, an unknown flag and a missing argument are usage errors",
    () =>
      Effect.gen(function*() {
        const dataDir = yield* folder
        const help = yield* run([], { dataDir })
        assert.strictEqual(help.code, 0)
        for (
          const name of [
            "serve",
            "chat",
            "turn",
            "replay",
            "inspect",
            "sessions",
            "usage",
            "doctor",
            "export",
            "import",
            "backup",
            "vacuum"
          ]
        ) {
          assert.match(help.stdout, new RegExp(`- ${name} `))
          const own = yield* run([name, "--help"], { dataDir })
          assert.strictEqual(own.code, 0)
          assert.include(own.stdout, "Examples:")
          assert.include(own.stdout, `$ turnstream ${name}`)
        }
        assert.notInclude(help.stdout, "\u001b", "colours without a terminal")
        for (
          const args of [["nope"], ["turn"], ["turn", "x", "--bogus"], ["serve", "--bogus"], ["sessions", "extra"]]
        ) {
          const { code, stderr, stdout } = yield* run(args, { dataDir })
          assert.strictEqual(code, 2, args.join(" "))
          assert.strictEqual(stdout, "")
          assert.strictEqual(lines(stderr).length, 1, stderr)
        }
      }),
    60_000
  )
})

/**
 * The command tree: names, flags, arguments, help. What a command does stands in its own module, which is loaded when the
 * command runs. Parsing, help, completions and their errors are @effect/cli's; colours and the exit codes are ours.
 */
import * as Args from "@effect/cli/Args"
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { usageGroups } from "../journal/Journal.ts"
import * as Commands from "./Commands.ts"
import * as ExitCode from "./ExitCode.ts"
import * as Output from "./Output.ts"
import type { Program } from "./Program.ts"
import { Reported } from "./Report.ts"

/** What a command is for, and command lines to start from. */
const help = (text: string, ...examples: ReadonlyArray<string>) =>
  HelpDoc.blocks([
    HelpDoc.p(text),
    HelpDoc.p("Examples:"),
    ...examples.map((example) => HelpDoc.p(`  turnstream ${example}`))
  ])

/** Present or undefined. */
const optional = <A>(option: Options.Options<A>) => Options.map(Options.optional(option), Option.getOrUndefined)

const flag = (name: string, value: string, text: string) =>
  optional(Options.text(name).pipe(Options.withPseudoName(value), Options.withDescription(text)))

const json = (text: string) => Options.boolean("json").pipe(Options.withDescription(text))

const place = {
  dataDir: flag("data-dir", "folder", "Folder of the database. Wins over TURNSTREAM_DATA_DIR."),
  config: flag("config", "file", "Configuration file. Wins over TURNSTREAM_CONFIG.")
}

const server = {
  ...place,
  url: flag(
    "url",
    "address",
    "Use the server that runs there, for example http://127.0.0.1:4790; TURNSTREAM_TOKEN is its token."
  )
}

const asking = {
  ...server,
  session: flag("session", "id", "Go on with this session; without it a new one is made."),
  provider: flag("provider", "id", "Which provider answers; `turnstream doctor` lists them."),
  model: flag("model", "id", "Which of the provider's models answers."),
  system: flag("system", "text", "Instructions for the model.")
}

const turnArg = Args.text({ name: "turn" }).pipe(Args.withDescription("Id of a turn."))

const optionalTurnArg: Args.Args<string | undefined> = Args.map(Args.optional(turnArg), Option.getOrUndefined)

const commandsOf = (program: Program) => {
  const serve = Command.make("serve", {
    host: flag("host", "address", "Address to listen on. Wins over TURNSTREAM_HOST."),
    port: flag("port", "number", "Port to listen on; 0 takes any free one. Wins over TURNSTREAM_PORT."),
    ...place,
    takeOver: Options.boolean("take-over").pipe(
      Options.withDescription("Take the database from a running owner, which then stops writing.")
    )
  }, Commands.serve(program)).pipe(Command.withDescription(help(
    "Runs the service. Prints one line when it is ready. SIGTERM or Ctrl-C drains the running turns and ends; a second signal ends at once.",
    "serve",
    "serve --port 0 --data-dir /var/lib/turnstream"
  )))

  const chat = Command.make("chat", asking, Commands.chat(program)).pipe(Command.withDescription(help(
    "A conversation: each line is a turn, its answer streams as it comes. Ctrl-C cancels the answer and keeps what was received; at the prompt it leaves.",
    "chat",
    "chat --session s_01 --url http://127.0.0.1:4790",
    "chat < questions.txt"
  )))

  const turn = Command.make("turn", {
    text: Args.text({ name: "text" }).pipe(Args.withDescription("The message.")),
    json: json("Print every event as one line of JSON instead of the text."),
    ...asking,
    script: flag("script", "json", 'What the deterministic provider does, for example {"deltas":20,"delayMs":50}.')
  }, Commands.turn(program)).pipe(Command.withDescription(help(
    "Runs one turn and prints the answer as it comes. Ctrl-C cancels it and keeps what was received.",
    'turn "hello"',
    'turn "hello" --json --model story',
    'turn "go on" --session s_01 --url http://127.0.0.1:4790'
  )))

  const replay = Command.make("replay", {
    turn: turnArg,
    from: Options.integer("from").pipe(
      Options.withDefault(1),
      Options.withDescription("The first event (seq) to play.")
    ),
    speed: Options.text("speed").pipe(
      Options.withDefault("1"),
      Options.withPseudoName("factor"),
      Options.withDescription("2 plays twice as fast, max without any wait.")
    ),
    ...place
  }, Commands.replay(program)).pipe(Command.withDescription(help(
    "Plays a turn's text again from the journal, in the pace in which it came.",
    "replay t_01",
    "replay t_01 --from 20 --speed max"
  )))

  const inspect = Command.make("inspect", {
    turn: optionalTurnArg,
    json: json(
      "One JSON object: turn, trace, timeline with its usages, checkpoints, commits. With --verify a line of JSON for each violation, then the counts."
    ),
    verify: Options.boolean("verify").pipe(
      Options.withDescription("Check the turn, or without one the whole database, against what must always hold of it.")
    ),
    ...place
  }, Commands.inspect(program)).pipe(Command.withDescription(help(
    "Shows what happened in a turn and when: phases, first token, pauses, attempts, usage and cost, checkpoints, commits, error. With --verify it checks instead, and names the promise that each violation breaks.",
    "inspect t_01",
    "inspect t_01 --json",
    "inspect --verify"
  )))

  const sessions = Command.make("sessions", {
    json: json("One line of JSON a session."),
    ...place
  }, Commands.sessions(program)).pipe(
    Command.withDescription(help("Lists the sessions, oldest first.", "sessions", "sessions --json"))
  )

  const usage = Command.make("usage", {
    json: json("One line of JSON a row, without the sum."),
    by: Options.text("by").pipe(
      Options.withDefault("day,provider,model"),
      Options.withPseudoName("groups"),
      Options.withDescription(
        `A row for each of these, with commas between: ${usageGroups.join(", ")}. source is always one of them.`
      )
    ),
    session: flag("session", "id", "Only this session."),
    provider: flag("provider", "id", "Only this provider."),
    model: flag("model", "id", "Only this model."),
    from: flag("from", "day", "The first day (UTC) that counts, as 2026-01-31."),
    to: flag("to", "day", "The last day (UTC) that counts."),
    ...server
  }, Commands.usage(program)).pipe(Command.withDescription(help(
    "Sums what turns used and cost. What nobody knows is unknown, never 0; ~ marks estimates, + a cost that leaves attempts out. Costs are in the currency of your prices, as these were when a turn ended.",
    "usage",
    "usage --by day --from 2026-01-01 --to 2026-01-31",
    "usage --by turn --session s_01 --json",
    "usage --by model --url http://127.0.0.1:4790"
  )))

  const doctor = Command.make("doctor", {
    ...place,
    probe: flag(
      "probe",
      "provider",
      "Also call this provider once. Only with network.live and its key set; a vendor may bill it."
    ),
    model: flag("model", "id", "The model to probe; without it the provider's default.")
  }, Commands.doctor(program)).pipe(Command.withDescription(help(
    "Checks configuration, providers and database, says where each setting came from, and what to do about what is wrong. Without --probe nothing is called.",
    "doctor",
    "doctor --config turnstream.json",
    "doctor --probe groq --model llama-3.3-70b"
  )))

  const exportSession = Command.make("export", {
    session: Args.text({ name: "session" }).pipe(Args.withDescription("Id of a session.")),
    out: flag("out", "file", "Write there instead of to stdout; an existing file is not replaced."),
    ...place
  }, Commands.exportSession(program)).pipe(Command.withDescription(help(
    "Writes a session's text as JSON.",
    "export s_01",
    "export s_01 --out session.json"
  )))

  const importSession = Command.make("import", {
    file: Args.text({ name: "file" }).pipe(Args.withDescription("A file that `turnstream export` wrote.")),
    ...server
  }, Commands.importSession(program)).pipe(Command.withDescription(help(
    "Makes a new session of an exported one and prints its id.",
    "import session.json",
    "import session.json --url http://127.0.0.1:4790"
  )))

  const backup = Command.make("backup", {
    destination: Args.text({ name: "destination" }).pipe(Args.withDescription("The file to write; it must not exist.")),
    ...place
  }, Commands.backup(program)).pipe(Command.withDescription(help(
    "Copies the database to one file and checks the copy, also while the service runs.",
    "backup /backups/turnstream.db"
  )))

  const vacuum = Command.make("vacuum", {
    json: json("One line of JSON."),
    ...server
  }, Commands.vacuum(program)).pipe(Command.withDescription(help(
    "Rewrites the database file without what was deleted or folded, and empties its log: nothing of a deleted session's text is left in either. A running service does it itself (--url); its requests wait meanwhile.",
    "vacuum",
    "vacuum --url http://127.0.0.1:4790"
  )))

  return [
    serve,
    chat,
    turn,
    replay,
    inspect,
    sessions,
    usage,
    doctor,
    exportSession,
    importSession,
    backup,
    vacuum
  ] as const
}

const rootHelp = HelpDoc.blocks([
  HelpDoc.p("A chat-turn engine: every event of a turn is journaled before anyone sees it."),
  HelpDoc.p("`turnstream <command> --help` explains a command and gives examples."),
  HelpDoc.p("Exit codes:"),
  ...ExitCode.table.map(([code, meaning]) => HelpDoc.p(`  ${String(code).padStart(3)}  ${meaning}`))
])

// eslint-disable-next-line no-control-regex -- colours are control characters
const colours = /\u001b\[[0-9;]*m/g

/** What @effect/cli says of every flag: its kind, and that it may be left out. The usage line says so already. */
const noise =
  /^ *(A user-defined piece of text\.|A true or false value\.|An integer\.|This setting is optional\.) *\n\n?/gm

/** A document of @effect/cli, or its message: the name of the program before each usage, no noise, fewer blank lines. */
export const mend = (text: string, coloured: boolean): string => {
  const mended = `${text}\n`
    .replace(noise, "")
    .replace(/^\$ (?!turnstream\b)/gm, "$ turnstream ")
    .replace(/ +$/gm, "")
    // lists stand close together
    .replace(/^( {2,}\S.*)\n\n(?= {2,}\S)/gm, "$1\n")
    .trimEnd()
  return coloured ? mended : mended.replace(colours, "")
}

const consoleOf = (console: Console.Console, coloured: boolean): Console.Console => {
  const mendAll = (args: ReadonlyArray<unknown>) =>
    args.map((arg) => typeof arg === "string" ? mend(arg, coloured) : arg)
  return {
    ...console,
    log: (...args) => console.log(...mendAll(args)),
    error: (...args) => console.error(...mendAll(args))
  }
}

const layerPlatform = Layer.mergeAll(
  NodeFileSystem.layer,
  NodePath.layer,
  NodeTerminal.layer,
  CliConfig.layer({ isCaseSensitive: true, showBuiltIns: false, showTypes: false })
)

/** `--help` anywhere asks for the help of the command, whatever else is there. What follows `--` is text. */
export const helpFirst = (argv: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [runtime = "", script = "", ...args] = argv
  const end = args.indexOf("--")
  if (!args.slice(0, end === -1 ? args.length : end).some((arg) => arg === "--help" || arg === "-h")) return argv
  const [name = ""] = args
  return [runtime, script, ...(name.startsWith("-") ? [] : [name]), "--help"]
}

/** Runs the command that `argv` names, or shows the help. */
export const run = (program: Program, argv: ReadonlyArray<string>) => {
  const root = Command.make("turnstream").pipe(
    Command.withDescription(rootHelp),
    Command.withSubcommands(commandsOf(program))
  )
  const cli = Command.run(root, { name: "turnstream", version: program.version })
  const coloured = Output.wantsColours(process.stdout, process.env)
  return Console.consoleWith((console) => Effect.withConsole(cli(helpFirst(argv)), consoleOf(console, coloured))).pipe(
    // it printed what is wrong
    Effect.catchIf(ValidationError.isValidationError, () => new Reported({ code: "ValidationError" })),
    Effect.provide(layerPlatform)
  )
}

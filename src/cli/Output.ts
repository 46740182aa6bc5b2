/**
 * Where the commands write: results to stdout, what a person should know besides to stderr, so that stdout can be piped.
 *
 * A write completes when the stream has taken it, so a slow reader holds the command up and no text piles up in memory.
 * When the reader of stdout has gone (`| head`) the command is interrupted: there is nobody left to work for.
 * Colours only on a terminal or where FORCE_COLOR is set, and never where NO_COLOR is.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export class Output extends Context.Tag("turnstream/cli/Output")<Output, {
  /** Exactly this text to stdout. */
  readonly write: (text: string) => Effect.Effect<void>
  /** One line to stdout. */
  readonly line: (text: string) => Effect.Effect<void>
  /** One line to stderr. */
  readonly note: (text: string) => Effect.Effect<void>
  /** A person sees stdout. */
  readonly interactive: boolean
  readonly style: Style
}>() {}

export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
}

const escape = "\u001b["
const sgr = (code: number) => (text: string) => `${escape}${code}m${text}${escape}0m`
const plain = (text: string) => text

export const styleOf = (colours: boolean): Style =>
  colours
    ? { bold: sgr(1), dim: sgr(2), red: sgr(31), green: sgr(32), yellow: sgr(33) }
    : { bold: plain, dim: plain, red: plain, green: plain, yellow: plain }

/** no-color.org: any value that is not empty counts; of FORCE_COLOR any but 0. */
export const wantsColours = (
  stream: { readonly isTTY?: boolean },
  env: { readonly [name: string]: string | undefined }
): boolean =>
  (env["NO_COLOR"] ?? "") === "" &&
  (["", "0"].includes(env["FORCE_COLOR"] ?? "") ? stream.isTTY === true && env["TERM"] !== "dumb" : true)

/** Text of others without what would move the cursor, change colours or hide text of a terminal. */
export const printable = (text: string): string =>
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\ufffd")

const writeTo = (stream: NodeJS.WriteStream, text: string): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    stream.write(text, (error) => resume(error ? Effect.interrupt : Effect.void))
  })

/** A broken pipe is told to the write's callback; without a listener the same error would end the process. */
const listen = (stream: NodeJS.WriteStream) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const ignore = () => {}
      stream.on("error", ignore)
      return ignore
    }),
    (ignore) => Effect.sync(() => stream.off("error", ignore))
  )

export const layer: Layer.Layer<Output> = Layer.scoped(
  Output,
  Effect.gen(function*() {
    const { env, stderr, stdout } = process
    yield* listen(stdout)
    yield* listen(stderr)
    const write = (text: string) => (text === "" ? Effect.void : writeTo(stdout, text))
    return {
      write,
      line: (text) => write(`${text}\n`),
      note: (text) => writeTo(stderr, `${text}\n`),
      interactive: stdout.isTTY === true,
      style: styleOf(wantsColours(stdout, env))
    }
  })
)

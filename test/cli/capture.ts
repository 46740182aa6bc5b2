/** An `Output` that keeps what was written, for tests of what a command says. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Output, styleOf } from "../../src/cli/Output.ts"

export const capture = () => {
  let stdout = ""
  let stderr = ""
  const write = (text: string) =>
    Effect.sync(() => {
      stdout += text
    })
  return {
    stdout: () => stdout,
    stderr: () => stderr,
    layer: Layer.succeed(Output, {
      write,
      line: (text) => write(`${text}\n`),
      note: (text) =>
        Effect.sync(() => {
          stderr += `${text}\n`
        }),
      interactive: false,
      style: styleOf(false)
    })
  }
}

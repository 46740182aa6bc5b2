/**
 * The engine with its core replaced: a turn calls nobody and says that it completed. Everything around it is as it is
 * (admission, journal, ending, HTTP), which is what a fake would look like from outside. Each call is counted, so that a
 * test is known to have reached it.
 */
declare global {
  var turnstreamCoreCalls: number
}

interface Replaced {
  readonly file: string
  readonly from: string
  readonly to: string
}

const replaced: ReadonlyArray<Replaced> = [{
  file: "src/turn/TurnRun.ts",
  from: "  const converse = Effect.flatMap(context, (built) => {",
  to: "  const converse = Effect.sync(() => {\n    globalThis.turnstreamCoreCalls += 1\n" +
    '    return { reason: "stop", raw: undefined }\n  })\n  const _converse = Effect.flatMap(context, (built) => {'
}]

/** The file's code without its core; unchanged for other files. Fails where the file is written in another way now. */
export const without = (path: string, code: string): string => {
  const found = replaced.filter(({ file }) => path.endsWith(`/${file}`))
  return found.reduce((text, { file, from, to }) => {
    const parts = text.split(from)
    if (parts.length !== 2) {
      throw new Error(
        `${file} has its core ${parts.length - 1} times as test/proof/core/NoOp.ts knows it; mend it there.`
      )
    }
    return parts.join(to)
  }, code)
}

export const plugin = {
  name: "turnstream-core-replaced",
  enforce: "pre" as const,
  transform: (code: string, id: string): string => without(id, code)
}

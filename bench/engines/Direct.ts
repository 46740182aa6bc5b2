/** The client straight at the upstream: what is no engine's doing. */
import { question } from "./Engine.ts"
import { read, type Seen } from "./TurnReader.ts"
import { modelOf, type Script, type Upstream } from "./Upstream.ts"

const textOf = (data: string): string | undefined => {
  if (data.startsWith(" [DONE]")) return undefined
  const { choices: [choice] } = JSON.parse(data) as {
    readonly choices: ReadonlyArray<{ readonly delta: { readonly content?: string } }>
  }
  return choice?.delta.content
}

export const turn = (upstream: Upstream, script: Script): Promise<Seen> =>
  read({
    url: `${upstream.url}/v1/chat/completions`,
    body: { model: modelOf(script), stream: true, messages: [{ role: "user", content: question }] },
    textOf
  })

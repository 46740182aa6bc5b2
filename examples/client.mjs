// A turn from a program of its own, over HTTP. Cut the network or restart the server while it runs: it goes on.
// After `npm start`: node examples/client.mjs "Tell me a story"
import { createClient, TurnstreamError } from "turnstream/client"

const client = createClient({
  baseUrl: process.env.TURNSTREAM_URL ?? "http://127.0.0.1:4790",
  token: process.env.TURNSTREAM_TOKEN
})

try {
  const session = await client.sessions.create({ title: "From a program" })
  const turn = await client.startTurn(session.id, { text: process.argv[2] ?? "Tell me a story", model: "story" })

  const events = turn.follow({
    onConnection: (now) => {
      if (now.state === "reconnecting") console.error(`${now.reason} Again in ${now.delayMs} ms from seq ${now.from}.`)
    }
  })
  for await (const event of events) {
    if (event.type === "model.delta" && event.data.kind === "text") process.stdout.write(event.data.text)
  }

  const { error, status } = turn.state()
  console.log(`\n${status}`)
  if (error !== undefined) console.error(error.message)
} catch (error) {
  if (!(error instanceof TurnstreamError)) throw error
  console.error(`${error.code}: ${error.message}`)
  process.exitCode = 1
}

import { assert, describe, it } from "@effect/vitest"
import { signal } from "@preact/signals"
import { h } from "preact"
import { renderToString } from "preact-render-to-string"
import * as Looking from "../../src/workbench/session/Looking.ts"
import type { OpenSession } from "../../src/workbench/session/OpenSession.ts"
import * as SessionModel from "../../src/workbench/session/SessionModel.ts"
import { TurnCard } from "../../src/workbench/turn/TurnCard.tsx"
import type { Workbench } from "../../src/workbench/Workbench.ts"
import * as Events from "./events.ts"

/** Far after all events. */
const laterMs = Date.parse("2027-01-01T00:00:00.000Z")

/** The card of a turn with these events, and how often drawing it looked at the time. */
const drawn = (bodies: Parameters<typeof Events.turn>[1], seq?: number, state = "live") => {
  const model = SessionModel.make()
  for (const event of Events.turn("t1", bodies)) model.take(event)
  model.publish()
  const entry = model.turn("t1") ?? assert.fail()
  // what a card uses of it
  const session = {
    turns: model.turns,
    turn: model.turn,
    textOf: () => "Hi",
    running: signal(undefined),
    before: () => 0,
    asked: () => ({ pending: undefined, note: "" }),
    readEvents: () => {}
  } as unknown as OpenSession
  const looking = Looking.make(signal(session))
  if (seq !== undefined) looking.rewind(seq)
  let looks = 0
  const serverNowMs = () => {
    looks++
    return laterMs
  }
  const workbench = {
    looking,
    serverNowMs,
    bootstrap: signal(undefined),
    connection: signal({ state })
  } as unknown as Workbench
  return { html: renderToString(h(TurnCard, { entry, session, workbench })), looks: () => looks }
}

const failedOnce = [
  Events.started(),
  Events.built,
  Events.attempt(1),
  Events.used,
  { type: "attempt.failed", data: { attempt: 1, error: Events.failure, retryInMs: 2_500 } }
] as const

describe("the card of a turn", () => {
  it("looks at the time while the turn runs, and not once it has ended", () => {
    const running = drawn([Events.started(), Events.built, Events.attempt(1), Events.delta("He")])
    assert.include(running.html, "Turn 1, Stalled")
    assert.isAbove(running.looks(), 0)
    const ended = drawn(Events.plain("t1"))
    assert.include(ended.html, "Turn 1, Completed")
    assert.strictEqual(ended.looks(), 0)
  })

  it("as it was at a seq it is as it was then, whatever the time is now", () => {
    const streaming = drawn(Events.plain("t1"), 4)
    assert.include(streaming.html, "Turn 1, Streaming")
    assert.strictEqual(streaming.looks(), 0)
    const retrying = drawn([...failedOnce, Events.attempt(2), Events.delta("He")], 5)
    assert.include(retrying.html, "Turn 1, Retrying")
    assert.include(retrying.html, "attempt 2 in 3 s")
    assert.strictEqual(retrying.looks(), 0)
  })

  it("offline, Retry is disabled with the reason that Send has, and Cancel is not", () => {
    const disabled = (html: string) => html.match(/<button[^>]*aria-disabled[^>]*>/g) ?? []
    const ended = Events.plain("t1")
    assert.isEmpty(disabled(drawn(ended).html))
    const [retry = "", ...more] = disabled(drawn(ended, undefined, "offline").html)
    assert.isEmpty(more)
    assert.include(retry, "Offline: the message is kept here until the server answers.")
    assert.isEmpty(disabled(drawn([Events.started(), Events.built], undefined, "offline").html))
  })
})

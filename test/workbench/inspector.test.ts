import { assert, describe, it } from "@effect/vitest"
import { signal } from "@preact/signals"
import { h } from "preact"
import { renderToString } from "preact-render-to-string"
import type { ContextManifest, Slot, SlotName } from "../../src/domain/Context.ts"
import type { Turn } from "../../src/domain/Resources.ts"
import type { TurnEvent } from "../../src/domain/TurnEvent.ts"
import { Inspector, tabByKey } from "../../src/workbench/inspector/Inspector.tsx"
import type { Server } from "../../src/workbench/server/Server.ts"
import * as Looking from "../../src/workbench/session/Looking.ts"
import type { OpenSession } from "../../src/workbench/session/OpenSession.ts"
import * as SessionModel from "../../src/workbench/session/SessionModel.ts"
import * as Events from "./events.ts"

const summary: Turn = {
  id: "t1" as Turn["id"],
  sessionId: "s1" as Turn["sessionId"],
  status: "completed",
  phase: "completed",
  text: "Hello",
  reasoning: "",
  usage: Events.usage,
  lastSeq: 8,
  provider: "deterministic",
  model: "echo",
  attempts: 1,
  userMessageId: "m1" as Turn["userMessageId"],
  startedAt: "2026-01-01T00:00:00.000Z",
  endedAt: "2026-01-01T00:00:01.000Z"
}

/** A session with these turns; nothing is asked of a server, as effects do not run where a page is a string. */
const stage = (
  turns: { readonly summaries?: ReadonlyArray<Turn>; readonly events?: ReadonlyArray<TurnEvent> } = {}
) => {
  const model = SessionModel.make()
  model.addSummaries(turns.summaries ?? [])
  for (const event of turns.events ?? []) model.take(event)
  model.publish()
  const session = {
    id: "s1",
    turns: model.turns,
    turn: model.turn,
    isLoaded: signal(true),
    running: signal(undefined),
    before: () => 0,
    readEvents: () => {}
  } as unknown as OpenSession
  const open = signal<OpenSession | undefined>(session)
  const looking = Looking.make(open)
  const html = (panel: Looking.Panel = looking.panel.peek()) => {
    looking.showPanel(panel)
    return renderToString(h(Inspector, { looking, server: {} as Server }))
  }
  /** What is read, without the elements. */
  const text = (panel?: Looking.Panel) =>
    html(panel).replaceAll(/<[^>]+>/g, " ").replaceAll("&quot;", '"').replaceAll(/\s+/g, " ")
  return { open, model, looking, html, text }
}

const slot = (
  name: SlotName,
  tokens: number,
  more: Pick<Slot, "action" | "reason"> = { action: "included" }
): Slot => ({
  slot: name,
  source: "journal",
  tokens,
  hash: name.padEnd(64, "0"),
  ...more
})

const manifest: ContextManifest = {
  slots: [
    slot("instructions", 300),
    slot("memory", 0, { action: "omitted", reason: "empty" }),
    slot("history", 400, { action: "clipped", reason: "3 messages left out" }),
    slot("message", 20)
  ],
  budget: 900,
  reserve: 100,
  window: 1_000,
  total: 720,
  hash: "f".repeat(64),
  compaction: true
}

const withContext = Events.turn("t1", [Events.started(), { type: "context.built", data: manifest }, Events.attempt(1)])

describe("the inspector", () => {
  it("goes from tab to tab by arrows, Home and End, around the ends", () => {
    assert.strictEqual(tabByKey("ArrowRight", "usage"), "events")
    assert.strictEqual(tabByKey("ArrowLeft", "events"), "usage")
    assert.strictEqual(tabByKey("Home", "checkpoint"), "events")
    assert.strictEqual(tabByKey("End", "events"), "usage")
    assert.isUndefined(tabByKey("a", "events"))
  })

  it("has one tab in the order of the keyboard, and a panel that it names", () => {
    const { html } = stage({ events: Events.plain("t1") })
    for (const panel of Looking.panels) {
      const page = html(panel)
      assert.lengthOf(page.match(/role="tab"/g) ?? [], 4)
      assert.lengthOf(page.match(/aria-selected="true"/g) ?? [], 1)
      assert.match(page, new RegExp(`id="inspector-panel"[^>]*aria-labelledby="inspector-${panel}"`))
    }
  })

  it("announces nothing: the page has one place for that", () => {
    const { html } = stage({ events: Events.plain("t1") })
    for (const panel of Looking.panels) assert.notMatch(html(panel), /role="(status|alert)"|aria-live|<output/)
  })

  it("says why there is nothing to show", () => {
    const { open, text } = stage()
    assert.include(text(), "No turn yet. Send a message")
    open.value = undefined
    assert.include(text(), "No session is open.")
  })

  it("says which turn is shown, and offers to follow the newest where one is chosen", () => {
    const { looking, model, text } = stage({ events: [...Events.plain("t1"), ...Events.plain("t2")] })
    assert.include(text(), "Turn 2 of 2 · newest")
    assert.notInclude(text(), "Follow newest")
    looking.chooseTurn(model.turn("t1"))
    assert.include(text(), "Turn 1 of 2 · chosen Follow newest")
  })

  it("says that the events are being read, and claims nothing of what they would say", () => {
    const { text } = stage({ summaries: [summary] })
    assert.include(text("events"), "Reading the events …")
    assert.notInclude(text("context"), "What was sent is not known")
    assert.notInclude(text("checkpoint"), "No checkpoint")
    assert.include(text("usage"), "Input 3")
  })

  it("names the seqs that are missing", () => {
    const events = Events.plain("t1")
    const { text } = stage({ events: [...events.slice(0, 3), ...events.slice(6)] })
    assert.include(text(), "Gap Seq 4–6 did not reach this page")
  })

  it("says why events could not be read, and offers to read them again", () => {
    const { model, text } = stage({ summaries: [summary] })
    const entry = model.turn("t1") ?? assert.fail("no turn")
    entry.setBroken("The server does not answer.")
    model.touch(entry)
    model.publish()
    assert.include(text(), "The events could not be read The server does not answer. Read the events again")
  })

  it("tells a folded turn from one whose events are on their way", () => {
    const { text } = stage({ summaries: [{ ...summary, foldedAt: "2026-02-01T10:20:30.000Z" }] })
    assert.include(text("events"), "Retention removed the deltas of this turn at 2026-02-01 10:20 UTC.")
    for (const panel of ["context", "checkpoint"] as const) {
      assert.include(text(panel), "Retention removed the deltas")
      assert.notInclude(text(panel), "No c")
    }
    assert.include(text("usage"), "Input 3")
  })
})

describe("the events panel", () => {
  it("shows the counts and the place of the slider", () => {
    const { html, text } = stage({ events: Events.plain("t1") })
    assert.include(text(), "All 8 Turn 2 Model 3 State 3")
    assert.match(html(), /type="range"[^>]*aria-valuetext="8 of 8"/)
    assert.notInclude(text(), "Back to now")
  })

  it("says what is shown while the reader has gone back", () => {
    const { looking, text } = stage({ events: Events.plain("t1") })
    looking.rewind(4)
    assert.include(text("events"), "Showing seq 4 of 8 Back to now")
    assert.include(text("checkpoint"), "2 characters")
    assert.include(text("checkpoint"), "No checkpoint is saved.")
    assert.include(text("usage"), "Nobody counted anything")
  })
})

describe("the context panel", () => {
  it("shows every slot in order, with what became of it and why", () => {
    const { html, text } = stage({ events: withContext })
    const page = text("context")
    assert.include(page, "720 of 900 tokens")
    assert.match(
      page,
      /Instructions 300 Included.*Memory 0 Omitted: empty.*Earlier messages 400 Clipped: 3 messages left out/
    )
    assert.include(page, "Past 70 % of the window (72 % used): here compaction would start.")
    assert.include(
      html("context"),
      'aria-label="720 of 900 tokens: Instructions 300, Earlier messages 400, This message 20"'
    )
  })

  it("says why a refused turn has none", () => {
    const { text } = stage({ events: Events.turn("t1", [Events.started(), Events.failed(Events.blocked)]) })
    assert.include(text("context"), "No context was built: the turn ended before.")
  })

  it("shows a preview in its place, also where no turn is", () => {
    const { looking, text } = stage()
    looking.showPreview({ state: "asking" })
    assert.include(text("context"), "Preview of the next message Close preview Asking")
    looking.showPreview({ state: "known", manifest: { ...manifest, compaction: false, total: 100 } })
    assert.include(text("context"), "100 of 900 tokens")
    assert.include(text("context"), "Below 70 %")
    assert.include(text("events"), "No turn yet.")
  })

  it("does not pass a preview off as what a turn was sent", () => {
    const { looking, text } = stage({ events: withContext })
    looking.showPreview({ state: "asking" })
    assert.include(text("context"), "The next message, not sent yet")
    assert.include(text("events"), "Turn 1 of 1")
  })
})

describe("the checkpoint panel", () => {
  const resume = (events: ReadonlyArray<TurnEvent>) =>
    /Resume (.*?) Checkpoints/.exec(stage({ events }).text("checkpoint"))?.[1]

  it("says whether the turn can go on, and why", () => {
    const begun = [Events.started(), Events.built, Events.attempt(1)]
    assert.strictEqual(resume(Events.turn("t1", begun)), "Not while it runs: cancel it first.")
    assert.strictEqual(resume(Events.plain("t1")), "Not needed: the answer is complete.")
    const cut = [...begun, Events.delta("Hel"), Events.used, Events.failed(Events.interrupted)]
    assert.strictEqual(
      resume(Events.turn("t1", cut)),
      "Possible: the answer goes on after the 3 characters that are kept."
    )
    const early = [Events.started(), Events.failed(Events.cancelled)]
    assert.include(resume(Events.turn("t1", early)), "Possible: from the beginning")
    const refused = [Events.started(), Events.failed(Events.blocked)]
    assert.include(resume(Events.turn("t1", refused)), "Not offered")
    const child = Events.turn("t2", [Events.started({ resumedFrom: "t1" })])
    const { looking, model, text } = stage({ events: [...Events.turn("t1", cut), ...child] })
    looking.chooseTurn(model.turn("t1"))
    assert.include(text("checkpoint"), "Already resumed, in turn 2.")
  })

  it("reads the newest checkpoint first", () => {
    const { html, text } = stage({ events: Events.plain("t1") })
    assert.include(text("checkpoint"), "Status ✓ Completed")
    assert.include(text("checkpoint"), "1 committing seq 6 Reading checkpoint 1 …")
    assert.lengthOf(html("checkpoint").match(/aria-pressed="true"/g) ?? [], 1)
  })
})

describe("the usage panel", () => {
  it("says who counted, and unknown for what nobody did", () => {
    const { text } = stage({ events: Events.plain("t1") })
    const page = text("usage")
    assert.include(page, "Attempt 1 the whole turn, counted by the deterministic provider")
    assert.include(
      page,
      "Input 3 Output 4 Cache read unknown Cache write unknown Reasoning unknown Total 7 Cost unknown"
    )
    assert.include(page, "7 % of a window of 100 tokens, below the mark at 70 %.")
    assert.include(page, "Finish reason stop")
  })

  it("keeps estimates apart from the turn's total", () => {
    const estimated = {
      type: "telemetry.usage",
      data: { usage: Events.usage, source: "estimated", contextPercent: null }
    } as const
    const reported = {
      type: "telemetry.usage",
      data: { ...Events.used.data, source: "reported", cost: 0.000_42 }
    } as const
    const { text } = stage({
      events: Events.turn("t1", [
        Events.started(),
        Events.built,
        Events.attempt(1),
        estimated,
        { type: "attempt.failed", data: { attempt: 1, error: Events.failure, retryInMs: 1 } },
        Events.attempt(2),
        Events.delta("a"),
        reported,
        Events.completed()
      ])
    })
    const page = text("usage")
    assert.include(page, "Attempt 1 estimated here: nobody counted, so no total holds it")
    assert.match(page, /Attempt 2 reported by the provider.*Cost 0\.00042/)
    assert.match(page, /Turn all attempts, without estimates Input 3 Output 4.*Cost unknown/)
  })

  it("says why nothing was used", () => {
    const { text } = stage({ events: Events.turn("t1", [Events.started(), Events.failed(Events.blocked)]) })
    assert.include(text("usage"), "No provider was called, so nothing was used.")
    assert.include(text("usage"), "Finish reason ProviderBlocked")
  })
})

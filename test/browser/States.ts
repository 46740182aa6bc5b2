/** The states of the page, each on a real server and session and, where the network is part of it, behind a proxy. */
import type { Page } from "playwright-core"
import type { Step } from "../../src/provider/Script.ts"
import * as Acme from "./Acme.ts"
import * as Chat from "./Chat.ts"
import * as Cut from "./Cut.ts"
import { rest, type State } from "./Scene.ts"
import type * as Stage from "./Stage.ts"
import * as Texts from "./Texts.ts"

const said = (text: string = Texts.answer): Step => ({ say: text, bytes: 24 })
const counted: Step = {
  usage: { inputTokens: 412, outputTokens: 236, cacheReadTokens: 128, reasoningTokens: 40, totalTokens: 648 }
}
const endless: Step = { endless: "and on ", everyMs: 250 }

/** A state in which a session has one turn that has come as far as `until`. */
const turnState = (
  name: string,
  visible: string,
  steps: ReadonlyArray<Step>,
  until: "delta" | "failure" | "end",
  settings?: Stage.Settings
): State => ({
  name,
  ...(settings === undefined ? {} : { settings }),
  arrange: async ({ api, url }) => {
    const { id } = await api.createSession({ title: "A turn, step by step" })
    const turn = await api.start(id, { message: Texts.question, script: { steps } })
    if (until === "end") await api.ended(turn.id)
    else await api.until(turn.id, ({ type }) => type === (until === "delta" ? "model.delta" : "attempt.failed"))
    return { url: Chat.addressOf(url, id), visible }
  }
})

/** A completed session with one exchange. */
const talked = async (api: Stage.Api, message = Texts.question, answer = Texts.answer): Promise<string> => {
  const { id } = await api.createSession({ title: "A turn, step by step" })
  const steps: ReadonlyArray<Step> = [{ reason: Texts.reasoning, bytes: 24 }, said(answer), counted]
  await api.run(id, { message, script: { steps } })
  return id
}

/** The same behind a proxy. */
const behind = async ({ api, url }: Stage.Stage) => {
  const cut = await Cut.open(() => url)
  const id = await talked(api)
  return { cut, id, url: Chat.addressOf(cut.url, id), close: cut.close, allow: Chat.brokenLoad }
}

/** Done the first time only. */
const once = (act: (page: Page) => Promise<unknown>): (page: Page) => Promise<unknown> => {
  let done: Promise<unknown> | undefined
  return (page) => done ??= act(page)
}

/** Shows a pane where only one is seen. */
const showPane = async (page: Page, name: string) => {
  const button = page.getByRole("button", { name, exact: true }).filter({ visible: true })
  if (await button.count() > 0) await button.first().click()
}

const tabState = (name: string, tab: string, visible: string | RegExp): State => ({
  name,
  arrange: async ({ api, url }) => ({
    url: Chat.addressOf(url, await talked(api)),
    visible,
    settle: async (page) => {
      await Chat.seeLive(page)
      await showPane(page, "Inspector")
      await page.getByRole("tab", { name: tab }).click()
    }
  })
})

/** Turns that a session takes beside the running one. */
const queueMax = 16

/** A session with that many short turns; `relaxed` durability makes them quicker to write. */
export const longSession = async (api: Stage.Api, turns: number): Promise<string> => {
  const { id } = await api.createSession({ title: `A session of ${turns} turns` })
  for (let i = 1; i <= turns; i++) {
    const turn = await api.start(id, {
      message: `Message ${i}`,
      onBusy: "queue",
      options: { maxOutputTokens: 131_000 }
    })
    if (i % queueMax === 0 || i === turns) await api.ended(turn.id)
  }
  return id
}

export const relaxed: Stage.Settings = { env: { TURNSTREAM_DURABILITY: "relaxed" } }

/** Nothing stalls on the server's side while the page is looked at. */
const patient: Stage.Settings = {
  config: { limits: { idleMs: 3_600_000, firstTokenMs: 3_600_000, totalMs: 3_600_000 } }
}

const storage = {
  status: 503,
  code: "StorageUnavailable",
  detail:
    'Storage refused "commit" (SQLITE_FULL). Nothing acknowledged is lost. Check the disk and the database file with: turnstream doctor.'
}

export const states: ReadonlyArray<State> = [
  { name: "empty", arrange: ({ url }) => Promise.resolve({ url: `${url}/`, visible: /offline/ }) },
  {
    name: "loading",
    arrange: async (stage) => {
      const { cut, ...scene } = await behind(stage)
      cut.hold(/\/v1\/sessions\/./)
      return { ...scene, visible: /^Loading/, isEarly: true }
    }
  },
  {
    name: "queued",
    settings: patient,
    arrange: async ({ api, url }) => {
      const { id } = await api.createSession({ title: "Two at a time" })
      const first = await api.start(id, { message: Texts.question, script: { steps: [said(), endless] } })
      await api.start(id, { message: "And then?", onBusy: "queue" })
      await api.until(first.id, ({ type }) => type === "model.delta")
      return { url: Chat.addressOf(url, id), visible: "Queued" }
    }
  },
  turnState("streaming", "Streaming", [{ reason: Texts.reasoning, bytes: 24 }, said(), endless], "delta", patient),
  turnState("stalled", "Stalled", [said("The answer begins, and "), { hang: true }], "delta", patient),
  turnState("retrying", "Retrying", [
    { fail: { kind: "overloaded", status: 529, attempts: 1, retryAfterMs: 60_000 } },
    said()
  ], "failure"),
  turnState("completed", "Completed", [{ reason: Texts.reasoning, bytes: 24 }, said(), counted], "end"),
  turnState("failed", "Failed", [
    said("The answer begins, and then the provider "),
    { fail: { kind: "server", status: 500 } }
  ], "end"),
  {
    name: "cancelled",
    settings: patient,
    arrange: async ({ api, url }) => {
      const { id } = await api.createSession({ title: "Stopped in the middle" })
      const turn = await api.start(id, { message: Texts.question, script: { steps: [said(), { hang: true }] } })
      await api.until(turn.id, ({ type }) => type === "model.delta")
      await api.cancel(turn.id)
      return { url: Chat.addressOf(url, id), visible: "Cancelled" }
    }
  },
  {
    name: "interrupted",
    settings: patient,
    arrange: async (stage) => {
      const { api, url } = stage
      const { id } = await api.createSession({ title: "Killed in the middle" })
      const turn = await api.start(id, { message: Texts.question, script: { steps: [said(), { hang: true }] } })
      await api.until(turn.id, ({ type }) => type === "model.delta")
      await stage.kill9()
      await stage.restart()
      return { url: Chat.addressOf(url, id), visible: "Interrupted" }
    }
  },
  {
    name: "blocked",
    settings: { config: Acme.config },
    arrange: async ({ api, url }) => {
      const { id } = await api.createSession({ title: "A provider without its key", provider: "acme" })
      await api.start(id, { message: Texts.question, provider: "acme", model: "acme-large" })
      return { url: Chat.addressOf(url, id), visible: "Blocked" }
    }
  },
  {
    name: "reconnecting",
    arrange: async (stage) => {
      const { cut, ...scene } = await behind(stage)
      return {
        ...scene,
        visible: /^Reconnecting/,
        settle: once(async (page) => {
          await Chat.seeLive(page)
          // what is not read by then is not read at all
          await rest(page)
          // the next attempt is under way for as long as the page is looked at
          cut.hold(/\/v1\/sessions\/./)
          cut.cut()
        })
      }
    }
  },
  {
    name: "offline",
    arrange: async (stage) => {
      const { cut, ...scene } = await behind(stage)
      return {
        ...scene,
        visible: /^Offline/,
        settle: once(async (page) => {
          await Chat.seeLive(page)
          // what is not read by then is not read at all
          await rest(page)
          await cut.refuse()
        })
      }
    }
  },
  {
    name: "gap",
    settings: patient,
    arrange: async (stage) => {
      const cut = await Cut.open(() => stage.url)
      const { id } = await stage.api.createSession({ title: "An event is lost on the way" })
      const turn = await stage.api.start(id, { message: Texts.question, script: { steps: [said(), endless] } })
      await stage.api.until(turn.id, ({ type }) => type === "model.delta")
      cut.drop(5)
      // reading it from the journal would close the gap at once
      cut.hold(/\/v1\/turns\/[^/]+\/events/)
      return { url: Chat.addressOf(cut.url, id), visible: /\bGap\b/, close: cut.close }
    }
  },
  {
    name: "storage-error",
    arrange: async (stage) => {
      const { cut, ...scene } = await behind(stage)
      cut.answer(/^POST .*\/turns$/, storage)
      return {
        ...scene,
        visible: /Storage refused/,
        settle: once(async (page) => {
          await Chat.seeLive(page)
          await page.getByRole("textbox", { name: "Message" }).fill("Is this kept?")
          await page.getByRole("button", { name: "Send" }).click()
        })
      }
    }
  },
  {
    name: "unauthorized",
    settings: { env: { TURNSTREAM_TOKEN: "a-token-of-the-tests" } },
    arrange: async ({ api, url }) => ({
      url: Chat.addressOf(url, await talked(api)),
      visible: /needs a token/,
      isEarly: true,
      allow: Chat.brokenLoad
    })
  },
  {
    name: "long-word",
    arrange: async ({ api, url }) => ({
      url: Chat.addressOf(url, await talked(api, Texts.longWord.message, Texts.longWord.answer)),
      visible: "Completed"
    })
  },
  {
    name: "wide-content",
    arrange: async ({ api, url }) => ({
      url: Chat.addressOf(url, await talked(api, "Show me something wide", Texts.wide)),
      visible: "Completed"
    })
  },
  tabState("events", "Events", "turn.completed"),
  tabState("context", "Context", /^Hash of the whole/),
  tabState("checkpoint", "Checkpoint", /^[\d,]+ characters of text at that seq\.$/),
  tabState("usage", "Usage", /^1 turn with usage$/),
  {
    name: "long-session",
    settings: relaxed,
    arrange: async ({ api, url }) => {
      const turns = 200
      return { url: Chat.addressOf(url, await longSession(api, turns)), visible: `Message ${turns}` }
    }
  }
]

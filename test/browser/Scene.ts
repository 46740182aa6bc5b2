/**
 * How a page is brought into a state: a server of its own is started and brought into it, a page is opened on it, and it is
 * waited until the page shows the text by which the state is known.
 */
import type { Page } from "playwright-core"
import type * as Browser from "./Browser.ts"
import * as Stage from "./Stage.ts"

export interface Scene {
  /** The address to open. */
  readonly url: string
  /** A text that is seen once the state is reached. */
  readonly visible: string | RegExp
  /** The page cannot have read yet what it reads at its beginning. */
  readonly isEarly?: boolean
  /** Brings the open page into the state; again after each change of its size, so it must do nothing where all is done. */
  readonly settle?: (page: Page) => Promise<unknown>
  /** Faults that belong to the state. */
  readonly allow?: RegExp
  readonly close?: () => Promise<void>
}

export interface State {
  readonly name: string
  readonly settings?: Stage.Settings
  readonly arrange: (stage: Stage.Stage) => Promise<Scene>
}

export interface Shown extends Browser.Opened {
  readonly stage: Stage.Stage
  /** Brings the page into its state again, after a change of its size, and waits until that is seen. */
  readonly settle: () => Promise<void>
}

/** Waits until a word, as it is written, or a text that fits is seen. */
export const see = (page: Page, text: string | RegExp): Promise<void> =>
  page.getByText(typeof text === "string" ? new RegExp(`\\b${text}\\b`) : text).filter({ visible: true }).first()
    .waitFor()

/** What the page says while it still reads; a state that is about it is seen with it. */
const reading = /\bLoading\b|Reading the message/

/** Waits until nothing that is seen is still being read. */
export const rest = async (page: Page): Promise<void> => {
  const seen = page.getByText(reading).filter({ visible: true })
  while (await seen.count() > 0) await seen.first().waitFor({ state: "hidden" })
}

/** Arranges a state and shows it in a page; closing the page ends everything of it. */
export const show = async (browser: Browser.Browser, state: State, view?: Browser.View): Promise<Shown> => {
  const stage = await Stage.open(state.settings)
  let end = stage.stop
  try {
    const { allow, close, isEarly = false, settle: act, url, visible } = await state.arrange(stage)
    if (close !== undefined) end = () => close().then(stage.stop)
    const opened = await browser.open(url, view)
    if (allow !== undefined) opened.allow(allow)
    const settle = async () => {
      await act?.(opened.page)
      await see(opened.page, visible)
      if (!isEarly) await rest(opened.page)
    }
    const shown = { ...opened, stage, settle, close: () => opened.close().finally(end) }
    await settle().catch(async (error: unknown) => {
      await shown.close().catch(() => {})
      throw new Error(`The page does not show the state ${state.name}: ${String(error)}`)
    })
    return shown
  } catch (error) {
    await end().catch(() => {})
    throw error
  }
}

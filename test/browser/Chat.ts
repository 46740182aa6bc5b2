/**
 * The page as a person knows it: what is read and pressed is found by its role, name and words, never by how it is made.
 * Answers are told apart by their tokens: the short script's delta i is the number i in seven digits and a blank.
 */
import type { Locator, Page } from "playwright-core"
import type { Stage } from "./Stage.ts"
import type { Tools } from "./suite.ts"

export const addressOf = (base: string, sessionId: string): string => `${base}/?session=${sessionId}`

/** What the browser writes on its console about a request that is refused or breaks off. */
export const brokenLoad = /^console: Failed to load resource/

/** A turn by its number, in that state where one is named. */
export const card = (page: Page, number: number, status?: string): Locator =>
  page.getByRole("article", { name: new RegExp(`^Turn ${number}, ${status === undefined ? "" : `${status}$`}`) })

/** All that are in the page. */
export const cards = (page: Page): Locator => page.getByRole("article", { name: /^Turn \d+, / })

/** The same by a selector, for what runs in the page; in a session without imported messages. */
export const cardSelector = (number: number): string => `[role=feed] > [aria-posinset="${number}"]`

export const seeCard = (page: Page, number: number, status: string): Promise<void> =>
  card(page, number, status).waitFor()

export const message = (page: Page): Locator => page.getByRole("textbox", { name: "Message", exact: true })

export const button = (within: Page | Locator, name: string | RegExp): Locator =>
  within.getByRole("button", typeof name === "string" ? { name, exact: true } : { name })

export const chooseModel = async (page: Page, model: string): Promise<void> => {
  await page.getByRole("combobox", { name: "Model" }).selectOption(model)
}

export const seeLive = (page: Page): Promise<void> => page.getByText(/Live|Replayed/).first().waitFor()

/** A new session, in a page whose connections a test can cut. */
export const behindCut = async ({ cut, open }: Pick<Tools, "cut" | "open">, server: Stage) => {
  const proxy = await cut(server)
  const { id } = await server.api.createSession()
  const { allow, page } = await open(addressOf(proxy.url, id))
  allow(brokenLoad)
  await seeLive(page)
  return { proxy, id, page }
}

/** The place of the session that the header names. */
export const seeSeq = (page: Page, seq: number): Promise<void> =>
  page.getByText(new RegExp(`Live · seq ${seq}$`)).first().waitFor()

/** Line breaks and runs of blanks are one blank: how an answer is laid out is no part of it. */
export const plain = (text: string): string => text.replace(/\s+/g, " ").trim()

export const textOf = async (locator: Locator): Promise<string> => plain(await locator.innerText())

const token = /\b\d{7}\b/g

export const tokensIn = (text: string): ReadonlyArray<string> => text.match(token) ?? []

/** The tokens that a card shows, in the order of the page. */
export const tokensOf = async (locator: Locator): Promise<ReadonlyArray<string>> => tokensIn(await locator.innerText())

/** Waits until a card shows that many tokens; how many it then shows. */
export const seeTokens = async (page: Page, number: number, count: number): Promise<number> => {
  const seen = await page.waitForFunction(([selector, count]) => {
    const card = document.querySelector<HTMLElement>(selector)
    const shown = (card?.innerText.match(/\b\d{7}\b/g) ?? []).length
    return shown >= count ? { shown } : undefined
  }, [cardSelector(number), count] as const)
  return (await seen.jsonValue())?.shown ?? 0
}

/** What assistive technology is told of a control beyond its name. */
export const descriptionOf = async (page: Page, role: string, name: string): Promise<string> => {
  const session = await page.context().newCDPSession(page)
  try {
    const { nodes } = await session.send("Accessibility.getFullAXTree")
    const node = nodes.find((one) => one.role?.value === role && one.name?.value === name)
    return String(node?.description?.value ?? "")
  } finally {
    await session.detach()
  }
}

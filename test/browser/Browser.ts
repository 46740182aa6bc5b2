/**
 * One browser process and the pages that a test opens in it. Nothing is downloaded: it is the machine's own Chromium,
 * which can resolve no name and reach no address but this machine's.
 *
 * Each page is watched: a request to another origin, an error on its console, an error that nobody caught, a violation of
 * its content security policy and a crash are faults. `close` fails for every one that was not allowed before.
 */
import { type BrowserContextOptions, chromium, type Page } from "playwright-core"
import { findBrowser } from "../../.ci/find-browser.mjs"

/** As the machine notes of the workplace have it; what Chromium does for itself in the background leaves the machine. */
const flags = [
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // so that no shade of grey depends on the machine
  "--font-render-hinting=none",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
]

/** A wait that takes longer than this waits for something that never comes. */
const waitMsMax = 15_000

const found = findBrowser()

/** Why there is no browser here, or undefined. */
export const cannotBrowse: string | undefined = "reason" in found ? found.reason : undefined

export interface View {
  readonly width?: number
  readonly height?: number
  readonly theme?: "light" | "dark"
  /** A finger instead of a mouse: `(pointer: coarse)` matches. */
  readonly touch?: boolean
  readonly reducedMotion?: boolean
  readonly forcedColors?: boolean
}

/** Widths at which the page is judged, with the height of a usual screen of that width. */
export const heights = { 360: 740, 768: 1024, 1280: 800 } as const
export type Width = keyof typeof heights
export const widths: ReadonlyArray<Width> = [360, 768, 1280]
export const themes = ["light", "dark"] as const

/** Widths that are held in a hand. */
export const isTouched = (width: number): boolean => width < 1_000

export interface Fault {
  readonly kind: "request" | "console" | "error" | "policy" | "crash"
  readonly text: string
}

export interface Opened {
  readonly page: Page
  /** In the order in which they came. */
  readonly faults: ReadonlyArray<Fault>
  /** Faults whose `kind: text` fits are meant to happen. */
  readonly allow: (pattern: RegExp) => void
  /** Fails for every fault that was not allowed. */
  readonly close: () => Promise<void>
}

export interface Browser {
  readonly version: string
  /** Opens an address in a profile of its own; `prepare` acts on the page before it loads anything. */
  readonly open: (address: string, view?: View, prepare?: (page: Page) => Promise<unknown>) => Promise<Opened>
  /** Closes what is still open; fails like the first `close` that does. */
  readonly closePages: () => Promise<void>
  readonly close: () => Promise<void>
}

declare global {
  /** Bound by `open`. */
  var turnstreamPolicyFault: (text: string) => void
}

/** Runs in the page, before anything of its own. */
const reportPolicyFaults = () =>
  window.addEventListener("securitypolicyviolation", ({ blockedURI, effectiveDirective, sample }) => {
    globalThis.turnstreamPolicyFault(`${effectiveDirective} refused ${blockedURI} ${sample}`.trim())
  })

const contextOptions = (view: View): BrowserContextOptions => {
  const { forcedColors = false, height = 800, reducedMotion = true, theme = "light", touch = false, width = 1280 } =
    view
  return {
    viewport: { width, height },
    colorScheme: theme,
    hasTouch: touch,
    reducedMotion: reducedMotion ? "reduce" : "no-preference",
    forcedColors: forcedColors ? "active" : "none",
    locale: "en-GB",
    timezoneId: "UTC",
    serviceWorkers: "block"
  }
}

/** What a page loads from itself, or makes. */
const isOwn = (url: URL, origin: string) =>
  url.origin === origin || url.protocol === "data:" || url.protocol === "about:"

/** Starts the browser; whoever calls this closes it. It also ends with this process, whatever ends that. */
export const launch = async (): Promise<Browser> => {
  if ("reason" in found) throw new Error(`No page can be opened: ${found.reason}`)
  const process = await chromium.launch({ executablePath: found.path, args: flags })
  const open = new Set<Opened>()

  const closePages = async () => {
    const results = await Promise.allSettled([...open].map((opened) => opened.close()))
    for (const result of results) if (result.status === "rejected") throw result.reason
  }

  return {
    version: process.version(),
    closePages,
    close: () => process.close(),
    open: async (address, view = {}, prepare = () => Promise.resolve()) => {
      const { origin } = new URL(address)
      const faults: Array<Fault> = []
      const allowed: Array<RegExp> = []
      const note = (kind: Fault["kind"], text: string) => void faults.push({ kind, text })
      const context = await process.newContext(contextOptions(view))
      context.setDefaultTimeout(waitMsMax)
      context.on("request", (request) => {
        if (!isOwn(new URL(request.url()), origin)) note("request", `${request.method()} ${request.url()}`)
      })
      context.on("console", (message) => {
        if (message.type() === "error") note("console", `${message.text()} (${message.location().url})`)
      })
      context.on("weberror", (error) => note("error", String(error.error())))
      await context.exposeBinding("turnstreamPolicyFault", (_source, text: string) => note("policy", text))
      await context.addInitScript(reportPolicyFaults)
      const page = await context.newPage()
      page.on("crash", () => note("crash", page.url()))

      const opened: Opened = {
        page,
        faults,
        allow: (pattern) => void allowed.push(pattern),
        close: async () => {
          if (!open.delete(opened)) return
          // what the page has said so far arrives before the answer does
          await page.evaluate(() => document.readyState).catch(() => {})
          await context.close()
          const lines = faults.map(({ kind, text }) => `${kind}: ${text}`)
          const wrong = lines.filter((line) => !allowed.some((pattern) => pattern.test(line)))
          if (wrong.length > 0) throw new Error(`The page at ${address} did what it must not:\n${wrong.join("\n")}`)
        }
      }
      open.add(opened)
      await prepare(page)
      await page.goto(address)
      return opened
    }
  }
}

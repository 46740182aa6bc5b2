/** Keeps with each test how often it reached the replaced core. */
import { afterEach, beforeEach } from "vitest"

beforeEach(() => {
  globalThis.turnstreamCoreCalls = 0
})
afterEach(({ task }) => {
  Object.assign(task.meta, { core: globalThis.turnstreamCoreCalls })
})

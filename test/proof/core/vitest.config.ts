/** Runs tests on the engine with its core replaced (`NoOp.ts`). What waits for words that never come is not waited for. */
import { mergeConfig } from "vitest/config"
import base from "../../../vitest.config.ts"
import { plugin } from "./NoOp.ts"

export default mergeConfig(base, {
  plugins: [plugin],
  test: { testTimeout: 2_000, hookTimeout: 5_000, setupFiles: ["test/proof/core/setup.ts"] }
})

import { defineConfig } from "vitest/config"

// Forks, not threads: tests start child processes, send signals and load a native module. Two at a time, as the slowest
// supported machine has two cores. A test that needs longer than its timeout waits on something that never comes.
export default defineConfig({
  test: {
    environment: "node",
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/config/egress-setup.ts"],
    globals: false,
    pool: "forks",
    poolOptions: { forks: { minForks: 1, maxForks: 2 } },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    unstubEnvs: true
  }
})

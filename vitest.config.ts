import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/postgres.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Much of the time is spent waiting for processes and disks, which one worker at a time would not.
    maxWorkers: 3,
    // No test leaves anything behind in its process; loading everything anew for each file takes a tenth.
    isolate: false
  }
})

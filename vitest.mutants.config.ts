import { defineConfig } from "vitest/config";

/** How Stryker runs tests: those that start no program, on SQLite. */
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    provide: { seed: 1, soak: false },
  },
});

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/support/build.ts",
    exclude: ["test/agents-real/**"],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    // Stories of killed processes that run beside each other on two cores disturb one another.
    maxConcurrency: 2,
    reporters: ["default", "json"],
    outputFile: { json: ".cache/test-report.json" },
  },
});

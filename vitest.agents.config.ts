import { defineConfig } from "vitest/config";

/** The suite with real agent CLIs; `npm run test:agents` installs them and takes the network away. */
export default defineConfig({
  test: {
    include: ["test/agents-real/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 1,
    reporters: ["default", "json"],
    outputFile: { json: ".cache/agents-report.json" },
  },
});

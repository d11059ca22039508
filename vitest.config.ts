import { readdirSync, readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";

const files = readdirSync("test", { recursive: true, encoding: "utf8" }).flatMap((name) =>
  name.endsWith(".test.ts") ? [`test/${name}`] : [],
);
const onEachDialect = files.filter((file) => /\bonEachDialect\(/.test(readFileSync(file, "utf8")));

export default defineConfig({
  test: {
    globalSetup: "test/support/build.ts",
    testTimeout: 120_000,
    hookTimeout: 60_000,
    reporters: ["default", "json"],
    outputFile: { json: ".cache/test-report.json" },
    projects: [
      {
        extends: true,
        test: {
          name: "main",
          include: ["test/**/*.test.ts"],
          exclude: ["test/agents-real/**"],
          maxWorkers: 2,
          // Stories of killed processes that run beside each other on two cores disturb one another.
          maxConcurrency: 2,
        },
      },
      {
        extends: true,
        test: {
          // One process and one engine for all of them: an engine takes seconds and most of a gigabyte to start.
          name: "postgres",
          include: onEachDialect,
          provide: { dialect: "postgres" },
          maxWorkers: 1,
          isolate: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});

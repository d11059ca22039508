import { randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { slowest } from "./test/support/reporter.js";

const all = readdirSync("test", { recursive: true, encoding: "utf8" }).map((name) => join("test", name));
const files = all.filter((file) => file.endsWith(".test.ts") && !file.startsWith(join("test", "agents-real")));

/** What a file imports from the tests, itself included, however deep. */
function importsOf(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, path = ""] of textOf(file).matchAll(/from "(\.[^"]*)\.js"/g)) {
    const imported = join(dirname(file), `${path}.ts`);
    if (all.includes(imported)) importsOf(imported, found);
  }
  return found;
}

const textOf = (file: string) => readFileSync(file, "utf8");
const imports = (file: string, helper: string) => importsOf(file).has(join("test", "support", helper));

/** Files that need the built program, tmux or processes of their own. */
const stories = files.filter(
  (file) =>
    ["cli.ts", "child.ts", "tmux.ts", "private-tmux.ts", "repository.ts"].some((helper) => imports(file, helper)) ||
    /"node:child_process"|\/src\/exec\.js"/.test([...importsOf(file)].map(textOf).join("")),
);

/** Everything there is to try, in files of which `npm test` takes a sample. */
const sampled = files.filter((file) => imports(file, "sample.ts"));

/** Starts the sampled files first: they take longest, and the last file of a run has its core for itself. */
class LongestFirst extends BaseSequencer {
  override async sort(specs: TestSpecification[]): Promise<TestSpecification[]> {
    const isSampled = ({ moduleId }: TestSpecification) => sampled.some((file) => moduleId.endsWith(`/${file}`));
    const sorted = await super.sort(specs);
    return [...sorted.filter(isSampled), ...sorted.filter((spec) => !isSampled(spec))];
  }
}

export default defineConfig(({ mode }) => {
  const soak = mode === "soak";
  const seed = Number(process.env["MU_TEST_SEED"] ?? randomInt(2 ** 31));
  // Named in each project: what a project inherits comes from a second reading of this file, in another mode.
  const chosen = { provide: { seed, soak }, testTimeout: soak ? 3_600_000 : 120_000 };
  return {
    test: {
      hookTimeout: 60_000,
      maxWorkers: 3,
      sequence: { sequencer: LongestFirst },
      reporters: ["default", slowest(seed), "json"],
      outputFile: { json: ".cache/test-report.json" },
      projects: [
        {
          extends: true,
          test: {
            // Nothing that starts a program: two processes run all of it.
            name: "quick",
            include: soak ? [] : files.filter((file) => !stories.includes(file)),
            isolate: false,
            ...chosen,
          },
        },
        {
          extends: true,
          test: {
            name: "stories",
            ...chosen,
            include: soak ? sampled : stories,
            globalSetup: "test/support/build.ts",
            // Stories of killed processes that run beside each other on two cores disturb one another.
            maxConcurrency: 2,
          },
        },
        {
          extends: true,
          test: {
            // One process and one engine for all of them: an engine takes seconds and most of a gigabyte to start.
            name: "postgres",
            include: soak ? [] : files.filter((file) => /\bonEachDialect\(/.test(textOf(file))),
            ...chosen,
            provide: { ...chosen.provide, dialect: "postgres" },
            isolate: false,
            maxWorkers: 1,
            sequence: { groupOrder: 1 },
          },
        },
      ],
    },
  };
});

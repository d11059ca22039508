import { relative } from "node:path";
import type { Reporter, TestModule } from "vitest/node";

const SHOWN = 10;

/** Ends a run with its seed and the files that took longest, in s by the clock. */
export function slowest(seed: number): Reporter {
  return {
    onTestRunEnd(modules) {
      const files = modules.map((module) => ({ module, ms: durationOf(module) })).sort((a, b) => b.ms - a.ms);
      const lines = files.slice(0, SHOWN).map(({ module, ms }) => `${seconds(ms)}  ${nameOf(module)}`);
      const repeat = `MU_TEST_SEED=${seed} takes the same samples again`;
      process.stdout.write(
        `\n Slowest of ${files.length} files:\n${lines.join("\n")}\n\n Seed ${seed}; ${repeat}.\n\n`,
      );
    },
  };
}

function durationOf(module: TestModule): number {
  const { duration, collectDuration, setupDuration } = module.diagnostic();
  return duration + collectDuration + setupDuration;
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`.padStart(10);

const nameOf = ({ project, moduleId }: TestModule) =>
  `${relative(project.config.root, moduleId)}${project.name === "postgres" ? " (postgres)" : ""}`;

import { Fault } from "../errors.js";
import { errorText } from "./program.js";
import type { VcsWorld } from "./vcs.js";

const TIMEOUT_MS = 120_000;

/** Runs GitHub's CLI without prompts. Faults `landing.no_gh`, `landing.gh_failed`. */
export async function gh(world: VcsWorld, cwd: string, args: readonly string[], input?: string): Promise<string> {
  const env = { ...world.env, GH_PROMPT_DISABLED: "1", GH_NO_UPDATE_NOTIFIER: "1", NO_COLOR: "1" };
  const { code, stdout, stderr, notStarted, timedOut } = await world.exec("gh", args, {
    ...{ cwd, env, timeoutMs: TIMEOUT_MS },
    ...(input !== undefined && { input }),
  });
  if (code === 0) return stdout.trim();
  if (notStarted !== undefined) {
    const message = `Pull requests need GitHub's CLI, and gh could not be started (${notStarted}).`;
    throw new Fault("unavailable", "landing.no_gh", message, [
      { intent: "Check that it is on the path", command: "command -v gh" },
    ]);
  }
  const how = timedOut ? "timed out" : "failed";
  throw new Fault(
    "unavailable",
    "landing.gh_failed",
    `gh ${args.slice(0, 2).join(" ")} ${how}: ${errorText(stderr)}`,
    [],
    {
      command: ["gh", ...args.slice(0, 20)],
      exitCode: code,
    },
  );
}

import { runProgram } from "../../checks.js";
import { Fault } from "../../errors.js";
import type { Host } from "../../host.js";
import type { Headless } from "../clis/headless.js";
import { piArgs } from "./pi-rpc.js";
import { type TurnOptions, type Turns, turnTimeout } from "./turns.js";

/** A conversation of which every turn is a process of its own, with a CLI that can go on with one. */
export function openHeadless(world: Host, headless: Headless, options: TurnOptions): Turns {
  const { system, model = null } = options;
  let sessionRef: string | null = null;
  return eachAProcess(world, options, async (prompt, run) => {
    const request = { prompt, system, model, access: "full" as const, allowedTools: null, sessionRef, maxUsd: null };
    const { args, stdin, env } = headless.start(request);
    const { stdout, stderr, exitCode } = await run(args, stdin, env);
    const report = headless.read({ stdout, stderr, exitCode });
    if (report.failure !== null) {
      throw new Fault(
        "unavailable",
        "turn.refused",
        `The turn failed (${report.failure}): ${report.reason ?? "no reason given"}`,
      );
    }
    sessionRef = report.sessionRef ?? sessionRef;
    return report.text ?? "";
  });
}

/** Turns with `pi --print`, which know nothing of each other. */
export function openPiPrint(world: Host, options: TurnOptions, knows: (flag: string) => boolean): Turns {
  return eachAProcess(world, options, async (prompt, run) => {
    const { stdout, stderr, exitCode } = await run(["--print", ...piArgs(options, knows), prompt], "", {});
    if (exitCode === 0) return stdout.trim();
    throw new Fault(
      "unavailable",
      "turn.died",
      `pi ended with ${exitCode ?? "a signal"}.\n${stderr.trim().slice(-2000)}`,
    );
  });
}

type Run = (
  args: readonly string[],
  stdin: string,
  env: Readonly<Record<string, string>>,
) => Promise<{ stdout: string; stderr: string; exitCode: number | null }>;

function eachAProcess(world: Host, options: TurnOptions, turn: (prompt: string, run: Run) => Promise<string>): Turns {
  const { command, cwd, timeoutMs } = options;
  return {
    isOpen: () => true,
    close: async () => {},
    ask: (prompt, signal) =>
      turn(prompt, async (args, input, env) => {
        const streams = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
        const ended = await runProgram(world, {
          ...{ file: "/bin/sh", args: ["-c", `exec ${command} "$@"`, "sh", ...args], input, cwd, signal },
          ...{ env: { ...options.env, ...env }, timeoutMs: Math.max(1_000, timeoutMs) },
          onOutput: (chunk, from) => void streams[from].push(chunk),
        });
        if (ended.interrupted) throw new Fault("unavailable", "request.interrupted", "The turn was interrupted.");
        if (ended.timedOut) throw turnTimeout(timeoutMs);
        const text = (of: Uint8Array[]) => Buffer.concat(of).toString("utf8");
        return { stdout: text(streams.stdout), stderr: text(streams.stderr), exitCode: ended.exitCode };
      }),
  };
}

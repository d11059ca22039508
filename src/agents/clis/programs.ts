import { basename } from "node:path";
import { isShell } from "../screen/verdict.js";
import { AGENT_CLIS } from "./table.js";

type Environment = Readonly<Record<string, string | undefined>>;

const INTERPRETERS = new Set(["node", "bun", "deno", "npx", "env", "python", "python3", "exec"]);

/** Whether an agent CLI is in the foreground of a pane, or is what the pane was started with. */
export function runsAgentCli(env: Environment, pane: { command: string; startCommand: string }): boolean {
  const programs = agentPrograms(env);
  return programs.has(pane.command) || programs.has(programOf(pane.startCommand));
}

/** Programs that only agents run: shells and interpreters say nothing. */
function agentPrograms(env: Environment): Set<string> {
  const named = Object.values(AGENT_CLIS).flatMap((cli) => [
    cli.command,
    programOf(env[`MU_${cli.key.toUpperCase()}_COMMAND`] ?? ""),
  ]);
  return new Set(named.filter((name) => name !== "" && name !== "cat" && !isShell(name) && !INTERPRETERS.has(name)));
}

function programOf(commandLine: string): string {
  return basename(
    commandLine
      .trim()
      .replace(/^["']/, "")
      .split(/["'\s]/, 1)[0] ?? "",
  );
}

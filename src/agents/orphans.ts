import { basename } from "node:path";
import type { Pane } from "../tmux/panes.js";
import { workstreamOf } from "../workstreams/workstream.js";
import { AGENT_CLIS } from "./clis/table.js";
import type { Crew } from "./crew.js";
import type { Member } from "./roster.js";
import { isShell } from "./screen/ended.js";

/** A pane in one of mu's sessions that looks like an agent's and is nobody's. */
export interface Orphan {
  pane: string;
  workstream: string;
  window: string;
  title: string;
  command: string;
}

/** The panes that somebody may want to adopt: in our sessions, with an agent CLI in front, of no open agent. */
export function findOrphans(
  crew: Crew,
  members: readonly Member[],
  panes: readonly Pane[],
  workstream?: string,
): Orphan[] {
  const ours = new Set(members.map(({ row }) => String(row.id)));
  const programs = agentPrograms(crew);
  const seen = new Set<string>();
  return panes.flatMap((pane) => {
    const found = workstreamOf(pane.session);
    if (found === undefined || (workstream !== undefined && found !== workstream)) return [];
    if (pane.dead || seen.has(pane.id) || ours.has(pane.agentId ?? "")) return [];
    if (!programs.has(pane.command) && !programs.has(programOf(pane.startCommand))) return [];
    seen.add(pane.id);
    return [{ pane: pane.id, workstream: found, window: pane.windowName, title: pane.title, command: pane.command }];
  });
}

/** Shells and interpreters are everybody's, so they tell nothing. */
function agentPrograms({ env }: Crew): Set<string> {
  const named = Object.values(AGENT_CLIS).flatMap((cli) => [
    cli.command,
    programOf(env[`MU_${cli.key.toUpperCase()}_COMMAND`] ?? ""),
  ]);
  return new Set(named.filter((name) => name !== "" && name !== "cat" && !isShell(name) && !INTERPRETERS.has(name)));
}

const INTERPRETERS = new Set(["node", "bun", "deno", "npx", "env", "python", "python3", "exec"]);

function programOf(commandLine: string): string {
  return basename(
    commandLine
      .trim()
      .replace(/^["']/, "")
      .split(/["'\s]/, 1)[0] ?? "",
  );
}

import type { RowOf } from "../db/write.js";
import type { Host } from "../host.js";
import { commandLines, type Process, processTrees } from "../processes.js";
import type { Pane } from "../tmux/panes.js";
import type { Screen as Captured } from "../tmux/screens.js";
import type { AgentCli } from "./clis/cli.js";
import { cliOfWords, hidesProgram, programName } from "./clis/programs.js";
import { AGENT_CLIS, getAgentCli } from "./clis/table.js";
import type { TmuxHost } from "./crew.js";
import { type Occupant, toScreen } from "./screen/screen.js";
import { explainScreen, isShell, type PaneView } from "./screen/verdict.js";

/** What is in the foreground of each pane whose program lives, by its id. The processes under the panes' are read once. */
export async function readOccupants(host: Host, panes: readonly Pane[]): Promise<Map<string, Occupant>> {
  const alive = panes.filter((pane) => !pane.dead);
  const pids = alive.map(({ pid }) => pid);
  const trees = await processTrees(host, pids);
  const fronts = alive.map((pane) => ({ pane, ...frontOf(trees.get(pane.pid) ?? []) }));
  const members = fronts.flatMap((front) => front.members.map(({ pid }) => pid));
  const lines = await commandLines(host, members);
  return new Map(fronts.map((front) => [front.pane.id, occupantOf(host, front, lines)]));
}

/** An agent's pane, and what the rules of the CLI that is in it say of its screen; undefined if the pane is gone. */
export async function viewAgent(
  host: TmuxHost,
  row: Pick<RowOf<"agents">, "cli">,
  pane: Pane,
  captured?: Captured,
): Promise<(PaneView & { cli: AgentCli }) | undefined> {
  const occupant = (await readOccupants(host, [pane])).get(pane.id);
  const cli = cliIn(row, occupant);
  const rows = captured ?? (await host.tmux.captureScreens([pane.id], { escapes: true })).get(pane.id);
  const screen = rows && toScreen(pane, rows, occupant);
  return screen && { pane, screen, verdict: explainScreen(cli, screen), cli };
}

/** Whether tmux's name of the foreground program leaves open what is in an agent's pane. */
export function isInDoubt({ cli }: Pick<RowOf<"agents">, "cli">, { command, dead }: Pane): boolean {
  const { reading, command: own } = getAgentCli(cli);
  if (dead || reading.by === "shell" || isShell(command)) return !dead;
  return reading.by === "process" ? hidesProgram(command) : command !== own && Object.hasOwn(AGENT_CLIS, command);
}

/** The CLI whose rules count in an agent's pane: the one that runs there, else its own. A shell's programs are its own. */
export function cliIn({ cli }: Pick<RowOf<"agents">, "cli">, occupant: Occupant | undefined): AgentCli {
  return getAgentCli(cli === "shell" ? cli : (occupant?.cli ?? cli));
}

/** Ctrl-Z does not stop a pane's own group, which has no shell behind it: where it is stopped, it is stuck. */
function frontOf(tree: readonly Process[]) {
  const group = tree[0]?.foreground ?? tree[0]?.group ?? 0;
  const alive = tree.filter((one) => !one.zombie);
  const members = alive.filter((one) => one.group === group);
  return { group, members, stopped: alive.find((one) => one.stopped && one.group !== tree[0]?.group)?.group };
}

function occupantOf(
  { env }: Host,
  { pane, group, members, stopped }: ReturnType<typeof frontOf> & { pane: Pane },
  lines: ReadonlyMap<number, string[]>,
): Occupant {
  const words = members.map((one) => (lines.get(one.pid)?.length ? (lines.get(one.pid) ?? []) : [one.name]));
  const known = { group, programs: members.map((one) => one.name), stopped };
  const agent = words.find((line) => cliOfWords(line, env) !== undefined);
  const version = VERSION.exec(agent?.join(" ") ?? "")?.slice(1) ?? [];
  if (agent)
    return { ...known, is: "agent", cli: cliOfWords(agent, env), program: [programName(agent), ...version].join(" ") };
  const program = words.find((line) => !isShell(line[0] ?? ""));
  if (program === undefined && words.length > 0) {
    const shell = words.find(takesCommands);
    return { ...known, is: shell ? "shell" : "script", program: programName(shell ?? words.at(-1) ?? []) };
  }
  const name = programName(program ?? [pane.command]);
  if (program && !hidesProgram(programName(program.slice(0, 1)))) return { ...known, is: "program", program: name };
  return { ...known, is: "unknown", program: name };
}

/** Installers keep each version in a folder of its name. */
const VERSION = /(?:\/versions?\/|@|-)v?(\d+\.\d+\.\d+)/;

/** Whether a shell was started to read commands from its terminal: with neither a script nor `-c`. */
function takesCommands([, ...args]: readonly string[]): boolean {
  const isScript = (word: string, at: number) => !/^[-+]/.test(word) && !TAKES_VALUE.test(args[at - 1] ?? "");
  return !args.some(isScript) && !args.some((word) => /^-[a-zA-Z]*c/.test(word));
}

const TAKES_VALUE = /^(?:[-+][oO]|--(?:rcfile|init-file))$/;

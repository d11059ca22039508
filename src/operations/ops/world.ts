import { overrideName } from "../../agents/clis/programs.js";
import { getAgentCli } from "../../agents/clis/table.js";
import type { Crew } from "../../agents/crew.js";
import { openHeadless, openPiPrint } from "../../agents/turns/headless.js";
import { openPi } from "../../agents/turns/pi-rpc.js";
import type { TurnOptions, Turns } from "../../agents/turns/turns.js";
import { Fault } from "../../errors.js";
import type { RequestWorld } from "../../jobs/intake/request.js";
import { SYSTEM } from "../../jobs/intake/turns.js";
import { projectEnv } from "../../project/read.js";
import { isInstalled } from "../../project/roles.js";
import type { App } from "../define.js";
import { sceneOf, startApart } from "../dispatch/world.js";

/** How the conversation about a request is held. */
export interface TurnWish {
  cwd: string;
  provider?: string | undefined;
  model?: string | undefined;
  thinking?: string | undefined;
  skills?: readonly string[] | undefined;
  /** `print`: a process for each turn. */
  session?: "rpc" | "print" | undefined;
  /** The program instead of `pi`. */
  command?: string | undefined;
  timeoutMs: number;
}

const CLAUDE = "claude-code";

/** Opens a conversation with pi; with Claude Code where that is asked for, or where there is no pi. Faults `turn.*`. */
export async function openTurns(crew: Crew, { session = "rpc", command, ...wish }: TurnWish): Promise<Turns> {
  const env = await projectEnv(wish.cwd, crew.env);
  const pi = command ?? env[overrideName("pi")] ?? getAgentCli("pi").command;
  const claude = env[overrideName("claude")] ?? getAgentCli("claude").command;
  const has = (line: string) => isInstalled(line.split(" ")[0] ?? "", env, wish.cwd);
  const options: TurnOptions = { ...wish, env, system: SYSTEM, command: pi };
  if (wish.provider !== CLAUDE && (await has(pi))) {
    const knows = await flagsOf(crew, pi, env);
    return session === "print" ? openPiPrint(crew, options, knows) : openPi(crew, options, knows);
  }
  const { headless } = getAgentCli("claude");
  if (headless !== undefined && (await has(claude)))
    return openHeadless(crew, headless, { ...options, command: claude });
  throw new Fault("unavailable", "turn.no_program", `Neither pi nor Claude Code is installed, so nobody can answer.`, [
    { intent: "See what is missing", command: "mu doctor" },
  ]);
}

/** Which flags this pi knows: some came with later versions. */
async function flagsOf(crew: Crew, command: string, env: TurnOptions["env"]): Promise<(flag: string) => boolean> {
  const { stdout, stderr } = await crew.exec("/bin/sh", ["-c", `exec ${command} --help`], { env, timeoutMs: 10_000 });
  const help = stdout + stderr;
  return (flag) => help.includes(flag);
}

/** What it takes to handle a request of a workstream; `end` closes the conversation that it opened. */
export async function requestWorld(
  app: App,
  workstream: string,
  wish: TurnWish,
): Promise<RequestWorld & { end(): Promise<void> }> {
  const crew = await app.crew();
  const scene = await sceneOf(app, workstream);
  let turns: Turns | undefined;
  return {
    crew,
    scene,
    signal: app.request.signal,
    async turns() {
      if (turns?.isOpen() !== true) turns = await openTurns(crew, wish);
      return turns;
    },
    startDispatcher: () =>
      startApart(app, scene.workstream, { words: ["dispatch", "-w", workstream, "--poll", "1"], window: "dispatch" }),
    end: async () => turns?.close(),
  };
}

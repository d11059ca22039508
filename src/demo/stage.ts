import { rm } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { Agent } from "../agents/agent.js";
import type { Crew } from "../agents/crew.js";
import { listMembers } from "../agents/roster.js";
import { closeAgent } from "../crew/close.js";
import { type Spawned, spawnAgent } from "../crew/spawn/spawn.js";
import type { Part } from "./cast.js";
import { authorOf } from "./repository.js";
import type { Scaffold } from "./scaffold.js";

/** The workstream of the demo; its tmux session is `mu-demo`. */
export const WORKSTREAM = "demo";

/** All panes share a window, so that whoever attaches sees the whole crew. */
const WINDOW = "crew";
/** Columns and rows while nobody is attached. */
const SIZE = { width: 150, height: 54 };

/** Brings an agent on, in its so-manieth life from 0, and waits for its first prompt. */
export async function enter(crew: Crew, scaffold: Scaffold, part: Part, life: number): Promise<Agent> {
  const { agent }: Spawned = await spawnAgent(crew, refOf(part.name), {
    cli: "player",
    role: part.role,
    cwd: scaffold.repository,
    workspace: { projectRoot: scaffold.repository },
    window: WINDOW,
    layout: "even-vertical",
    size: SIZE,
    env: {
      MU_PLAYER_SCRIPT: scaffold.scriptOf(part.name, Math.min(life, part.scripts.length - 1)),
      ...authorOf(part.name),
    },
    ready: {},
  });
  return agent;
}

export const refOf = (name: string) => ({ workstream: WORKSTREAM, name });

/** Closes every agent, which keeps its last screen. */
export async function dismissAll(crew: Crew): Promise<void> {
  const members = await listMembers(crew.context.store.db, WORKSTREAM);
  await Promise.all(
    members.map(({ row }) => closeAgent(crew, refOf(row.name), { reason: "the demo is over", graceMs: 2000 })),
  );
}

/** Ends the tmux server with all that is left on it, and takes away the socket that it leaves. Fine without one. */
export async function clearStage(crew: Crew, { socket, env }: Scaffold): Promise<void> {
  await crew.tmux.run([["kill-server"]]);
  await rm(join(env["TMUX_TMPDIR"] || "/tmp", `tmux-${userInfo().uid}`, socket), { force: true });
}

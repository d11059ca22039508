import type { Crew } from "../../src/agents/crew.js";
import { closeAgent } from "../../src/crew/close.js";
import { spawnAgent } from "../../src/crew/spawn.js";
import { destroyCrew } from "../../src/crew/workstream.js";
import type { DispatchWorld } from "../../src/dispatch/dispatch.js";
import { dispatchLoop } from "../../src/dispatch/loop.js";
import { special } from "../../src/jobs/once.js";
import { landTasks } from "../../src/landing/land.js";
import { readSettings } from "../../src/project/read.js";
import { performRun } from "../../src/runs/perform.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { freeWorkspace } from "../../src/workspaces/free.js";
import { recreateWorkspace } from "../../src/workspaces/recreate.js";
import { refreshWorkspace } from "../../src/workspaces/refresh.js";
import { workstreamRow } from "../../src/workstreams/workstream.js";

/** A verb that is killed at each of its steps in turn. */
export interface Act {
  /** What has to be there first and cannot be copied, such as a pane; not killed. */
  prepare?: (crew: Crew, root: string) => Promise<unknown>;
  run: (crew: Crew, root: string) => Promise<unknown>;
  /** Faults of running it again that say that it was done. */
  done?: readonly string[];
}

/** Runs what is ready, with the runners in this process, so that its steps are the dispatcher's and theirs. */
async function drain(crew: Crew, root: string): Promise<void> {
  const settings = await readSettings(root);
  const { id, name } = await workstreamRow(crew.context.store.db, "shop");
  const { signal } = new AbortController();
  const project = async () => ({ settings, env: crew.env });
  const running: Promise<unknown>[] = [];
  const world: DispatchWorld = {
    ...{ ...crew, transport: "child", special },
    scene: async () => ({ workstream: { id, name, root }, settings, stateDir: crew.stateDir, max: 9 }),
    launch: async (run) => {
      running.push(performRun({ ...crew, project, signal, echo: () => {}, special }, run.id));
    },
  };
  await dispatchLoop(world, { once: true, pollMs: 50, signal, say: () => {} });
  await Promise.all(running);
}

const ref = (name: string) => ({ workstream: "demo", name });

/** By name, so that a process of its own can be told which. */
export const ACTS: Readonly<Record<string, Act>> = {
  create: {
    run: (crew, root) => createWorkspace(crew, ref("fresh"), { projectRoot: root }),
    done: ["workspace.exists"],
  },
  refresh: { run: (crew) => refreshWorkspace(crew, ref("ahead")) },
  recreate: { run: (crew) => recreateWorkspace(crew, ref("dirty")) },
  free: { run: (crew) => freeWorkspace(crew, ref("dirty")) },
  close: { run: (crew) => closeAgent(crew, ref("dirty")) },
  "close clean": { run: (crew) => closeAgent(crew, ref("clean")) },
  "close pane": {
    prepare: (crew, root) =>
      spawnAgent(crew, ref("ahead"), { command: "cat", cwd: root, workspace: { projectRoot: root } }),
    run: (crew) => closeAgent(crew, ref("ahead"), { workspace: "discard" }),
  },
  land: { run: (crew) => landTasks(crew, { workstream: "shop" }, { check: "test ! -e bad.txt" }) },
  dispatch: { run: drain },
  destroy: { run: (crew) => destroyCrew(crew, "demo"), done: ["workstream.not_found"] },
};

import { resolve, sep } from "node:path";
import * as z from "zod";
import { AGENT, agentRows } from "../../agents/agent.js";
import type { Reader } from "../../db/schema.js";
import { asFault, Fault } from "../../errors.js";
import { enumerate, quote } from "../../names.js";
import { tmuxLine } from "../../tmux/run.js";
import { initWorkstream, sessionOf, WORKSTREAM } from "../../workstreams/workstream.js";
import { cliField } from "../agent/shapes.js";
import { type App, defineOperation, step } from "../define.js";
import { field } from "../fields.js";
import { REFUSAL, refusalLines, withEach } from "../several.js";

export const workstreamInit = defineOperation({
  name: "workstream.init",
  summary: "Create a workstream with its tmux session, and record its project folder",
  description:
    "The project folder is the current one unless --root names another. Commands that run inside it belong to this workstream. Running it again in its folder changes only the root, if --root is given, and opens the session if it does not run. A placeholder window keeps the session open when its last agent ends. With --agents it also starts worker-1, worker-2 … as agent spawn does; those that are there already are left alone.",
  effect: "write",
  acts: ["runs"],
  input: () => ({
    name: field(z.string(), "Name: a lower-case letter, then up to 31 letters, digits, _ or -"),
    root: field(z.string().optional(), "Project folder", { value: "folder" }),
    agents: field(z.number().int().min(1).max(50).optional(), "How many agents to start"),
    cli: cliField("Agent CLI of those agents (default: pi)"),
  }),
  validate({ agents, cli }) {
    if (agents !== undefined || cli === undefined) return;
    throw new Fault("usage", "usage.no_agents", "--cli is for agents: say with --agents how many to start.");
  },
  output: {
    ...{ workstream: WORKSTREAM, created: "boolean", others: "string[]", session: "string | null" },
    ...{ agents: [AGENT], refused: [REFUSAL] },
  },
  positional: ["name"],
  examples: [
    { command: "mu workstream init shop", shows: "start a workstream for this folder" },
    { command: "mu workstream init shop --agents 2 --cli shell", shows: "with two agents" },
    { command: "mu workstream init Shop", shows: "an invalid name", fault: "workstream.invalid_name" },
  ],
  async run(app, { name, root, agents = 0, cli }) {
    const { context, request } = app;
    const { db } = context.store;
    const existing = await db.selectFrom("workstreams").select("root").where("name", "=", name).executeTakeFirst();
    if (root === undefined && existing?.root && !isWithin(request.cwd, existing.root)) {
      throw ofAnotherFolder(name, existing.root);
    }
    const folder = root !== undefined ? resolve(request.cwd, root) : existing?.root ? undefined : request.cwd;
    const made = await initWorkstream(context, name, { root: folder });
    const others = await sameRoot(db, made.workstream);
    const session = await openSession(app, name);
    const started = await startWorkers(app, name, agents, cli);
    return { ...made, others, session, ...started };
  },
  exitCode: ({ refused }) => Math.max(0, ...refused.map(({ exitCode }) => exitCode)),
  next: ({ session, agents }, { name }, { request }) => [
    step("Add a task", `mu task add 'What to do first' -w ${name}`),
    step("See what a plan looks like", "mu task apply --help"),
    agents.length > 0
      ? step("List the agents", `mu agent list -w ${name}`)
      : step("Start an agent", `mu agent spawn worker-1 -w ${name}`),
    ...(session === null ? [] : [step("Attach to its session", tmuxLine(request.env, "attach", "-t", `=${session}`))]),
    step("Show the workstream", `mu state -w ${name}`),
  ],
  render: ({ workstream, created, others, agents, refused }, paint) => [
    `${created ? "Created" : "Using the existing"} workstream ${paint.bold(workstream.name)}${workstream.root ? ` for ${workstream.root}` : ""}`,
    others.length > 0 &&
      `  ! ${enumerate(others)} ${others.length === 1 ? "has" : "have"} this folder too: pass -w ${workstream.name}`,
    agents.map(({ name, cli, status }) => `  ${paint.bold(name)} (${cli}) ${status ?? ""}`.trimEnd()),
    refusalLines({ refused }),
  ],
});

/** Starts the agents of a workstream that are not there yet, each in a workspace of its own where spawn gives one. */
async function startWorkers(app: App, workstream: string, count: number, cli: string | undefined) {
  const { db } = app.context.store;
  const named = Array.from({ length: count }, (_, at) => ({ workstream, name: `worker-${at + 1}` }));
  const there = (await agentRows(db, workstream)).map(({ name }) => name);
  const missing = named.filter(({ name }) => !there.includes(name));
  if (missing.length === 0) return { agents: [], refused: [] };
  const { spawnFields, spawnOptions } = await import("../agent/fields.js");
  const { startOne } = await import("../agent/start.js");
  const options = await spawnOptions(app, workstream, z.object(spawnFields()).parse({ cli }));
  const how = { order: "at once", signal: app.request.signal } as const;
  const { items, refused } = await withEach(missing, (ref) => startOne(app, ref, options), how);
  return { agents: items.map(({ agent }) => agent), refused };
}

const isWithin = (folder: string, root: string) => `${resolve(folder)}${sep}`.startsWith(`${resolve(root)}${sep}`);

function ofAnotherFolder(name: string, root: string): Fault {
  return new Fault("conflict", "workstream.other_folder", `The workstream ${quote(name)} belongs to ${root}.`, [
    step("Work on it from here", `mu state -w ${name}`),
    step("Give it this folder instead", `mu workstream set root . -w ${name}`),
    step("Create another one for this folder", "mu workstream init <name>"),
  ]);
}

/** The other workstreams with this one's folder: commands in it can be about only one of them. */
async function sameRoot(db: Reader, { name, root }: { name: string; root: string | null }): Promise<string[]> {
  const rows = await db
    .selectFrom("workstreams")
    .select("name")
    .where("root", "=", root)
    .where("name", "<>", name)
    .orderBy("name")
    .execute();
  return rows.map((row) => row.name);
}

/** A plan of tasks needs no tmux: where it does not answer, the workstream is there all the same. */
export async function openSession(app: App, workstream: string): Promise<string | null> {
  try {
    const { openCrewSession } = await import("../../crew/workstream.js");
    await openCrewSession(await app.crew(), workstream);
    return sessionOf(workstream);
  } catch (error) {
    app.request.remark(`Its tmux session was not opened: ${asFault(error).message}`);
    return null;
  }
}
